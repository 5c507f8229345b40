//! tonic services whose RPCs have their rules beside them, in code and in the schema, with an embedded
//! agent, and two callers that are told apart.
//!
//! Run with `cargo run -p example-orders-grpc`. It ends with status 0 only if every outcome was the
//! expected one. With `-- serve` it serves until it is interrupted, for `spiffectl call` to try it;
//! `cargo run -p example-orders-grpc -- routes` writes the routes with their rules, which
//! `spiffectl policy graph examples/orders-grpc/policy.yaml --routes FILE --format markdown` draws.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

mod caller;
mod services;

use std::error::Error;
use std::process::ExitCode;

use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;

use crate::caller::Caller;

type BoxError = Box<dyn Error + Send + Sync>;

const ORDERS: &str = "spiffe://example.org/service/orders";
const PAYMENT_PROCESSOR: &str = "spiffe://example.org/service/payment-processor";
const REPORTING: &str = "spiffe://example.org/service/reporting";

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("routes") => routes(),
        Some("serve") => serve_until_interrupted().await,
        Some(other) => {
            Err(format!("`{other}` is nothing to do; write `serve`, `routes`, or nothing").into())
        }
        None => run().await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("orders-grpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn routes() -> Result<bool, BoxError> {
    let (app, _) = services::app()?;
    println!("{}", serde_json::to_string_pretty(app.inventory())?);
    Ok(true)
}

/// A server with an agent of its own.
struct Server {
    agent: Agent,
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Server {
    async fn start() -> Result<Self, BoxError> {
        let agent = Agent::builder()
            .trust_domain(TrustDomainSpec::new("example.org")?)
            .unix("orders")
            .unix("payment-processor")
            .unix("reporting")
            .entry(Entry::new(ORDERS)?.on("orders").dns("localhost"))
            .entry(Entry::new(PAYMENT_PROCESSOR)?.on("payment-processor"))
            .entry(Entry::new(REPORTING)?.on("reporting"))
            .start()
            .await?;
        let source = workload(&agent, "orders").connect().await?;
        let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (app, streams) = services::app()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tonic::transport::Server::builder()
            .layer(PeerIdentityLayer::new())
            .layer(streams)
            .add_routes(app.into())
            .serve_with_incoming_shutdown(listener.into_incoming(), async {
                let _ = stopped.await;
            });
        let task = tokio::spawn(server);
        Ok(Self {
            agent,
            port,
            stop,
            task,
        })
    }

    async fn stop(self) -> Result<(), BoxError> {
        let _ = self.stop.send(());
        self.task.await??;
        self.agent.shutdown().await;
        Ok(())
    }
}

async fn serve_until_interrupted() -> Result<bool, BoxError> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let server = Server::start().await?;
    let socket = server.agent.endpoint("payment-processor");
    println!(
        "SPIFFE_ENDPOINT_SOCKET={} spiffectl call https://127.0.0.1:{} --expect {ORDERS} --grpc-list",
        socket.unwrap_or_default(),
        server.port
    );
    interrupts.recv().await;
    server.stop().await?;
    Ok(true)
}

async fn run() -> Result<bool, BoxError> {
    let server = Server::start().await?;
    let (agent, port) = (&server.agent, server.port);
    let payments = Caller::start(agent, "payment-processor", port).await?;
    let reporting = Caller::start(agent, "reporting", port).await?;
    let (yes, no) = (Code::Ok, Code::PermissionDenied);
    let mut expected = true;
    for (rule, rpc, expect) in [
        (
            "#[permit(\"spiffe://…/payment-processor\")]",
            "orders.v1.Orders/Create",
            [yes, no],
        ),
        ("#[permit(policy)]", "orders.v1.Orders/List", [no, yes]),
        (
            "#[permit(principal = \"billing\")]",
            "orders.v1.Orders/GetURL",
            [yes, yes],
        ),
        ("the schema: id", "orders.v1.Stock/Take", [yes, no]),
        (
            "the schema: authenticated_because",
            "orders.v1.Stock/Count",
            [yes, yes],
        ),
        (
            "Rpcs::new().authenticated(..)",
            "grpc.health.v1.Health/Check",
            [yes, yes],
        ),
        ("none", "grpc.health.v1.Health/Watch", [no, no]),
        ("none", "orders.v1.Nothing/Create", [no, no]),
    ] {
        println!("{rpc}, rule: {rule}");
        for (caller, expect) in [&payments, &reporting].into_iter().zip(expect) {
            let code = caller.call(rpc).await?;
            let as_expected = code == expect;
            expected &= as_expected;
            let word = if as_expected {
                "as expected"
            } else {
                "UNEXPECTED"
            };
            println!("  {:<18} {code:?} ({word})", caller.name());
        }
    }
    drop((payments, reporting));
    server.stop().await?;
    Ok(expected)
}

/// What a workload writes, but for the socket: that one comes from `SPIFFE_ENDPOINT_SOCKET`.
fn workload(agent: &Agent, socket: &str) -> spiffe_source::Builder<spiffe_source::WorkloadApi> {
    Source::workload_api().endpoint(agent.endpoint(socket).unwrap_or_default())
}
