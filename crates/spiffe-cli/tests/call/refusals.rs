//! Where no request goes out: the wrong server, no agent, and what cannot be used.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::stage::{CLIENT, SERVER, agent, call, listener, run, spiffectl};

const OTHER: &str = "spiffe://example.org/service/other";

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, record: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        record.lock().unwrap().extend_from_slice(&buffer[..read]);
        if record.lock().unwrap().ends_with(b"\r\n\r\n") {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            let _ = stream.write_all(answer).await;
            let _ = stream.flush().await;
        }
    }
}

/// A server of HTTP/1.1 that keeps every byte that it gets from within TLS.
async fn recorder(agent: &spiffe_devkit::Agent) -> (String, Arc<Mutex<Vec<u8>>>) {
    let (mut listener, address) = listener(agent).await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let record = received.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await;
            tokio::spawn(answer(stream, record.clone()));
        }
    });
    (format!("https://{address}/"), received)
}

#[tokio::test]
async fn the_wrong_server_gets_no_byte_of_the_request() {
    let agent = agent().await;
    let (url, received) = recorder(&agent).await;
    for expected in [
        OTHER,
        "spiffe://example.org/ns/shop/**",
        "spiffe://other.org/service/payments",
    ] {
        let arguments = [&url, "--expect", expected, "--http1", "-H", "x-call: wrong"];
        let called = run(spiffectl(agent.endpoint("client"), &arguments)).await;
        assert_eq!(called.status, Some(1), "{called:?}");
        assert_eq!(called.out, "");
        for told in [
            &format!("the server is {SERVER}, expected was {expected}"),
            "either the wrong server answers, or the wrong ID is expected",
        ] {
            assert!(called.err.contains(told), "{told}: {called:?}");
        }
    }
    let called = call(&agent, &url, &["--http1", "-H", "x-call: right"]).await;
    assert_eq!((called.status, called.out.as_str()), (Some(0), "ok"));
    let received = String::from_utf8(received.lock().unwrap().clone()).unwrap();
    assert!(received.starts_with("GET / HTTP/1.1\r\n"), "{received}");
    assert_eq!(received.matches("x-call: ").count(), 1, "{received}");
    assert!(received.contains("x-call: right\r\n"), "{received}");
}

/// A server with this SVID that speaks HTTP/1.1 alone, and in the handshake says this.
async fn old_server(svid: &Path, protocols: &[&str]) -> (String, Arc<Mutex<Vec<u8>>>) {
    let chain = CertificateDer::pem_file_iter(svid.join("svid.pem"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(svid.join("svid_key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().into())
        .collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let received = Arc::new(Mutex::new(Vec::new()));
    let record = received.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(tcp).await {
                tokio::spawn(answer(stream, record.clone()));
            }
        }
    });
    (url, received)
}

#[tokio::test]
async fn a_server_without_http2_gets_no_request_where_that_is_demanded() {
    let agent = agent().await;
    let scratch = tempfile::tempdir().unwrap();
    let mut write = tokio::process::Command::new(env!("CARGO_BIN_EXE_spiffectl"));
    write.args(["svid", "write", "--dir"]).arg(scratch.path());
    write.args(["--socket", agent.endpoint("server").unwrap()]);
    assert_eq!(run(write).await.status, Some(0));
    for (protocols, told) in [
        ([].as_slice(), "does not speak HTTP/2"),
        (
            &["http/1.1"],
            "none of the protocols that this client offers",
        ),
    ] {
        let (url, received) = old_server(scratch.path(), protocols).await;
        for option in ["--http2", "--grpc-health"] {
            let called = call(&agent, &url, &[option]).await;
            assert_eq!(called.status, Some(1), "{called:?}");
            assert!(called.err.contains(told), "{called:?}");
        }
        assert!(received.lock().unwrap().is_empty());
        for options in [[].as_slice(), &["--http1"]] {
            let called = call(&agent, &url, options).await;
            assert_eq!((called.status, called.out.as_str()), (Some(0), "ok"));
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_client_says_so() {
    let agent = agent().await;
    let source = spiffe_source::Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .connect()
        .await
        .unwrap();
    let listener = spiffe_acceptor::Acceptor::builder(source)
        .admit(spiffe_acceptor::Admission::ids([OTHER]).unwrap())
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new();
    tokio::spawn(spiffe_acceptor::serve(listener, app).into_future());
    for protocol in ["--http1", "--http2"] {
        let called = call(&agent, &url, &[protocol]).await;
        assert_eq!(called.status, Some(1), "{called:?}");
        assert!(
            called.err.contains("the server refused this client"),
            "{called:?}"
        );
    }
}

#[tokio::test]
async fn without_an_identity_nobody_is_called() {
    let agent = agent().await;
    let (url, received) = recorder(&agent).await;
    for (endpoint, status, told) in [
        (None, 2, "SPIFFE_ENDPOINT_SOCKET"),
        (Some("unix:///nonexistent/agent.sock"), 1, "agent"),
        (agent.endpoint("stranger"), 1, "entry"),
    ] {
        let arguments = [&url, "--expect", SERVER, "--wait", "1"];
        let called = run(spiffectl(endpoint, &arguments)).await;
        assert_eq!(called.status, Some(status), "{endpoint:?}: {called:?}");
        assert!(called.err.contains(told), "{endpoint:?}: {called:?}");
    }
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_is_told() {
    let agent = agent().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", port.local_addr().unwrap());
    drop(port);
    for options in [[].as_slice(), &["--grpc-health"], &["--grpc-list"]] {
        let called = call(&agent, &url, options).await;
        assert_eq!(called.status, Some(1), "{called:?}");
        assert!(called.err.contains("is it running"), "{called:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_told_before_an_agent_is_asked() {
    let url = "https://orders.internal/";
    let expect = ["--expect", CLIENT];
    for (arguments, told) in [
        (["http://orders.internal/"].as_slice(), "scheme https"),
        (&["https://me:secret@orders.internal/"], "has a user"),
        (&["https://orders.internal/#a"], "fragment"),
        (&["orders.internal/a"], "no scheme"),
        (&[url, "-X", "A B"], "no method"),
        (&[url, "-X", "CONNECT"], "for proxies"),
        (&[url, "-H", "nothing"], "NAME: VALUE"),
        (&[url, "-H", "a b: secret"], "no name"),
        (&[url, "-H", "a: secret\nb: c"], "none may have"),
        (&[url, "-H", "Host: elsewhere"], "cannot be set"),
        (&[url, "-H", "content-length: 1"], "cannot be set"),
        (&[url, "-H", "Transfer-Encoding: chunked"], "cannot be set"),
        (&[url, "--max-time", "0"], "above 0"),
        (&[url, "--max-time", "nan"], "above 0"),
        (&[url, "--http1", "--http2"], "cannot be used with"),
        (
            &[url, "--grpc-health", "--grpc-list"],
            "cannot be used with",
        ),
        (&[url, "--grpc-health", "-d", "a"], "cannot be used with"),
        (&[url, "--grpc-list", "--http1"], "cannot be used with"),
        (
            &["https://orders.internal/a", "--grpc-health"],
            "has no path",
        ),
    ] {
        let called = run(spiffectl(None, &[arguments, &expect].concat())).await;
        assert_eq!(called.status, Some(2), "{arguments:?}: {called:?}");
        assert!(called.err.contains(told), "{arguments:?}: {called:?}");
        assert!(!called.err.contains("secret@"), "{called:?}");
    }
    for (arguments, told) in [
        ([url].as_slice(), "--expect"),
        (&[url, "--expect", "*"], "expected server"),
        (&[url, "--expect", "spiffe://*/a"], "expected server"),
        (&[url, "--expect", "orders.internal"], "expected server"),
        (&[url, "--expect", ""], "expected server"),
    ] {
        let called = run(spiffectl(None, arguments)).await;
        assert_eq!(called.status, Some(2), "{arguments:?}: {called:?}");
        assert!(called.err.contains(told), "{arguments:?}: {called:?}");
    }
}
