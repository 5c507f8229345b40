//! tonic calls a server that has to prove its SPIFFE ID, while the SVIDs of both rotate: calls move to
//! new connections, and a stream stays on the one on which it began.
//!
//! Run with `cargo run -p example-client-tonic`. It brings its own agent and server.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

mod stock;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_connector::{Connector, Failure, JwtSvidLayer, PeerIdentity};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;
use stock::Counting;
use stock::v1::Item;
use stock::v1::stock_client::StockClient;
use stock::v1::stock_server::StockServer;
use tonic::transport::Server;
use tower::Layer;

const STOCK: &str = "spiffe://example.org/service/stock";
const BILLING: &str = "spiffe://example.org/service/billing";
const ROTATIONS: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client-tonic: {}", Failure::of(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let agent = Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org")?)
        .unix("stock")
        .unix("billing")
        .entry(Entry::new(STOCK)?.on("stock"))
        .entry(Entry::new(BILLING)?.on("billing"))
        .start()
        .await?;
    let origin = start_stock(workload(&agent, "stock").await?).await?;
    let source = workload(&agent, "billing").await?;

    // What a program writes, but for the haste.
    let connector = Connector::new(source.clone(), STOCK)?.retire_after(Duration::ZERO);
    let channel = connector
        .grpc_channel(origin)?
        .timeout(Duration::from_secs(60));
    // Each call shows a JWT-SVID too, for those behind something that ends TLS.
    let channel = JwtSvidLayer::new(source, [STOCK]).layer(channel);
    let mut stock = StockClient::new(channel);

    let tea = || Item { name: "tea".into() };
    let mut levels = stock.watch(tea()).await?.into_inner();
    let mut connections = Vec::new();
    for _ in 0..ROTATIONS {
        let response = stock.count(tea()).await?;
        let server = response.extensions().get::<PeerIdentity>();
        let shown = server.map(PeerIdentity::fingerprint);
        if connections.last() != Some(&shown) {
            connections.push(shown);
        }
        let level = levels.message().await?.ok_or("the stream has ended")?;
        println!(
            "{} pieces, says {STOCK} to {}",
            level.pieces, level.asked_by
        );
        agent.rotate_svids();
    }
    println!(
        "{ROTATIONS} rotations, 0 failed calls, 1 stream, {} SVIDs of the server",
        connections.len()
    );
    Ok(())
}

async fn start_stock(source: Source) -> Result<String, Box<dyn Error>> {
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
    let origin = format!("https://{}", listener.local_addr()?);
    let server = Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_service(StockServer::new(Counting))
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    Ok(origin)
}

/// One process plays both parts here, so each has a socket of its own. A real one has
/// `SPIFFE_ENDPOINT_SOCKET` in its environment and sets nothing.
async fn workload(agent: &Agent, socket: &str) -> Result<Source, Box<dyn Error>> {
    let endpoint = agent.endpoint(socket).unwrap_or_default();
    Ok(Source::workload_api().endpoint(endpoint).connect().await?)
}
