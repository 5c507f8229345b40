use std::time::{Duration, Instant, SystemTime};

use crate::certificates::{chain, not_after, serial};
use crate::client::Client;
use crate::{ORDERS, domain, entry, example_org, orders};

#[tokio::test]
async fn an_svid_is_renewed_at_half_of_its_life_with_a_new_key() {
    let ttl = Duration::from_secs(6);
    let agent = example_org()
        .entry(entry(ORDERS).ttl(ttl))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;

    let begun = Instant::now();
    let mut updates = client.x509_svids().await.unwrap();
    let first = updates.next().await.unwrap().svids.remove(0);
    let second = updates.next().await.unwrap().svids.remove(0);
    assert!(begun.elapsed() >= ttl / 2, "it came before its time");
    assert_ne!(serial(&first), serial(&second));
    assert_ne!(first.x509_svid_key, second.x509_svid_key);
    assert_eq!(first.bundle, second.bundle);
    assert!(not_after(&second) > not_after(&first));
    // How soon depends on the machine; that the first is still valid is what matters.
    assert!(
        not_after(&first) > SystemTime::now(),
        "it came after the end of the old one"
    );
}

#[tokio::test]
async fn an_entry_is_renewed_alone() {
    let billing = "spiffe://example.org/service/billing";
    let agent = example_org()
        .entry(entry(ORDERS).on("orders").ttl(Duration::from_secs(1)))
        .entry(entry(billing).on("billing"))
        .unix("orders")
        .unix("billing")
        .start()
        .await
        .unwrap();
    let orders = Client::connect(agent.endpoint("orders").unwrap()).await;
    let billing = Client::connect(agent.endpoint("billing").unwrap()).await;

    let mut quiet = billing.x509_svids().await.unwrap();
    quiet.next().await.unwrap();
    let mut busy = orders.x509_svids().await.unwrap();
    for _ in 0..3 {
        busy.next().await.unwrap();
    }
    quiet.expect_silence().await;
}

#[tokio::test]
async fn an_authority_is_rotated_in_four_steps_and_the_chain_always_ends_in_the_bundle() {
    let (agent, client) = orders().await;
    let example_org = domain("example.org");
    let mut updates = client.x509_svids().await.unwrap();
    let mut bundles = client.x509_bundles().await.unwrap();
    let mut jwt_bundles = client.jwt_bundles().await.unwrap();
    let first = updates.next().await.unwrap().svids.remove(0);
    let first_jwt = jwt_bundles.next().await.unwrap();
    let old_root = first.bundle.clone();
    assert_eq!(
        bundles.next().await.unwrap().bundles["spiffe://example.org"],
        old_root
    );

    agent.prepare_authority(&example_org).unwrap();
    let prepared = updates.next().await.unwrap().svids.remove(0);
    assert_eq!(prepared.x509_svid, first.x509_svid, "the SVID stays");
    assert!(prepared.bundle.starts_with(&old_root) && prepared.bundle.len() > old_root.len());
    assert_eq!(
        bundles.next().await.unwrap().bundles["spiffe://example.org"],
        prepared.bundle
    );
    assert_ne!(jwt_bundles.next().await.unwrap(), first_jwt);

    agent.activate_authority(&example_org).unwrap();
    updates.expect_silence().await;

    agent.rotate_svids();
    let switched = updates.next().await.unwrap().svids.remove(0);
    assert_eq!(switched.bundle, prepared.bundle);
    assert_ne!(
        chain(&switched)[1],
        chain(&first)[1],
        "another intermediate"
    );

    agent.retire_authority(&example_org).unwrap();
    let retired = updates.next().await.unwrap().svids.remove(0);
    assert_eq!(retired.x509_svid, switched.x509_svid);
    assert!(
        prepared.bundle.ends_with(&retired.bundle) && retired.bundle.len() < prepared.bundle.len()
    );
}

#[tokio::test]
async fn whoever_holds_an_svid_of_a_retired_root_gets_a_new_one_with_the_new_bundle() {
    let (agent, client) = orders().await;
    let example_org = domain("example.org");
    agent.prepare_authority(&example_org).unwrap();
    let mut updates = client.x509_svids().await.unwrap();
    let before = updates.next().await.unwrap().svids.remove(0);
    agent.activate_authority(&example_org).unwrap();
    agent.retire_authority(&example_org).unwrap();
    let after = updates.next().await.unwrap().svids.remove(0);
    assert_ne!(after.x509_svid, before.x509_svid);
    assert!(before.bundle.ends_with(&after.bundle) && after.bundle != before.bundle);
}

#[tokio::test]
async fn an_authority_is_rotated_in_one() {
    let (agent, client) = orders().await;
    let example_org = domain("example.org");
    let mut updates = client.x509_svids().await.unwrap();
    let before = updates.next().await.unwrap().svids.remove(0);
    agent.rotate_authority(&example_org).unwrap();
    // The bundle and the SVIDs may come in two steps; what they lead to is what counts.
    let mut after = updates.next().await.unwrap().svids.remove(0);
    while after.x509_svid == before.x509_svid {
        after = updates.next().await.unwrap().svids.remove(0);
    }
    assert!(
        after.bundle.starts_with(&before.bundle),
        "the old root stays"
    );
    assert_ne!(chain(&after)[1], chain(&before)[1]);

    assert!(
        agent.activate_authority(&example_org).is_err(),
        "nothing is prepared"
    );
    agent.retire_authority(&example_org).unwrap();
    assert!(
        agent.retire_authority(&example_org).is_err(),
        "there is nothing old"
    );
    agent.prepare_authority(&example_org).unwrap();
    assert!(
        agent.prepare_authority(&example_org).is_err(),
        "one is prepared"
    );
    assert!(
        agent
            .rotate_authority(&domain("partner.test"))
            .unwrap_err()
            .is_unknown()
    );
}
