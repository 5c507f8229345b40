//! Greets every workload of its own trust domain, over HTTP/1.1 and HTTP/2.
//!
//! Run with `SPIFFE_ENDPOINT_SOCKET=unix:///path/of/agent.sock cargo run -p example-server`, and with
//! `-- --config examples/server/server.yaml` for more than the defaults: that file shows all keys, and
//! which environment variable counts instead of each. Without it the environment alone counts, such
//! as `HTTP_ADDRESS` for where to listen (default `127.0.0.1:8443`; port 0 takes a free one).
//!
//! `--policy examples/server/policy.yaml` leaves the decisions to a policy file, which is followed: what is
//! written into it (by renaming a new file over it) is in force within a second.
//!
//! `RUST_LOG` says what to log (default `info`; `spiffe_acceptor=debug` shows handshakes that fail).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::Json;
use clap::Parser;
use serde_json::{Value, json};
use spiffe_acceptor::PeerIdentity;
use spiffe_acceptor::config::Config;
use spiffe_authz::axum::{Router, get, post};
use spiffe_authz::policy::{LivePolicy, Policy};
use tokio::signal::unix::{SignalKind, signal};

/// With what ending the process takes, ten seconds in all.
const DRAIN: Duration = Duration::from_secs(9);

/// A server that greets the workloads of its trust domain
#[derive(Debug, Parser)]
#[command(name = "server", version)]
struct Arguments {
    /// A YAML file; what the environment says counts instead of what it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A policy that decides in place of the rules in code
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let config = match arguments.config {
        Some(file) => Config::load(file)?,
        None => Config::from_env()?,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut stop = Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let app = match arguments.policy {
        Some(file) => by_policy().bind(LivePolicy::follow(Policy::loader(), file)?)?,
        None => by_rules_in_code().build()?,
    };

    let source = tokio::select! {
        source = config.source() => source?,
        () = &mut stop => return Ok(()),
    };
    let listener = config.listen(&source).await?;
    let probes = config.probes().await?;
    println!("{}", source.status());
    println!("listening on {}", listener.local_addr()?);
    if let Some(probes) = probes {
        println!("probes on {}", probes.local_addr()?);
        // As long as the process, so that a server that drains is not taken for a dead one.
        tokio::spawn(probes.run(source.clone()));
    }
    config
        .serve(listener, app)
        .with_graceful_shutdown(async move {
            stop.await;
            println!("draining");
        })
        .drain_within(DRAIN)
        .await?;
    Ok(())
}

fn by_rules_in_code() -> Router {
    Router::new()
        .route(
            "/api/hello",
            get(hello).authenticated("a greeting is for everybody here"),
        )
        .route(
            "/api/echo",
            post(echo).authenticated("it tells callers what they said"),
        )
        .route(
            "/api/identity",
            get(identity).authenticated("it tells callers who they are"),
        )
        .route(
            "/health",
            get(async || "ok\n").authenticated("it says nothing but that the server runs"),
        )
}

fn by_policy() -> Router {
    Router::new()
        .route("/api/hello", get(hello).policy())
        .route("/api/echo", post(echo).policy())
        .route("/api/identity", get(identity).policy())
        .route("/health", get(async || "ok\n").policy())
}

async fn hello(peer: PeerIdentity) -> String {
    format!("hello, {peer}\n")
}

async fn echo(body: String) -> String {
    body
}

async fn identity(peer: PeerIdentity) -> Json<Value> {
    let not_after = peer
        .not_after()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Json(json!({
        "spiffe_id": peer.as_str(),
        "trust_domain": peer.trust_domain().as_str(),
        "path": peer.path(),
        "segments": peer.segments().collect::<Vec<_>>(),
        "not_after": not_after.as_secs(),
        "method": peer.method().to_string(),
    }))
}
