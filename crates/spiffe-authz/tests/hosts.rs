//! A host that is written in another way is the same host, or none.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::body::Body;
use axum::extract::Request;
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use tower::{Layer, ServiceExt};

const CALLER: &str = "spiffe://example.org/service/orders";

fn text(rules: &str) -> String {
    format!("version: 1\nname: p\ntrust_domains: {{ example.org: {{}} }}\nrules:\n{rules}")
}

/// `internal.test.` is the same host, and whoever reads a host up to its first colon reads the same too.
#[tokio::test]
async fn a_host_in_another_spelling_passes_no_deny() {
    let policy = Policy::from_yaml(&text(&format!(
        "  - {{ name: a, allow: [\"GET /d\"], from: [\"{CALLER}\"] }}\n  \
         - {{ name: b, deny: [\"GET /d\"], from: [\"{CALLER}\"], when: 'request.host == \"internal.test\"' }}\n"
    )));
    let layer = AuthzLayer::new(policy.unwrap()).unwrap();
    let app = MockPeer::id(CALLER)
        .unwrap()
        .layer(layer.layer(axum::Router::new().route("/d", axum::routing::get(async || ()))));
    let mut passed = Vec::new();
    for host in [
        "internal.test",
        "INTERNAL.test:80",
        "internal.test:",
        "internal.test.",
        "internal.test.:80",
        "internal.test:443:80",
        "internal.test:x",
    ] {
        let request = Request::get("/d")
            .header("host", host)
            .body(Body::empty())
            .unwrap();
        if app.clone().oneshot(request).await.unwrap().status() == 200 {
            passed.push(host);
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}
