//! A server as a process of its own, so that a test can bound what it may open: `few-files SOCKET`, the
//! endpoint of its Workload API. It says its port, then its log, and ends with its standard input.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a part of the tests"
)]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use spiffe_acceptor::{Acceptor, serve};
use spiffe_source::Source;
use tokio::io::AsyncReadExt as _;

/// So that nothing becomes free because somebody has waited long enough.
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() {
    let endpoint = std::env::args().nth(1).expect("few-files SOCKET");
    let source = Source::workload_api().endpoint(endpoint).connect().await;
    let listener = Acceptor::builder(source.expect("an SVID"))
        .handshake_timeout(HOUR)
        .bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    println!("{}", listener.local_addr().expect("a port").port());
    tracing_subscriber::fmt().with_ansi(false).init();
    let app = Router::new().route("/", get(async || "served"));
    let server = serve(listener, app).header_timeout(HOUR).idle_timeout(HOUR);
    let server = server.with_graceful_shutdown(async {
        let mut rest = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut rest).await;
    });
    server.await.expect("nothing is in flight");
}
