//! What the SPIFFE Workload Endpoint and Workload API specifications demand of a client, number by
//! number of the project's conformance list, against an agent that does what it should and one that
//! says whatever a test wants it to say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod endpoint;
mod fields;
mod jwt;
mod stream;
mod updates;

use std::time::Duration;

use integration::scripted::{Call, Rpc, ScriptedAgent};
use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};
use spiffe_peer::{TrustDomain, parse};
use spiffe_source::workload_api::messages::X509SvidResponse;
use spiffe_source::{ConnectError, Source, State, Status};

const ID: &str = "spiffe://example.org/service/orders";
const SECOND: &str = "spiffe://example.org/service/stock";
const PARTNER: &str = "partner.test";

/// Far more than anything takes, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

fn authority() -> Authority {
    Authority::new("example.org").unwrap()
}

fn partner() -> Authority {
    Authority::new(PARTNER).unwrap()
}

fn issue(authority: &Authority, id: &str) -> IssuedSvid {
    authority.issue(&IssueSpec::new(id).unwrap()).unwrap()
}

/// An update with the bundle of another trust domain under its ID.
fn with_bundle(mut update: X509SvidResponse, of: &Authority) -> X509SvidResponse {
    let key = of.trust_domain().id_string();
    update.federated_bundles.insert(key, of.bundle_der().into());
    update
}

/// A source that trusts `partner.test` too and has been given an update, and the stream that it
/// holds open.
async fn following(agent: &ScriptedAgent, first: &X509SvidResponse) -> (Source, Call) {
    let connect = Source::workload_api()
        .endpoint(agent.endpoint())
        .trust(PARTNER)
        .first_update_within(PATIENCE);
    let connect = tokio::spawn(connect.connect());
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.send(first);
    (connect.await.unwrap().unwrap(), stream)
}

async fn refused(endpoint: &str) -> ConnectError {
    let connect = Source::workload_api()
        .endpoint(endpoint)
        .first_update_within(PATIENCE);
    connect.connect().await.unwrap_err()
}

/// Waits until the status is what is waited for.
async fn until(source: &Source, name: &str, what: impl Fn(&Status) -> bool) -> Status {
    let becomes = async {
        loop {
            let status = source.status();
            if what(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, becomes)
        .await
        .unwrap_or_else(|_| panic!("{name}: it stays {}", source.status()))
}

/// Waits until something about the last update is wrong, and says what.
async fn complaint(source: &Source, about: &str) -> String {
    let status = until(source, about, |status| status.last_error().is_some()).await;
    status.last_error().unwrap().to_owned()
}

/// Waits until nothing is wrong with the last update.
async fn no_complaint(source: &Source) {
    until(source, "no complaint", |status| {
        status.last_error().is_none()
    })
    .await;
}

async fn ready(source: &Source) {
    until(source, "ready", |status| status.state() == State::Ready).await;
}

/// The IDs of the own SVIDs, the one in use first.
fn ids(source: &Source) -> Vec<String> {
    let snapshot = source.snapshot();
    let ids = snapshot.svids().iter();
    ids.map(|svid| svid.spiffe_id().to_string()).collect()
}

fn serial(source: &Source) -> String {
    let snapshot = source.snapshot();
    snapshot.svid().unwrap().verified().serial().to_owned()
}
