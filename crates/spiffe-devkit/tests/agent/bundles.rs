use spiffe_devkit::{Agent, Authority, TrustDomainSpec};

use crate::client::Client;
use crate::{ORDERS, domain, entry, orders};

const PARTNER: &str = "spiffe://partner.test/service/stock";

/// Two trust domains in one agent that trust each other, with a listener for each.
async fn federated() -> (Agent, Client, Client) {
    let agent = Agent::builder()
        .trust_domain(
            TrustDomainSpec::new("example.org")
                .unwrap()
                .federates_with("partner.test"),
        )
        .trust_domain(
            TrustDomainSpec::new("partner.test")
                .unwrap()
                .federates_with("example.org"),
        )
        .entry(entry(ORDERS).on("orders"))
        .entry(entry(PARTNER).on("stock"))
        .unix("orders")
        .unix("stock")
        .start()
        .await
        .unwrap();
    let orders = Client::connect(agent.endpoint("orders").unwrap()).await;
    let stock = Client::connect(agent.endpoint("stock").unwrap()).await;
    (agent, orders, stock)
}

#[tokio::test]
async fn conformance_78_each_side_of_a_federation_gets_the_bundles_of_the_other_under_its_id() {
    let (agent, orders, stock) = federated().await;
    for (client, own, other) in [
        (&orders, "example.org", "partner.test"),
        (&stock, "partner.test", "example.org"),
    ] {
        let (own, other) = (
            agent.authority(&domain(own)).unwrap(),
            agent.authority(&domain(other)).unwrap(),
        );
        let own_key = own.trust_domain().id_string();
        let other_key = other.trust_domain().id_string();

        let response = client.first_x509_svids().await.unwrap();
        assert_eq!(response.svids[0].bundle, own.bundle_der());
        assert_eq!(response.federated_bundles.len(), 1);
        assert_eq!(response.federated_bundles[&other_key], other.bundle_der());

        let x509 = client
            .x509_bundles()
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .bundles;
        assert_eq!(
            (x509.len(), &x509[&own_key][..]),
            (2, &own.bundle_der()[..])
        );
        assert_eq!(x509[&other_key], other.bundle_der());
        let jwt = client
            .jwt_bundles()
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .bundles;
        assert_eq!((jwt.len(), &jwt[&own_key][..]), (2, &own.jwt_bundle()[..]));
        assert_eq!(jwt[&other_key], other.jwt_bundle());
    }
}

#[tokio::test]
async fn a_change_of_one_authority_reaches_those_who_trust_it() {
    let (agent, orders, stock) = federated().await;
    let mut orders = orders.x509_bundles().await.unwrap();
    let mut stock = stock.x509_svids().await.unwrap();
    orders.next().await.unwrap();
    let before = stock.next().await.unwrap();

    agent.prepare_authority(&domain("example.org")).unwrap();
    let now = agent
        .authority(&domain("example.org"))
        .unwrap()
        .bundle_der();
    assert_eq!(
        orders.next().await.unwrap().bundles["spiffe://example.org"],
        now
    );
    let after = stock.next().await.unwrap();
    assert_eq!(after.federated_bundles["spiffe://example.org"], now);
    assert_eq!(after.svids, before.svids);
}

#[tokio::test]
async fn a_federation_ends_and_begins_again_while_streams_are_open() {
    let (agent, orders, stock) = federated().await;
    let (example_org, partner) = (domain("example.org"), domain("partner.test"));
    let mut updates = orders.x509_svids().await.unwrap();
    let mut jwt = orders.jwt_bundles().await.unwrap();
    let mut unconcerned = stock.x509_svids().await.unwrap();
    updates.next().await.unwrap();
    jwt.next().await.unwrap();
    unconcerned.next().await.unwrap();

    agent.remove_bundle(&example_org, &partner).unwrap();
    assert!(updates.next().await.unwrap().federated_bundles.is_empty());
    assert_eq!(jwt.next().await.unwrap().bundles.len(), 1);
    agent.federate(&example_org, &partner).unwrap();
    assert_eq!(updates.next().await.unwrap().federated_bundles.len(), 1);
    unconcerned.expect_silence().await;
}

#[tokio::test]
async fn a_foreign_bundle_is_added_and_removed_as_it_is() {
    let (agent, client) = orders().await;
    let (example_org, partner) = (domain("example.org"), domain("partner.test"));
    let foreign = Authority::new("partner.test").unwrap();
    let mut updates = client.x509_svids().await.unwrap();
    assert!(updates.next().await.unwrap().federated_bundles.is_empty());

    agent
        .add_bundle(&example_org, &partner, foreign.bundle_der())
        .unwrap();
    let got = updates.next().await.unwrap().federated_bundles;
    assert_eq!(got["spiffe://partner.test"], foreign.bundle_der());

    agent
        .add_bundle(&example_org, &partner, foreign.bundle_der())
        .unwrap();
    updates.expect_silence().await;

    agent
        .add_bundle(&example_org, &partner, b"no certificate".to_vec())
        .unwrap();
    assert_eq!(
        updates.next().await.unwrap().federated_bundles["spiffe://partner.test"],
        "no certificate"
    );
    agent
        .add_bundle_under(&example_org, "no ID at all", Vec::new())
        .unwrap();
    assert_eq!(
        updates.next().await.unwrap().federated_bundles["no ID at all"],
        ""
    );
    agent
        .remove_bundle_under(&example_org, "no ID at all")
        .unwrap();
    assert_eq!(updates.next().await.unwrap().federated_bundles.len(), 1);
    agent.remove_bundle(&example_org, &partner).unwrap();
    assert!(updates.next().await.unwrap().federated_bundles.is_empty());

    assert!(
        agent
            .add_bundle(&partner, &example_org, Vec::new())
            .unwrap_err()
            .is_unknown()
    );
    assert!(
        agent
            .federate(&example_org, &partner)
            .unwrap_err()
            .is_unknown()
    );
}

#[tokio::test]
async fn conformance_74_one_caller_in_two_trust_domains_gets_the_bundles_of_both() {
    let agent = Agent::builder()
        .trust_domain(
            TrustDomainSpec::new("example.org")
                .unwrap()
                .federates_with("partner.test"),
        )
        .trust_domain(TrustDomainSpec::new("partner.test").unwrap())
        .entry(entry(ORDERS))
        .entry(entry(PARTNER))
        .unix("both")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("both").unwrap()).await;
    let response = client.first_x509_svids().await.unwrap();
    for (svid, name) in response.svids.iter().zip(["example.org", "partner.test"]) {
        assert_eq!(
            svid.bundle,
            agent.authority(&domain(name)).unwrap().bundle_der()
        );
    }
    assert!(
        response.federated_bundles.is_empty(),
        "an own bundle is no federated one"
    );
    assert_eq!(
        client
            .x509_bundles()
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .bundles
            .len(),
        2
    );
}
