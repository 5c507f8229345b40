//! Whatever a client sends first on the TLS port: nobody is let in, nothing that was sent comes back, and
//! what comes back is TLS.

#![no_main]

use std::time::Duration;

use fuzz::minted::DOMAINS;
use libfuzzer_sys::fuzz_target;
use spiffe_acceptor::Acceptor;
use spiffe_source::{Material, Source, SvidMaterial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// Of the records that TLS knows, those that a server may begin with.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

thread_local! {
    static SERVER: (Runtime, Acceptor) = server();
}

fn server() -> (Runtime, Acceptor) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let acceptor = runtime.block_on(async {
        let [own, ..] = &*DOMAINS;
        let svid = SvidMaterial::from_der(own.chain(), own.leaf.key.clone(), own.root.der.clone());
        let source = Source::fixed(Material::new(svid)).clock(fuzz::minted::now);
        let source = source.connect().await.expect("a source");
        Acceptor::builder(source)
            .handshake_timeout(Duration::from_secs(2))
            .build()
            .expect("an acceptor")
    });
    (runtime, acceptor)
}

fuzz_target!(|bytes: &[u8]| {
    SERVER.with(|(runtime, acceptor)| {
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(256 * 1024);
            let speaks = async {
                client.write_all(bytes).await.expect("room for it");
                client.shutdown().await.expect("an end");
                let mut answer = Vec::new();
                let _ = client.read_to_end(&mut answer).await;
                answer
            };
            let (accepted, answer) = tokio::join!(acceptor.accept(server), speaks);
            assert!(accepted.is_err(), "nobody has shown a certificate");
            if let Some(first) = answer.first() {
                assert!([ALERT, HANDSHAKE].contains(first), "{answer:?}");
            }
            if bytes.len() >= 16 {
                let echoed = answer.windows(16).any(|part| part == &bytes[..16]);
                assert!(!echoed, "what was sent comes back");
            }
        });
    });
});
