//! What clients may do at the TLS port and in the first request, and what they get. The numbers are those
//! of the project's list of threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod tls12;

use std::sync::Arc;
use std::time::Duration;

use integration::client::{Dialer, ask, read_until};
use integration::{ALLOWED, Caller, Server, agent, source};
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
async fn threats_48_a_flood_of_key_updates_ends_the_connection() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    let after = async |updates: usize| {
        let mut io = dialer.dial(server.port, "http/1.1").await?;
        for _ in 0..updates {
            io.get_mut().1.refresh_traffic_keys().unwrap();
        }
        let asked = async {
            ask(&mut io, "/").await?;
            read_until(&mut io, ALLOWED).await
        };
        let answered = tokio::time::timeout(Duration::from_secs(20), asked).await;
        answered.expect("an answer, or the end")
    };
    after(32).await.expect("control: so many are no flood");
    assert_eq!(server.handled(), 1);
    for flood in [33, 10_000] {
        after(flood).await.unwrap_err();
    }
    assert_eq!(server.handled(), 1, "what comes after a flood is not read");
    after(0).await.expect("others are served");
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

/// Asks for `/` over HTTP/1.1 and tells the status.
async fn status_of(head: &str, dialer: &Dialer, port: u16) -> String {
    let io = dialer.dial(port, "http/1.1").await.unwrap();
    let head = format!("{head}\r\nconnection: close\r\n\r\n");
    let answer = answer_to(&head, io).await;
    answer.chars().take("HTTP/1.1 200".len()).collect()
}

/// `GET /` over HTTP/2, of an authority and with a `host` beside it.
async fn status_with(authority: &str, host: &str, dialer: &Dialer, port: u16) -> u16 {
    let io = dialer.dial(port, "h2").await.unwrap();
    let (mut requests, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("https://{authority}/")).header("host", host);
    let request = request.body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    response.await.unwrap().status().as_u16()
}

const DISAGREE: [&str; 3] = [
    "GET https://evil.test/ HTTP/1.1\r\nhost: localhost",
    "GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.test",
    "GET https://localhost/ HTTP/1.1\r\nhost: evil.test",
];

#[tokio::test]
async fn threats_61_a_request_has_one_authority() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    for head in DISAGREE {
        let status = status_of(head, &dialer, server.port).await;
        assert_eq!(status, "HTTP/1.1 400", "{head}");
    }
    let status = status_with("localhost", "evil.test", &dialer, server.port).await;
    assert_eq!(status, 400);
    assert_eq!(server.handled(), 0);
    for head in [
        "GET https://localhost/ HTTP/1.1\r\nhost: localhost",
        "GET / HTTP/1.1\r\nhost: localhost",
    ] {
        let status = status_of(head, &dialer, server.port).await;
        assert_eq!(status, "HTTP/1.1 200", "{head}");
    }
    let status = status_with("localhost", "localhost", &dialer, server.port).await;
    assert_eq!(status, 200);
    assert_eq!(server.handled(), 3);
}
