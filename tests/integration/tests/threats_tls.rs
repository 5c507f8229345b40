//! What clients may do at the TLS port and in the first request, and what they get. The numbers are those
//! of the project's list of threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use integration::{Caller, Server, agent, source};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error};
use spiffe_devkit::Agent;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

async fn config(agent: &Agent) -> ClientConfig {
    let source = source(agent, "allowed", &[]).await;
    let tls = ClientTls::new(source, integration::SERVER.parse().unwrap()).unwrap();
    tls.current().unwrap().config().as_ref().clone()
}

async fn connect(config: ClientConfig, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

async fn answer_to(request: &str, mut tls: TlsStream<TcpStream>) -> String {
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tls.read_to_end(&mut answer));
    let _ = read.await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn threats_39_a_client_need_not_name_the_server() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut config = config(&agent).await;
    config.enable_sni = false;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = connect(config, server.port).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(answer_to(request, tls).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn threats_40_nobody_speaks_a_protocol_that_is_not_served() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut config = config(&agent).await;
    config.alpn_protocols = vec![b"imap".to_vec()];
    let error = connect(config, server.port).await.unwrap_err();
    let refused = spiffe_tls::refused_with::<Error>(&error);
    assert!(
        matches!(
            refused,
            Some(Error::AlertReceived(
                AlertDescription::NoApplicationProtocol
            ))
        ),
        "{error}"
    );
}

#[tokio::test]
async fn threats_47_who_breaks_off_leaves_nothing_behind() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "allowed", &[], &server).await;
    caller.get("/").await.unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for n in 0..200 {
        let mut tcp = TcpStream::connect(("127.0.0.1", server.port))
            .await
            .unwrap();
        if n % 2 == 0 {
            tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
        }
        // Closed with a reset.
        tcp.set_zero_linger().unwrap();
    }
    let settles = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), settles).await;
    assert!(settled.is_ok(), "{before} tasks, then {}", tasks());
}

#[tokio::test]
async fn threats_56_a_request_with_two_lengths_is_none() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut config = config(&agent).await;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    for (smuggled, status) in [
        ("content-length: 5\r\ncontent-length: 6\r\n", "400"),
        ("content-length: +5\r\n", "400"),
        ("host : evil\r\n", "400"),
        ("x: y\r\n folded\r\n", "400"),
    ] {
        let handled = server.handled();
        let tls = connect(config.clone(), server.port).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{smuggled}\r\nhello");
        let answer = answer_to(&request, tls).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{smuggled:?}: {answer}"
        );
        assert_eq!(server.handled(), handled, "{smuggled:?}");
    }
}
