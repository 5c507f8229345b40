//! The agent as its clients see it: over its sockets, with a client that knows nothing of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod bundles;
mod certificates;
mod client;
mod control;
mod directories;
mod entries;
mod faults;
mod hosts;
mod jwt;
mod operations;
mod protocol;
mod rotation;

use std::time::Duration;

use client::Client;
use spiffe_devkit::{Agent, AgentBuilder, Entry, TrustDomainSpec};
use spiffe_peer::{SpiffeId, TrustDomain, parse};

const ORDERS: &str = "spiffe://example.org/service/orders";

/// Far more than anything takes, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough to notice what should not come, and short enough to be run often.
const A_MOMENT: Duration = Duration::from_millis(200);

fn example_org() -> AgentBuilder {
    Agent::builder().trust_domain(TrustDomainSpec::new("example.org").unwrap())
}

fn entry(id: &str) -> Entry {
    Entry::new(id).unwrap()
}

/// An agent with one entry and one listener, both named `orders`.
async fn orders() -> (Agent, Client) {
    let agent = example_org()
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    (agent, client)
}

fn id(text: &str) -> SpiffeId {
    parse::workload_id(text).unwrap()
}

fn domain(text: &str) -> TrustDomain {
    parse::trust_domain(text).unwrap()
}
