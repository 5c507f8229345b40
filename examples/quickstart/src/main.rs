//! An orders service that only payment-processor may call, with everything around it: an embedded
//! agent, callers with identities of their own, and SVIDs that rotate under steady traffic.
//!
//! Run with `cargo run -p example-quickstart`. It ends with status 0 only if every outcome was the
//! expected one.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

mod callers;
mod cases;
mod handshakes;
mod orders;
mod table;
mod traffic;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use crate::handshakes::Reasons;

type BoxError = Box<dyn Error + Send + Sync>;

const ORDERS: &str = "spiffe://example.org/service/orders";
const PAYMENT_PROCESSOR: &str = "spiffe://example.org/service/payment-processor";
const REPORTING: &str = "spiffe://example.org/service/reporting";
const INTRUDER: &str = "spiffe://elsewhere.test/service/payment-processor";

/// So short that nobody has to wait for a rotation; a real agent gives an hour.
const TTL: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> ExitCode {
    let (listener, handshakes) = Reasons::listen();
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::from_default_env());
    tracing_subscriber::registry()
        .with(log)
        .with(listener)
        .init();
    match run(handshakes).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut handshakes: Reasons) -> Result<bool, BoxError> {
    let agent = start_agent().await?;
    let source = workload(&agent, "orders").connect().await?;

    let (app, refusals) = orders::app()?;
    let listener = Acceptor::builder(source.clone())
        .bind("127.0.0.1:0")
        .await?;
    let port = listener.local_addr()?.port();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        serve(listener, app).with_graceful_shutdown(stopped).await
    });

    println!(
        "{ORDERS} listens on 127.0.0.1:{port}; SVIDs live for {} s\n",
        TTL.as_secs()
    );
    let outcomes = cases::run(&agent, port, &refusals, &mut handshakes).await?;
    println!("{}", table::render(&outcomes));

    let report = traffic::until_rotated(&agent, port, source).await?;
    println!("{report}");
    let _ = stop.send(());
    server.await??;
    agent.shutdown().await;
    Ok(outcomes.iter().all(cases::Outcome::is_expected) && report.is_clean())
}

/// One process plays every part here, so each part has a socket of its own. Real workloads share
/// the agent's socket, and are told apart by their processes.
async fn start_agent() -> Result<Agent, BoxError> {
    let entry = |id: &str, socket: &str| Ok::<_, BoxError>(Entry::new(id)?.on(socket).ttl(TTL));
    let agent = Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org")?)
        // The intruder trusts example.org, and example.org does not trust it.
        .trust_domain(TrustDomainSpec::new("elsewhere.test")?.federates_with("example.org"))
        .unix("orders")
        .unix("payment-processor")
        .unix("reporting")
        .unix("intruder")
        .entry(entry(ORDERS, "orders")?.dns("localhost"))
        .entry(entry(PAYMENT_PROCESSOR, "payment-processor")?)
        .entry(entry(REPORTING, "reporting")?)
        .entry(entry(INTRUDER, "intruder")?)
        .start()
        .await?;
    Ok(agent)
}

/// What a workload writes, but for the socket: that one comes from `SPIFFE_ENDPOINT_SOCKET`.
fn workload(agent: &Agent, socket: &str) -> spiffe_source::Builder<spiffe_source::WorkloadApi> {
    Source::workload_api().endpoint(agent.endpoint(socket).unwrap_or_default())
}
