//! Thousands of clients that begin a handshake and do not go on, from another process and many addresses,
//! and one honest client beside them, in a third process: what its connections take, and what a
//! pending handshake costs the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use integration::place::resident;
use integration::{SERVER, agent};
use load::process::{another, open_many_files};
use load::{Dial, Http, Spread};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Child;

const STALLED: usize = 9_000;
/// One address for so many stalled clients: a quota for each address does not stop them.
const AN_ADDRESS: usize = 50;
const HONEST: Duration = Duration::from_secs(8);
const SHAPES: [&str; 3] = ["silent", "half", "hello"];

#[tokio::main]
async fn main() -> ExitCode {
    open_many_files();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["stall", port, shape] => stall(port.parse().unwrap(), shape).await,
        ["honest", port, endpoint] => honest(port.parse().unwrap(), endpoint).await,
        _ => return measure().await,
    }
    ExitCode::SUCCESS
}

async fn measure() -> ExitCode {
    let agent = agent().start().await.unwrap();
    let endpoint = agent.endpoint("allowed").unwrap();
    let source = Source::workload_api().endpoint(agent.endpoint("server").unwrap());
    let source = source.connect().await.unwrap();
    let mut held = true;
    for (what, most) in [("as it comes", None), ("up to 10000 pending", Some(10_000))] {
        for shape in SHAPES {
            let mut acceptor = Acceptor::builder(source.clone());
            if let Some(most) = most {
                acceptor = acceptor
                    .max_pending_handshakes(most)
                    .handshake_timeout(Duration::from_secs(600));
            }
            let listener = acceptor.bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port().to_string();
            let app = Router::new().route("/", get(async || "ok"));
            let server = tokio::spawn(serve(listener, app).into_future());

            let before_attack = said(&mut another(&["honest", &port, endpoint])).await;
            let memory = resident();
            let mut attack = another(&["stall", &port, shape]);
            assert_eq!(said(&mut attack).await, "stalled");
            let pending = resident().saturating_sub(memory);
            let during = said(&mut another(&["honest", &port, endpoint])).await;
            attack.kill().await.unwrap();
            server.abort();
            println!("{what}, {STALLED} {shape}: before it {before_attack}; beside it {during}");
            if let Some(most) = most {
                let each = pending * 1024 / u64::try_from(STALLED.min(most)).unwrap();
                println!(
                    "    {} KiB more, {each} bytes for each pending handshake",
                    pending
                );
            }
            held &= during.contains(" 0 failed");
        }
    }
    ExitCode::from(u8::from(!held))
}

/// The one line that a part of this program says.
async fn said(child: &mut Child) -> String {
    let out = child.stdout.as_mut().unwrap();
    let line = BufReader::new(out).lines().next_line().await.unwrap();
    line.expect("it says something")
}

async fn stall(port: u16, shape: &str) {
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let group = u8::try_from(n / AN_ADDRESS).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 1, group), 0).into())
            .unwrap();
        let mut tcp = socket
            .connect((Ipv4Addr::LOCALHOST, port).into())
            .await
            .unwrap();
        let hello = client_hello();
        match shape {
            "silent" => {}
            "half" => tcp.write_all(&hello[..hello.len() / 2]).await.unwrap(),
            // The server's whole flight is sent, and never answered.
            _ => {
                tcp.write_all(&hello).await.unwrap();
                let _ = tcp.read(&mut [0; 64]).await;
            }
        }
        stalled.push(tcp);
    }
    println!("stalled");
    wait_for_the_end(stalled).await;
}

async fn wait_for_the_end(_kept: Vec<TcpStream>) {
    std::future::pending::<()>().await;
}

fn client_hello() -> Vec<u8> {
    let provider = spiffe_verify::default_provider().unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

async fn honest(port: u16, endpoint: &str) {
    let source = Source::workload_api().endpoint(endpoint);
    let source = source.connect().await.unwrap();
    let tls = ClientTls::builder(source, SERVER.parse().unwrap()).resumption(false);
    let dial = Dial {
        tls: tls.build().unwrap(),
        port,
    };
    let (began, mut failed, mut times) = (Instant::now(), 0, Vec::new());
    while began.elapsed() < HONEST {
        let begun = Instant::now();
        let answered = async {
            let mut requests = dial.connect(Http::One, Ipv4Addr::LOCALHOST.into()).await?;
            requests.get("/").await
        };
        match answered.await {
            Ok(http::StatusCode::OK) => times.push(begun.elapsed()),
            _ => failed += 1,
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!(
        "{} connections, {failed} failed, {}",
        times.len(),
        Spread::of(times)
    );
}
