//! A server for half an hour, while SVIDs rotate and clients in another process come, go, ask, stall and
//! break off: its memory, files and tasks stay where they were.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use integration::place::resident;
use integration::{SERVER, agent};
use load::process::{another, open_files, open_many_files};
use load::{Dial, Http};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

const ROTATE_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What allocators and caches may still take after they have warmed up.
const MORE_KIB: u64 = 16 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    open_many_files();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [part, endpoint, port] = arguments.as_slice()
        && part == "churn"
    {
        churn(endpoint, port.parse().unwrap()).await;
        return ExitCode::SUCCESS;
    }
    let lasts = load::seconds(1800);
    let agent = agent().start().await.unwrap();
    let source = Source::workload_api().endpoint(agent.endpoint("server").unwrap());
    let source = source.connect().await.unwrap();
    let listener = Acceptor::builder(source.clone());
    let listener = listener
        .handshake_timeout(Duration::from_secs(2))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let app = Router::new()
        .route("/", get(async || "ok"))
        .route(
            "/slow",
            get(async || tokio::time::sleep(Duration::from_millis(50)).await),
        )
        .route("/panic", get(panics));
    std::panic::set_hook(Box::new(|_| {}));
    let server = tokio::spawn(serve(listener, app).into_future());
    let mut churn = another(&["churn", agent.endpoint("allowed").unwrap(), &port]);

    let began = Instant::now();
    let (mut looks, mut rotations) = (Vec::new(), 0);
    let mut rotate = tokio::time::interval(ROTATE_EVERY);
    let mut look = tokio::time::interval(LOOK_EVERY);
    while began.elapsed() < lasts {
        tokio::select! {
            _ = rotate.tick() => {
                agent.rotate_svids();
                rotations += 1;
            }
            _ = look.tick() => {
                let tasks = Handle::current().metrics().num_alive_tasks();
                looks.push((resident(), open_files(), tasks));
            }
        }
    }
    // Says what it has done once it is told to end.
    drop(churn.stdin.take());
    let out = churn.stdout.take().unwrap();
    let done = BufReader::new(out).lines().next_line().await.unwrap();
    churn.wait().await.unwrap();
    println!(
        "{rotations} rotations in {:.0?}; {}",
        began.elapsed(),
        done.unwrap()
    );
    assert!(!server.is_finished());

    let quarter = looks.len() / 4;
    let average = |looks: &[(u64, usize, usize)]| {
        let count = looks.len().max(1);
        (
            looks.iter().map(|look| look.0).sum::<u64>() / u64::try_from(count).unwrap(),
            looks.iter().map(|look| look.1).sum::<usize>() / count,
            looks.iter().map(|look| look.2).sum::<usize>() / count,
        )
    };
    let first = average(looks.get(quarter..2 * quarter).unwrap_or_default());
    let last = average(looks.get(looks.len() - quarter..).unwrap_or_default());
    for (name, (memory, files, tasks)) in [("second quarter", first), ("last quarter", last)] {
        println!("{name}: {memory} KiB, {files} files, {tasks} tasks on average");
    }
    let flat = last.0 <= first.0 + MORE_KIB && last.1 <= first.1 + 50 && last.2 <= first.2 + 100;
    ExitCode::from(u8::from(!flat))
}

async fn panics() -> &'static str {
    std::panic::panic_any("on purpose")
}

async fn churn(endpoint: &str, port: u16) {
    let source = Source::workload_api().endpoint(endpoint);
    let source = source.connect().await.unwrap();
    let tls = ClientTls::new(source, SERVER.parse().unwrap()).unwrap();
    let dial = Dial { tls, port };
    let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let mut clients = JoinSet::new();
    for n in 0..6 {
        clients.spawn(come_and_go(dial.clone(), n, counts.clone()));
    }
    clients.spawn(break_off(port));
    let mut end = String::new();
    let _ = BufReader::new(tokio::io::stdin()).read_line(&mut end).await;
    clients.abort_all();
    let [connections, requests, failed] = &*counts;
    println!(
        "{} connections, {} requests, {} failed",
        connections.load(Ordering::Relaxed),
        requests.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed)
    );
}

async fn come_and_go(dial: Dial, n: usize, counts: Arc<[AtomicUsize; 3]>) {
    let [connections, requests, failed] = &*counts;
    let http = if n.is_multiple_of(2) {
        Http::One
    } else {
        Http::Two
    };
    loop {
        let Ok(mut open) = dial.connect(http, Ipv4Addr::LOCALHOST.into()).await else {
            failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        connections.fetch_add(1, Ordering::Relaxed);
        for path in ["/", "/slow", "/"] {
            requests.fetch_add(1, Ordering::Relaxed);
            if !matches!(open.get(path).await, Ok(StatusCode::OK)) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Whether the connection outlives it depends on the version of HTTP.
        let _ = tokio::time::timeout(Duration::from_millis(20), open.get("/panic")).await;
    }
}

/// Clients that never finish what they begin.
async fn break_off(port: u16) {
    loop {
        if let Ok(mut tcp) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            let _ = tcp.write_all(&[0x16, 3, 1, 2, 0, 1]).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
