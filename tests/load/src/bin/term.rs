//! A server that is told to end while requests are in flight, twenty times: every request that a handler
//! has begun is answered, and the client has the answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use integration::{SERVER, agent};
use load::process::another;
use load::{Dial, Http};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

const CLIENTS: usize = 40;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [part, endpoint] = arguments.as_slice()
        && part == "serve"
    {
        be_a_server(endpoint).await;
        return ExitCode::SUCCESS;
    }
    let rounds = arguments.first().map_or(20, |n| n.parse().unwrap());
    let agent = agent().start().await.unwrap();
    let client = Source::workload_api().endpoint(agent.endpoint("allowed").unwrap());
    let client = client.connect().await.unwrap();
    let tls = ClientTls::new(client, SERVER.parse().unwrap()).unwrap();
    let (mut handled, mut answered) = (0, 0);
    for round in 0..rounds {
        let (begun, received) = one_round(agent.endpoint("server").unwrap(), &tls, round).await;
        handled += begun;
        answered += received;
    }
    let lost = handled - answered;
    println!(
        "{rounds} ends under load: {handled} requests begun by a handler, {lost} without an answer"
    );
    ExitCode::from(u8::from(lost != 0 || handled == 0))
}

async fn one_round(endpoint: &str, tls: &ClientTls, round: u64) -> (usize, usize) {
    let mut server = another(&["serve", endpoint]);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().expect("a port");
    let dial = Dial {
        tls: tls.clone(),
        port: port.parse().unwrap(),
    };
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let http = if n % 2 == 0 { Http::One } else { Http::Two };
        let dial = dial.clone();
        clients.spawn(async move {
            let mut answered = 0;
            if let Ok(mut requests) = dial.connect(http, Ipv4Addr::LOCALHOST.into()).await {
                while let Ok(StatusCode::OK) = requests.get("/").await {
                    answered += 1;
                }
            }
            answered
        });
    }
    tokio::time::sleep(Duration::from_millis(300 + 7 * round)).await;
    let id = rustix::process::Pid::from_raw(server.id().unwrap().try_into().unwrap());
    rustix::process::kill_process(id.unwrap(), rustix::process::Signal::TERM).unwrap();
    let answered = clients.join_all().await.into_iter().sum();
    let handled = lines.next_line().await.unwrap().expect("a count");
    server.wait().await.unwrap();
    (handled.parse().unwrap(), answered)
}

async fn be_a_server(endpoint: &str) {
    let source = Source::workload_api().endpoint(endpoint);
    let source = source.connect().await.unwrap();
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let handled = Arc::<AtomicUsize>::default();
    let counting = handled.clone();
    let app = Router::new().route(
        "/",
        get(async move || {
            counting.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            "done"
        }),
    );
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    serve(listener, app)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await
        .expect("all is answered in time");
    println!("{}", handled.load(Ordering::SeqCst));
}
