//! The plain listener: what it answers, what it does not, and that nobody can hold it up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::net::SocketAddr;
use std::time::Duration;

use integration::{agent, source};
use spiffe_acceptor::Probes;
use spiffe_acceptor::config::Config;
use spiffe_source::Source;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Probes of a source, and what ends them.
fn start(probes: Probes, source: &Source) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let address = probes.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = probes.run_until(source.clone(), async {
        let _ = stopped.await;
    });
    (address, stop, tokio::spawn(running))
}

/// All that is answered to these bytes until the connection closes.
async fn answer(address: SocketAddr, request: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is cut has answered what it has answered.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    timeout(PATIENCE, asked).await.expect("an answer in time")
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let told = answer(
        address,
        &format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
    )
    .await;
    let (head, body) = told
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{told:?}"));
    let status = head
        .lines()
        .next()
        .unwrap()
        .strip_prefix("HTTP/1.1 ")
        .unwrap();
    (status.split_at(3).0.to_owned(), body.to_owned())
}

#[tokio::test]
async fn it_answers_probes_and_metrics_and_nothing_else() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let probes = Probes::bind("127.0.0.1:0").await.unwrap();
    let probes = probes.metrics(|| "orders_total 3\n".to_owned());
    let (address, _stop, _task) = start(probes, &source);
    for (method, path, status, body) in [
        ("GET", "/live", "200", "ready"),
        ("GET", "/ready", "200", "ready"),
        ("HEAD", "/ready", "200", ""),
        ("GET", "/metrics", "200", "orders_total 3\n"),
        ("HEAD", "/metrics", "200", ""),
        ("POST", "/live", "405", ""),
        ("DELETE", "/metrics", "405", ""),
        ("CONNECT", "x:1", "404", ""),
        ("GET", "/", "404", ""),
        ("GET", "/api/hello", "404", ""),
        ("GET", "/live/", "404", ""),
        ("GET", "/LIVE", "404", ""),
    ] {
        let told = ask(address, method, path).await;
        assert_eq!(
            told,
            (status.to_owned(), body.to_owned()),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn without_metrics_there_are_none() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let config = Config::new().probes_address(":0");
    let probes = config.probes().await.unwrap().expect("it is on");
    assert!(probes.local_addr().unwrap().ip().is_loopback());
    let (address, _stop, _task) = start(probes, &source);
    assert_eq!(ask(address, "GET", "/metrics").await.0, "404");
}

#[tokio::test]
async fn what_has_ended_is_not_alive() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let (address, _stop, _task) = start(Probes::bind("127.0.0.1:0").await.unwrap(), &source);
    source.close();
    assert_eq!(ask(address, "GET", "/live").await.0, "503");
    assert_eq!(ask(address, "GET", "/ready").await.0, "503");
}

#[tokio::test]
async fn a_connection_answers_one_request_of_limited_size() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let (address, _stop, _task) = start(Probes::bind("127.0.0.1:0").await.unwrap(), &source);

    let one = "GET /live HTTP/1.1\r\nhost: x\r\n\r\n";
    let told = answer(address, &one.repeat(3)).await;
    assert_eq!(told.matches("HTTP/1.1 ").count(), 1, "{told}");

    let long = format!("GET /live HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9 * 1024));
    let told = answer(address, &long).await;
    assert!(!told.contains("200 OK"), "{told}");
    let many = format!("GET /live HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(33));
    let told = answer(address, &many).await;
    assert!(!told.contains("200 OK"), "{told}");
    let told = answer(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!told.contains("200 OK"), "{told}");
    assert_eq!(ask(address, "GET", "/live").await.0, "200");
}

#[tokio::test]
async fn who_holds_on_keeps_nobody_from_an_answer() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let (address, _stop, _task) = start(Probes::bind("127.0.0.1:0").await.unwrap(), &source);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(ask(address, "GET", "/ready").await.0, "200");
    // More than a third of them have given way already, long before any deadline.
    let mut first = silent.swap_remove(0);
    let closed = timeout(Duration::from_secs(3), first.read(&mut [0])).await;
    assert!(matches!(
        closed.expect("the oldest gives way"),
        Ok(0) | Err(_)
    ));
}

#[tokio::test]
async fn it_ends_when_told() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let (address, stop, task) = start(Probes::bind("127.0.0.1:0").await.unwrap(), &source);
    let _silent = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    timeout(PATIENCE, task).await.expect("in time").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
