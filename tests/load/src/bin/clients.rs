//! Own SVIDs on both sides rotate every 50 ms while the clients that people use make requests: ours
//! over HTTP/2, tonic's with calls and streams, and reqwest's. Connections are retired a fifth of a
//! second after a rotation, all the time. No request may fail, no stream may break, and the number
//! of open files stays bounded.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that only tests run"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use integration::grpc::{self, Whoami};
use integration::handed::{handed, issue, material};
use integration::{ALLOWED, SERVER};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_connector::{Connector, GrpcChannel, HttpClient, reqwest};
use spiffe_devkit::Authority;
use tokio::task::JoinSet;

const EVERY: Duration = Duration::from_millis(50);
const RETIRE_AFTER: Duration = Duration::from_millis(200);
const OF_EACH: usize = 4;
const MESSAGES: usize = 10;
/// Far above what so few clients need while some of their connections drain: each is two files here.
const MOST_FILES: usize = 400;

#[derive(Default)]
struct Counts {
    over: AtomicBool,
    done: [AtomicUsize; 5],
    failed: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Call,
    Stream,
    Long,
    Reqwest,
}

const NAMES: [&str; 5] = [
    "HTTP/2 requests",
    "calls",
    "streams",
    "messages of streams that stay",
    "requests by reqwest",
];

#[derive(Clone)]
struct Clients {
    uri: Uri,
    http: HttpClient<Empty<Bytes>>,
    channel: GrpcChannel,
    reqwest: reqwest::Client,
    counts: Arc<Counts>,
}

impl Clients {
    async fn work(self, kind: Kind) {
        while !self.counts.over.load(Ordering::Relaxed) {
            if let Err(error) = self.once(kind).await {
                eprintln!("{error}");
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn once(&self, kind: Kind) -> Result<(), String> {
        match kind {
            Kind::Http => {
                let response = self.http.get(self.uri.clone()).await;
                let response = response.map_err(|error| error.to_string())?;
                let body = response.into_body().collect().await;
                body.map_err(|error| error.to_string())?;
            }
            Kind::Call => {
                let said = grpc::once(self.channel.clone()).await;
                said.map_err(|status| status.to_string())?;
            }
            Kind::Stream => self.read(MESSAGES, None).await?,
            Kind::Long => return self.read(usize::MAX, Some(kind)).await,
            Kind::Reqwest => {
                let response = self.reqwest.get(self.uri.to_string()).send().await;
                let response = response.map_err(|error| format!("{error:?}"))?;
                response
                    .bytes()
                    .await
                    .map_err(|error| format!("{error:?}"))?;
            }
        }
        self.count(kind);
        Ok(())
    }

    async fn read(&self, messages: usize, counted: Option<Kind>) -> Result<(), String> {
        let stream = grpc::forever(self.channel.clone()).await;
        let mut stream = stream.map_err(|status| status.to_string())?;
        for _ in 0..messages {
            let message = stream.message().await;
            let message = message.map_err(|status| status.to_string())?;
            message.ok_or("a stream without end has ended")?;
            if let Some(kind) = counted {
                self.count(kind);
                if self.counts.over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn count(&self, kind: Kind) {
        let index = match kind {
            Kind::Http => 0,
            Kind::Call => 1,
            Kind::Stream => 2,
            Kind::Long => 3,
            Kind::Reqwest => 4,
        };
        if let Some(done) = self.counts.done.get(index) {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
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
    let listener = Acceptor::builder(server);
    let listener = listener.bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/", get(async || "ok"))
        .route_service("/test.Whoami/{*rest}", Whoami);
    tokio::spawn(serve(listener, app).into_future());
    let connector = Connector::new(client, SERVER).unwrap();
    let connector = connector.retire_after(RETIRE_AFTER);
    let counts = Arc::<Counts>::default();
    let clients = Clients {
        uri: format!("{origin}/").parse().unwrap(),
        http: connector.http_client(),
        channel: connector.grpc_channel(origin).unwrap(),
        reqwest: connector.reqwest().unwrap().build().unwrap(),
        counts: counts.clone(),
    };
    let mut working = JoinSet::new();
    for kind in [
        Kind::Http,
        Kind::Call,
        Kind::Stream,
        Kind::Long,
        Kind::Reqwest,
    ] {
        for _ in 0..OF_EACH {
            working.spawn(clients.clone().work(kind));
        }
    }
    let (began, mut rotations, mut most_files) = (Instant::now(), 0, 0);
    let mut beat = tokio::time::interval(EVERY);
    while began.elapsed() < lasts {
        beat.tick().await;
        server_material.send_replace(fresh(SERVER));
        client_material.send_replace(fresh(ALLOWED));
        rotations += 1;
        most_files = most_files.max(open_files());
    }
    counts.over.store(true, Ordering::Relaxed);
    working.join_all().await;

    let failed = counts.failed.load(Ordering::Relaxed);
    println!(
        "{rotations} rotations on each side in {:.0?}; {failed} failed; at most {most_files} open files",
        began.elapsed()
    );
    let done = counts
        .done
        .each_ref()
        .map(|done| done.load(Ordering::Relaxed));
    for (done, name) in done.iter().zip(NAMES) {
        println!("{done} {name}");
    }
    let enough = done.iter().all(|done| *done > 100);
    ExitCode::from(u8::from(failed > 0 || most_files > MOST_FILES || !enough))
}
