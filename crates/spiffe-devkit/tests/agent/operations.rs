use tonic::Code;

use crate::client::Client;
use crate::{ORDERS, entry, example_org, id, orders};

#[tokio::test]
async fn withdrawing_the_last_entry_ends_every_stream_and_restoring_it_begins_anew() {
    let (agent, client) = orders().await;
    let mut svids = client.x509_svids().await.unwrap();
    let mut bundles = client.x509_bundles().await.unwrap();
    let mut jwt = client.jwt_bundles().await.unwrap();
    let before = svids.next().await.unwrap();
    bundles.next().await.unwrap();
    jwt.next().await.unwrap();

    agent.withdraw(&id(ORDERS)).unwrap();
    for status in [
        svids.next().await.unwrap_err(),
        bundles.next().await.unwrap_err(),
        jwt.next().await.unwrap_err(),
        client.x509_svids().await.map(drop).unwrap_err(),
        client.jwt_svids(&["a"], "").await.unwrap_err(),
    ] {
        assert_eq!(
            (status.code(), status.message()),
            (Code::PermissionDenied, "no identity issued")
        );
    }

    agent.restore(&id(ORDERS)).unwrap();
    let after = client.first_x509_svids().await.unwrap();
    assert_ne!(
        after.svids[0].x509_svid, before.svids[0].x509_svid,
        "what was withdrawn does not come back"
    );
}

#[tokio::test]
async fn withdrawing_one_of_two_leaves_the_other() {
    let billing = "spiffe://example.org/service/billing";
    let agent = example_org()
        .entry(entry(ORDERS))
        .entry(entry(billing))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let mut updates = client.x509_svids().await.unwrap();
    let before = updates.next().await.unwrap();
    agent.withdraw(&id(ORDERS)).unwrap();
    let after = updates.next().await.unwrap();
    assert_eq!(after.svids, before.svids[1..]);
    agent
        .withdraw(&id("spiffe://example.org/nobody"))
        .unwrap_err();
    updates.expect_silence().await;
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_a_dropped_agent_is_gone() {
    let (agent, client) = orders().await;
    let socket = agent
        .endpoint("orders")
        .unwrap()
        .strip_prefix("unix://")
        .unwrap()
        .to_owned();
    let directory = agent.directory().to_owned();
    let mut updates = client.x509_svids().await.unwrap();
    updates.next().await.unwrap();
    agent.shutdown().await;
    updates.next().await.unwrap_err();
    assert!(!std::fs::exists(&socket).unwrap() && !directory.exists());

    let (agent, client) = orders().await;
    let directory = agent.directory().to_owned();
    let mut updates = client.x509_svids().await.unwrap();
    updates.next().await.unwrap();
    drop(agent);
    updates.next().await.unwrap_err();
    assert!(!directory.exists());
}
