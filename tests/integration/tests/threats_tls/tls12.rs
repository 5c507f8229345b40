//! What an old version of TLS has that nobody should get.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use corpus::present::Gullible;
use integration::{ALLOWED, agent, source};
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    SupportedCipherSuite, Tls12CipherSuite,
};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::{Agent, IssueSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(20);
const CLOSE_NOTIFY: u8 = 0;
const PROTOCOL_VERSION: u8 = 70;
const NO_RENEGOTIATION: u8 = 100;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// A server, and the reason of each handshake that has ended.
async fn listens(agent: &Agent, tls12: bool) -> (u16, mpsc::UnboundedReceiver<&'static str>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let acceptor = Acceptor::builder(source(agent, "server", &[]).await);
    let acceptor = acceptor.on_handshake(move |handshake: &spiffe_acceptor::Handshake<'_>| {
        let _ = sender.send(handshake.reason());
    });
    let acceptor = if tls12 { acceptor.tls12() } else { acceptor };
    let listener = acceptor.bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", get(async || "served"));
    tokio::spawn(serve(listener, app).into_future());
    (port, receiver)
}

/// The first message of a client that names this version, and no later one in an extension.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    // No session; one suite, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; no compression.
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // P-256; uncompressed points; ECDSA with P-256 and SHA-256; extended master secret.
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
        &[0, 23, 0, 0],
    ]
    .concat();
    hello.extend([0, u8::try_from(extensions.len()).unwrap()]);
    hello.extend(extensions);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    message.extend(hello);
    message
}

/// Kind and content of the first record that answers a hello, which is not encrypted.
async fn answer_to(version: [u8; 2], port: u16) -> (u8, Vec<u8>) {
    let hello = client_hello(version);
    let mut record = vec![22, 3, 1, 0, u8::try_from(hello.len()).unwrap()];
    record.extend(hello);
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.write_all(&record).await.unwrap();
    let (kind, _, content) = record_from(&mut tcp).await.expect("an answer");
    if kind == 21 {
        assert_eq!(record_from(&mut tcp).await, None, "and the end");
    }
    (kind, content)
}

/// Kind, version and content of a record, unless the connection ends.
async fn record_from(tcp: &mut TcpStream) -> Option<(u8, [u8; 2], Vec<u8>)> {
    let read = async {
        let mut head = [0; 5];
        tcp.read_exact(&mut head).await.ok()?;
        let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        tcp.read_exact(&mut content).await.ok()?;
        Some((head[0], [head[1], head[2]], content))
    };
    let read = tokio::time::timeout(PATIENCE, read).await;
    read.expect("a record, or the end")
}

#[tokio::test]
async fn threats_37_and_38_an_older_version_than_is_taken_gets_an_alert() {
    let agent = agent().start().await.unwrap();
    for (tls12, versions) in [
        (false, &[[3, 1], [3, 2], [3, 3]][..]),
        (true, &[[3, 1], [3, 2]]),
    ] {
        let (port, mut reasons) = listens(&agent, tls12).await;
        for version in versions {
            let answer = answer_to(*version, port).await;
            assert_eq!(
                answer,
                (21, vec![FATAL, PROTOCOL_VERSION]),
                "{version:?} where TLS 1.2 is {tls12}"
            );
            let reason = tokio::time::timeout(PATIENCE, reasons.recv()).await;
            assert_eq!(reason.unwrap(), Some("tls"));
        }
    }
    let (port, _reasons) = listens(&agent, true).await;
    let (kind, content) = answer_to([3, 3], port).await;
    assert_eq!((kind, content[0]), (22, 2), "control: a server's hello");
}

/// A client that encrypts its records itself once hands have been shaken with TLS 1.2.
struct ByHand {
    tcp: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sent: u64,
    decrypter: Box<dyn MessageDecrypter>,
    received: u64,
}

impl ByHand {
    async fn connect(agent: &Agent, port: u16) -> Self {
        let (provider, suite) = one_old_suite();
        let authority = agent.authority(&"example.org".parse().unwrap()).unwrap();
        let svid = authority.issue(&IssueSpec::new(ALLOWED).unwrap()).unwrap();
        let chain = svid.chain().iter().cloned().map(CertificateDer::from);
        let key = PrivatePkcs8KeyDer::from(svid.key_der().to_vec());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
            .with_client_auth_cert(chain.collect(), key.into())
            .unwrap();
        config.enable_secret_extraction = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let (tcp, connection) = tls.await.unwrap().into_inner();
        let secrets = connection.dangerous_extract_secrets().unwrap();
        let (sent, ConnectionTrafficSecrets::Aes128Gcm { key, iv }) = secrets.tx else {
            panic!("another suite");
        };
        // The rest of each nonce is then the number of the record, which no record before had.
        let encrypter = suite.aead_alg.encrypter(key, &iv.as_ref()[..4], &[0; 8]);
        let (received, ConnectionTrafficSecrets::Aes128Gcm { key, iv }) = secrets.rx else {
            panic!("another suite");
        };
        let decrypter = suite.aead_alg.decrypter(key, &iv.as_ref()[..4]);
        let mut client = Self {
            tcp,
            encrypter,
            sent: 0,
            decrypter,
            received,
        };
        // Some providers want to see the numbers from the first on. These are never sent.
        while client.sent < sent {
            client.sealed(ContentType::ApplicationData, &[]);
        }
        client
    }

    fn sealed(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        let record = self.encrypter.encrypt(message, self.sent).unwrap();
        self.sent += 1;
        record.encode()
    }

    async fn send(&mut self, kind: ContentType, content: &[u8]) {
        let record = self.sealed(kind, content);
        self.tcp.write_all(&record).await.unwrap();
    }

    /// The next record that comes, unless the connection ends.
    async fn receive(&mut self) -> Option<(ContentType, Vec<u8>)> {
        let (kind, version, mut content) = record_from(&mut self.tcp).await?;
        let version = ProtocolVersion::from(u16::from_be_bytes(version));
        let record = InboundOpaqueMessage::new(kind.into(), version, &mut content);
        let record = self.decrypter.decrypt(record, self.received).unwrap();
        self.received += 1;
        Some((record.typ, record.payload.to_vec()))
    }

    async fn is_served(&mut self) {
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        self.send(ContentType::ApplicationData, request).await;
        let (kind, answer) = self.receive().await.expect("an answer");
        assert_eq!(kind, ContentType::ApplicationData);
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

fn one_old_suite() -> (Arc<CryptoProvider>, &'static Tls12CipherSuite) {
    let mut provider = spiffe_verify::default_provider().unwrap().as_ref().clone();
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    let [SupportedCipherSuite::Tls12(suite)] = provider.cipher_suites[..] else {
        panic!("no suite of TLS 1.2");
    };
    (Arc::new(provider), suite)
}

#[tokio::test]
async fn threats_41_nobody_renegotiates() {
    let agent = agent().start().await.unwrap();
    let (port, mut reasons) = listens(&agent, true).await;
    let mut client = ByHand::connect(&agent, port).await;
    client.is_served().await;
    assert_eq!(reasons.recv().await, Some("full"));

    let hello = client_hello([3, 3]);
    client.send(ContentType::Handshake, &hello).await;
    let refused = client.receive().await;
    assert_eq!(
        refused,
        Some((ContentType::Alert, vec![WARNING, NO_RENEGOTIATION]))
    );
    // It may go on as it was, and not insist.
    client.is_served().await;
    client.send(ContentType::Handshake, &hello).await;
    let goodbye = Some((ContentType::Alert, vec![WARNING, CLOSE_NOTIFY]));
    assert_eq!(client.receive().await, goodbye);
    assert_eq!(client.receive().await, None, "the connection ends");
    assert!(reasons.try_recv().is_err(), "there was one handshake");
}
