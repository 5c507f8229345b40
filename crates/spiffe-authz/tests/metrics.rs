//! Figures whose labels nobody outside can multiply.

#![cfg(all(feature = "axum", feature = "metrics"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use spiffe_authz::axum::{Router, any_service};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use tower::{Layer, ServiceExt, service_fn};

const MANY: usize = 10_000;

#[tokio::test]
async fn peers_and_paths_make_a_bounded_number_of_labels() {
    let policy = Policy::from_yaml(
        r#"
version: 1
name: bounded
trust_domains: { example.org: {} }
rules:
  - { name: all, allow: ["GET /orders/{id}"], from: ["spiffe://example.org/never"] }
  - { name: no, deny: ["GET /orders/{id}"], from: ["spiffe://example.org/even/**"] }
"#,
    )
    .unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);

    let layer = || AuthzLayer::new(policy.clone()).unwrap();
    let router = || axum::Router::new().route("/orders/{id}", get(async || "an order"));
    let outside = layer().layer(router());
    let inside = router().layer(layer());
    let nothing = service_fn(async |_: Request| {
        Ok::<_, std::convert::Infallible>(axum::response::Response::new(Body::empty()))
    });
    let bound = Router::new()
        .route("/orders/{id}", any_service(nothing).policy())
        .bind(policy.clone())
        .unwrap();
    for number in 0..MANY {
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        let peer = MockPeer::id(&format!("spiffe://example.org/{parity}/n{number}")).unwrap();
        let path = match number % 3 {
            0 => format!("/orders/raw-{number}"),
            1 => format!("/raw-{number}/x"),
            _ => format!("/orders//raw-{number}"),
        };
        let request = || {
            let method = if number % 5 == 0 { "BREW" } else { "GET" };
            Request::builder()
                .method(method)
                .uri(&path)
                .body(Body::empty())
                .unwrap()
        };
        for response in [
            peer.layer(outside.clone())
                .oneshot(request())
                .await
                .unwrap(),
            peer.layer(inside.clone()).oneshot(request()).await.unwrap(),
            peer.layer(bound.clone()).oneshot(request()).await.unwrap(),
        ] {
            assert_ne!(response.status(), 200);
        }
    }

    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut counted = 0;
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        if key.name() != "spiffe_authz_denied_total" {
            continue;
        }
        for label in key.labels() {
            let values = labels.entry(label.key().to_owned()).or_default();
            values.insert(label.value().to_owned());
        }
        let DebugValue::Counter(count) = value else {
            panic!("{value:?}");
        };
        counted += count;
    }
    assert_eq!(
        counted,
        3 * u64::try_from(MANY).unwrap(),
        "each denial counts once"
    );
    let of = |key: &str| {
        labels
            .get(key)
            .unwrap()
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(labels.len(), 5, "{:?}", labels.keys());
    assert_eq!(of("peer").len(), 256 + 1);
    assert!(of("peer").contains("other"));
    assert_eq!(of("route"), BTreeSet::from(["/orders/{id}", "none"]));
    assert_eq!(of("policy"), BTreeSet::from(["bounded"]));
    assert_eq!(of("rule"), BTreeSet::from(["no", "none"]));
    assert_eq!(
        of("reason"),
        BTreeSet::from(["rule", "default", "bad_request"])
    );
}
