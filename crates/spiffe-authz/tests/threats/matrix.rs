//! Each kind of matcher with each effect over each protocol.

use tonic::Code;

use crate::served::*;

/// A `from`, an ID that it means and one that it does not; `None` is nobody.
const MATCHERS: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    (
        "exact ID",
        r#"["spiffe://example.org/ns/shop/sa/web"]"#,
        Some(WEB),
        Some(BATCH),
    ),
    (
        "one segment",
        r#"["spiffe://example.org/ns/*/sa/web"]"#,
        Some("spiffe://example.org/ns/other/sa/web"),
        Some("spiffe://example.org/ns/a/b/sa/web"),
    ),
    (
        "capture",
        r#"["spiffe://example.org/ns/{ns}/sa/web"]"#,
        Some("spiffe://example.org/ns/other/sa/web"),
        Some(PARTNER),
    ),
    (
        "everything below",
        r#"["spiffe://example.org/ns/shop/**"]"#,
        Some("spiffe://example.org/ns/shop"),
        Some("spiffe://example.org/ns/shopping/sa/web"),
    ),
    ("principal", "[web]", Some(WEB), Some(PARTNER)),
    (
        "authenticated",
        "authenticated, because: test",
        Some(PARTNER),
        None,
    ),
    ("anyone", "anyone, because: test", None, None),
];

const ACTIONS: &[(&str, &str, &str)] = &[
    ("literal", "/shop.v1.Orders/Create", "/shop.v1.Orders/List"),
    ("one segment", "/*/Create", "/shop.v1.Orders/List"),
    ("capture", "/{service}/Create", "/shop.v1.Orders/Creat"),
    (
        "everything below",
        "/shop.v1.Orders/**",
        "/shop.v1.Other/Create",
    ),
];

/// The answer to one call over each protocol: HTTP/1.1, HTTP/2 and gRPC.
struct Protocols {
    site: Site,
    rpc: RpcSite,
}

impl Protocols {
    async fn of(peer: Option<&str>, rules: &[&str]) -> Self {
        Self {
            site: Site::of(peer, rules).await,
            rpc: RpcSite::of(peer, rules).await,
        }
    }

    async fn expect(&self, path: &str, allowed: bool, peer: Option<&str>, what: &str) {
        let expected = match (allowed, peer) {
            (true, _) => (200, Code::Ok),
            (false, Some(_)) => (403, Code::PermissionDenied),
            (false, None) => (401, Code::Unauthenticated),
        };
        let before = self.calls();
        for server in [&self.site.guarded, &self.site.bound] {
            let http1 = status(server.address, &head(&format!("POST {path}"))).await;
            let http2 = http2_status(server.address, "POST", path).await;
            assert_eq!(
                (http1, http2),
                (expected.0, expected.0),
                "{what}, {path}, {peer:?}"
            );
        }
        let mut calls = 4;
        // Another service is not there, whoever asks.
        if path.starts_with("/shop.v1.Orders/") {
            calls += 1;
            let code = match unary(self.rpc.address, path).await {
                Ok(_) => Code::Ok,
                Err(status) => status.code(),
            };
            assert_eq!(code, expected.1, "{what}, {path}, {peer:?}");
        }
        let calls = if allowed { calls } else { 0 };
        assert_eq!(self.calls() - before, calls, "{what}, {path}, {peer:?}");
    }

    fn calls(&self) -> usize {
        self.site.guarded.probe.calls() + self.site.bound.probe.calls() + self.rpc.orders.calls()
    }
}

#[tokio::test]
async fn threats_34_every_matcher_with_every_effect_over_every_protocol() {
    let mut tried = 0;
    for (name, from, meant, other) in MATCHERS {
        for (action, met, missed) in ACTIONS {
            let what = format!("{name} by {action}");
            let pattern = if met.contains(['*', '{']) {
                met
            } else {
                &"/shop.v1.Orders/Create"
            };
            let call = "/shop.v1.Orders/Create";
            let allow = format!(r#"name: it, allow: ["POST {pattern}"], from: {from}"#);
            // The deny is told apart from the default by an allow for everybody.
            let all = r#"name: all, allow: ["* /**"], from: anyone, because: test"#;
            let from = from.split(',').next().unwrap();
            let deny = format!(r#"name: no, deny: ["POST {pattern}"], from: {from}"#);
            let other = (other != meant).then_some(*other);
            for (peer, is_meant) in [(*meant, true)]
                .into_iter()
                .chain(other.map(|other| (other, false)))
            {
                let site = Protocols::of(peer, &[&allow]).await;
                site.expect(call, is_meant, peer, &what).await;
                site.expect(missed, false, peer, &what).await;
                let site = Protocols::of(peer, &[&deny, all]).await;
                site.expect(call, !is_meant, peer, &what).await;
                site.expect(missed, true, peer, &what).await;
                tried += 1;
            }
        }
    }
    assert_eq!(tried, (MATCHERS.len() * 2 - 1) * ACTIONS.len());
}
