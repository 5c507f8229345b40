//! reqwest calls a server that has to prove its SPIFFE ID, and refuses one that proves another.
//!
//! Run with `cargo run -p example-client-reqwest`. It brings its own agent and server.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use spiffe_acceptor::{Acceptor, PeerIdentity, serve};
use spiffe_connector::{Connector, Failure};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;

const ORDERS: &str = "spiffe://example.org/service/orders";
const STOCK: &str = "spiffe://example.org/service/stock";
const BILLING: &str = "spiffe://example.org/service/billing";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client-reqwest: {}", Failure::of(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let agent = Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org")?)
        .unix("orders")
        .unix("billing")
        .entry(Entry::new(ORDERS)?.on("orders"))
        .entry(Entry::new(BILLING)?.on("billing"))
        .start()
        .await?;
    let uri = start_orders(workload(&agent, "orders").await?).await?;
    let source = workload(&agent, "billing").await?;

    // What a program writes: the rest of this file stands in for agent and server.
    let orders = Connector::new(source.clone(), ORDERS)?;
    let client = orders.reqwest()?.user_agent("billing/1.0").build()?;
    let response = client.get(&uri).send().await?;
    println!("{}: {}", response.status(), response.text().await?);

    let stock = Connector::new(source, STOCK)?.reqwest()?.build()?;
    match stock.get(&uri).send().await {
        Ok(response) => return Err(format!("the wrong server has answered {response:?}").into()),
        Err(error) => println!("expecting {STOCK}: {}", Failure::of(&error)),
    }
    Ok(())
}

async fn start_orders(source: Source) -> Result<String, Box<dyn Error>> {
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
    let uri = format!("https://{}/hello", listener.local_addr()?);
    let hello = async |peer: PeerIdentity| format!("hello, {peer}");
    tokio::spawn(serve(listener, Router::new().route("/hello", get(hello))).into_future());
    Ok(uri)
}

/// One process plays both parts here, so each has a socket of its own. A real one has
/// `SPIFFE_ENDPOINT_SOCKET` in its environment and sets nothing.
async fn workload(agent: &Agent, socket: &str) -> Result<Source, Box<dyn Error>> {
    let endpoint = agent.endpoint(socket).unwrap_or_default();
    Ok(Source::workload_api().endpoint(endpoint).connect().await?)
}
