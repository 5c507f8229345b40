//! Own SVIDs on both sides rotate every 50 ms while requests run on connections that stay and on
//! connections that come and go. The clients are hyper's bare connections: nothing is pooled, nothing
//! is retried. No request may fail, and no connection may end.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use integration::handed::{handed, issue, material};
use integration::{ALLOWED, SERVER};
use load::{Dial, Http, Requests, Spread};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::Authority;
use spiffe_tls::ClientTls;
use tokio::task::JoinSet;

const EVERY: Duration = Duration::from_millis(50);
const STAYING: usize = 4;
const COMING_AND_GOING: usize = 3;
const REQUESTS_A_VISIT: usize = 10;

#[derive(Default)]
struct Counts {
    over: AtomicBool,
    requests: AtomicUsize,
    handshakes: AtomicUsize,
    failed: AtomicUsize,
    dropped: AtomicUsize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let lasts = load::seconds(60);
    let authority = Authority::new("example.org").unwrap();
    let fresh = |id: &str| material(&authority, &issue(&authority, id));
    let (server, server_material) = handed(fresh(SERVER));
    let (client, client_material) = handed(fresh(ALLOWED));
    let (server, client) = (
        server.connect().await.unwrap(),
        client.connect().await.unwrap(),
    );
    let began_at = server.snapshot().revision();
    let listener = Acceptor::builder(server.clone());
    let listener = listener.bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", get(async || "ok"));
    tokio::spawn(serve(listener, app).into_future());
    let tls = ClientTls::new(client, SERVER.parse().unwrap()).unwrap();
    let dial = Dial { tls, port };

    let counts = Arc::<Counts>::default();
    let mut clients = JoinSet::new();
    for n in 0..2 * STAYING {
        clients.spawn(stay(dial.clone(), version(n), counts.clone()));
    }
    for n in 0..2 * COMING_AND_GOING {
        clients.spawn(come_and_go(dial.clone(), version(n), counts.clone()));
    }
    let (began, mut rotations) = (Instant::now(), 0);
    let mut beat = tokio::time::interval(EVERY);
    while began.elapsed() < lasts {
        beat.tick().await;
        server_material.send_replace(fresh(SERVER));
        client_material.send_replace(fresh(ALLOWED));
        rotations += 1;
    }
    counts.over.store(true, Ordering::Relaxed);
    let latencies = clients.join_all().await.into_iter().flatten().collect();

    let [requests, handshakes, failed, dropped] = [
        &counts.requests,
        &counts.handshakes,
        &counts.failed,
        &counts.dropped,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    let revisions = server.snapshot().revision() - began_at;
    println!(
        "{rotations} rotations on each side in {:.0?}, {revisions} revisions of the server; {handshakes} \
         handshakes, {requests} requests, {failed} failed; of {} connections that stay, {dropped} dropped",
        began.elapsed(),
        2 * STAYING,
    );
    println!("new connection and first answer: {}", Spread::of(latencies));
    let enough = requests > 1000 && handshakes > 100 && revisions > rotations / 2;
    ExitCode::from(u8::from(failed + dropped > 0 || !enough))
}

fn version(n: usize) -> Http {
    if n.is_multiple_of(2) {
        Http::One
    } else {
        Http::Two
    }
}

async fn stay(dial: Dial, http: Http, counts: Arc<Counts>) -> Vec<Duration> {
    let mut requests = connect(&dial, http, &counts).await.unwrap();
    while !counts.over.load(Ordering::Relaxed) {
        if !ask(&mut requests, &counts).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if requests.connection.is_finished() {
        counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
    Vec::new()
}

async fn come_and_go(dial: Dial, http: Http, counts: Arc<Counts>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while !counts.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let Some(mut requests) = connect(&dial, http, &counts).await else {
            continue;
        };
        for n in 0..REQUESTS_A_VISIT {
            ask(&mut requests, &counts).await;
            if n == 0 {
                latencies.push(began.elapsed());
            }
        }
    }
    latencies
}

async fn connect(dial: &Dial, http: Http, counts: &Counts) -> Option<Requests> {
    match dial.connect(http, Ipv4Addr::LOCALHOST.into()).await {
        Ok(requests) => {
            counts.handshakes.fetch_add(1, Ordering::Relaxed);
            Some(requests)
        }
        Err(error) => {
            println!("no connection: {error}");
            counts.failed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

async fn ask(requests: &mut Requests, counts: &Counts) -> bool {
    counts.requests.fetch_add(1, Ordering::Relaxed);
    match requests.get("/").await {
        Ok(StatusCode::OK) => return true,
        Ok(status) => println!("answered {status}"),
        Err(error) => println!("no answer: {error}"),
    }
    counts.failed.fetch_add(1, Ordering::Relaxed);
    false
}
