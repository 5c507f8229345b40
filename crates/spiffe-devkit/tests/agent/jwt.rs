use std::time::Duration;

use prost_types::value::Kind;
use serde_json::Value;
use spiffe_devkit::{Agent, Authority, TrustDomainSpec};
use tonic::Code;

use crate::client::Client;
use crate::{ORDERS, domain, entry, example_org, id, orders};

fn part(token: &str, position: usize) -> Value {
    use base64::Engine;
    let part = token.split('.').nth(position).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn conformance_38_and_39_a_token_has_the_headers_alg_kid_and_typ_and_no_other() {
    let (_agent, client) = orders().await;
    let svids = client.jwt_svids(&["stock"], "").await.unwrap().svids;
    let header = part(&svids[0].svid, 0);
    let header = header.as_object().unwrap();
    let mut names: Vec<_> = header.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "kid", "typ"]);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&"ES256".into(), &"JWT".into())
    );
    assert!(header["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
}

#[tokio::test]
async fn conformance_79_a_token_carries_its_audience_and_no_id_means_all() {
    let billing = "spiffe://example.org/service/billing";
    let agent = example_org()
        .entry(entry(ORDERS).ttl(Duration::from_secs(60)))
        .entry(entry(billing))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;

    let all = client
        .jwt_svids(&["stock", "audit"], "")
        .await
        .unwrap()
        .svids;
    assert_eq!(
        all.iter()
            .map(|svid| svid.spiffe_id.as_str())
            .collect::<Vec<_>>(),
        [ORDERS, billing]
    );
    let claims = part(&all[0].svid, 1);
    assert_eq!(claims["sub"], ORDERS);
    assert_eq!(claims["aud"], serde_json::json!(["stock", "audit"]));
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        60
    );
    let long = part(&all[1].svid, 1);
    assert_eq!(
        long["exp"].as_u64().unwrap() - long["iat"].as_u64().unwrap(),
        300,
        "a token is never long-lived"
    );

    let one = client.jwt_svids(&["stock"], billing).await.unwrap().svids;
    assert_eq!(
        one.iter()
            .map(|svid| svid.spiffe_id.as_str())
            .collect::<Vec<_>>(),
        [billing]
    );
    let status = client
        .jwt_svids(&["stock"], "spiffe://example.org/service/other")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = client.jwt_svids(&["stock"], "orders").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn conformance_80_a_jwt_bundle_holds_keys_for_jwt_svids_alone() {
    let (agent, client) = orders().await;
    agent.prepare_authority(&domain("example.org")).unwrap();
    let bundles = client
        .jwt_bundles()
        .await
        .unwrap()
        .next()
        .await
        .unwrap()
        .bundles;
    let jwks: Value = serde_json::from_slice(&bundles["spiffe://example.org"]).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
    for key in keys {
        assert_eq!(
            (&key["use"], &key["kty"]),
            (&Value::from("jwt-svid"), &Value::from("EC"))
        );
        assert!(key["kid"].is_string() && key.get("d").is_none());
    }
}

#[tokio::test]
async fn conformance_81_a_token_is_fully_validated_and_its_claims_returned() {
    let (agent, client) = orders().await;
    let token = client
        .jwt_svids(&["stock"], "")
        .await
        .unwrap()
        .svids
        .remove(0)
        .svid;
    let valid = client.validate("stock", &token).await.unwrap();
    assert_eq!(valid.spiffe_id, ORDERS);
    let claims = valid.claims.unwrap().fields;
    assert_eq!(
        claims["sub"].kind,
        Some(Kind::StringValue(ORDERS.to_owned()))
    );
    assert!(matches!(claims["exp"].kind, Some(Kind::NumberValue(_))));
    assert!(matches!(claims["aud"].kind, Some(Kind::ListValue(_))));

    let invalid =
        |status: tonic::Status| assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    invalid(client.validate("audit", &token).await.unwrap_err());
    invalid(
        client
            .validate("stock", "no.token.atall")
            .await
            .unwrap_err(),
    );
    // The first character of the signature: in the last one not all bits count.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    invalid(
        client
            .validate(
                "stock",
                &format!("{signed}.{other}{}", signature.get(1..).unwrap()),
            )
            .await
            .unwrap_err(),
    );

    let authority = agent.authority(&domain("example.org")).unwrap();
    let audience = ["stock".to_owned()];
    let expired = authority
        .issue_jwt(&id(ORDERS), &audience, Duration::ZERO)
        .unwrap();
    invalid(client.validate("stock", &expired).await.unwrap_err());
    let impostor = Authority::new("example.org").unwrap();
    let forged = impostor
        .issue_jwt(&id(ORDERS), &audience, Duration::from_secs(60))
        .unwrap();
    invalid(client.validate("stock", &forged).await.unwrap_err());

    // Rotated away, the key vouches for nothing.
    agent.rotate_authority(&domain("example.org")).unwrap();
    client.validate("stock", &token).await.unwrap();
    agent.retire_authority(&domain("example.org")).unwrap();
    invalid(client.validate("stock", &token).await.unwrap_err());
}

#[tokio::test]
async fn a_token_of_a_federated_trust_domain_is_valid_while_the_federation_holds() {
    let agent = Agent::builder()
        .trust_domain(
            TrustDomainSpec::new("example.org")
                .unwrap()
                .federates_with("partner.test"),
        )
        .trust_domain(TrustDomainSpec::new("partner.test").unwrap())
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let stock = "spiffe://partner.test/service/stock";
    let partner = agent.authority(&domain("partner.test")).unwrap();
    let token = partner
        .issue_jwt(&id(stock), &["orders".to_owned()], Duration::from_secs(60))
        .unwrap();
    assert_eq!(
        client.validate("orders", &token).await.unwrap().spiffe_id,
        stock
    );

    agent
        .remove_bundle(&domain("example.org"), &domain("partner.test"))
        .unwrap();
    assert_eq!(
        client.validate("orders", &token).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    agent
        .add_jwt_bundle(
            &domain("example.org"),
            &domain("partner.test"),
            b"{".to_vec(),
        )
        .unwrap();
    assert_eq!(
        client.validate("orders", &token).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    agent
        .add_jwt_bundle(
            &domain("example.org"),
            &domain("partner.test"),
            partner.jwt_bundle(),
        )
        .unwrap();
    assert_eq!(
        client.validate("orders", &token).await.unwrap().spiffe_id,
        stock
    );
}
