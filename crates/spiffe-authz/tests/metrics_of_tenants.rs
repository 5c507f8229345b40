//! Denials across tenants, and for want of a record. They stand alone, because the labels of peers are
//! those of a process.

#![cfg(all(feature = "axum", feature = "metrics"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use spiffe_authz::audit::{AuditRecord, AuditSink, Lost, Tenant};
use spiffe_authz::guard::{AuthzLayer, ResourceProvider};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use tower::{Layer, ServiceExt};

/// Every document belongs to acme.
struct Documents;

impl ResourceProvider for Documents {
    type Error = std::convert::Infallible;

    async fn resource(
        &self,
        _: &http::request::Parts,
    ) -> Result<Option<serde_json::Value>, Self::Error> {
        Ok(Some(serde_json::json!({ "tenant": "acme", "open": false })))
    }
}

#[tokio::test]
async fn a_denial_across_tenants_is_counted_and_no_other() {
    let policy = Policy::from_yaml(
        r#"
version: 1
name: documents
trust_domains: { example.org: {} }
rules:
  - { name: open, allow: ["GET /documents/{id}"], from: ["spiffe://example.org/**"], when: resource.open }
"#,
    )
    .unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let router = axum::Router::new().route("/documents/{id}", get(async || "a document"));
    let app = AuthzLayer::new(policy)
        .unwrap()
        .resources(Documents)
        .layer(router);
    let peer = MockPeer::id("spiffe://example.org/service/web").unwrap();
    for tenant in [None, Some("acme"), Some("other"), Some("third")] {
        let mut request = Request::get("/documents/7").body(Body::empty()).unwrap();
        if let Some(tenant) = tenant {
            request.extensions_mut().insert(Tenant::new(tenant));
        }
        let response = peer.layer(app.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403, "{tenant:?}");
    }
    let counted = snapshotter.snapshot().into_vec();
    let across = counted
        .into_iter()
        .find(|(key, ..)| key.key().name() == "spiffe_authz_cross_tenant_denied_total");
    assert!(
        matches!(across, Some((.., DebugValue::Counter(2)))),
        "{across:?}"
    );
}

/// Keeps nothing.
struct Full;

impl AuditSink for Full {
    fn record(&self, _: &AuditRecord<'_>) -> Result<(), Lost> {
        Err(Lost::new())
    }
}

#[tokio::test]
async fn what_is_denied_since_its_record_is_lost_counts() {
    let policy = Policy::from_yaml(
        r#"
version: 1
name: recorded
trust_domains: { example.org: {} }
rules:
  - { name: all, allow: ["GET /orders"], from: ["spiffe://example.org/service/stock"] }
"#,
    )
    .unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let router = axum::Router::new().route("/orders", get(async || "orders"));
    let app = AuthzLayer::new(policy)
        .unwrap()
        .audit_to(Full)
        .layer(router);
    let app = MockPeer::id("spiffe://example.org/service/stock")
        .unwrap()
        .layer(app);
    let request = Request::get("/orders").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 403);
    let counted = snapshotter.snapshot().into_vec();
    let reasons: Vec<_> = counted
        .iter()
        .filter(|(key, ..)| key.key().name() == "spiffe_authz_denied_total")
        .flat_map(|(key, ..)| key.key().labels())
        .filter(|label| label.key() == "reason")
        .map(|label| label.value().to_owned())
        .collect();
    assert_eq!(reasons, ["no_record"]);
}
