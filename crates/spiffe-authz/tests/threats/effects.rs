//! B.2: methods, effects and what holds where nothing is said.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Request;
use http::request::Parts;
use serde_json::{Value, json};
use spiffe_authz::axum::{Router, any_service, guard};
use spiffe_authz::guard::{AuthzLayer, DecisionPoint, ResourceProvider, Verdict};
use spiffe_authz::policy::{LivePolicy, Policy};
use tonic::Code;
use tower::{Layer, ServiceExt};

use crate::common::Probe;
use crate::reload::{replaced, written};
use crate::served::*;

/// A server behind a policy that no router would be bound to.
async fn guarded(peer: &str, rules: &[&str]) -> Server {
    Server::guarded(
        Some(&crate::served::peer(peer)),
        AuthzLayer::new(policy(rules)).unwrap(),
    )
    .await
}

#[tokio::test]
async fn threats_23_rules_that_deny_never_make_an_allow() {
    let denies = [
        r#"name: one, deny: ["GET /a"], from: [batch]"#,
        r#"name: two, deny: ["* /b/**"], from: authenticated"#,
        r#"name: three, deny: ["POST /c"], from: anyone, when: 'false'"#,
    ];
    for id in [WEB, BATCH, PARTNER] {
        let server = guarded(id, &denies).await;
        let rpc = RpcSite::of(Some(id), &denies).await;
        for request in [
            "GET /a",
            "GET /b/x",
            "POST /c",
            "GET /d",
            "POST /shop.v1.Orders/List",
        ] {
            assert_eq!(
                status(server.address, &head(request)).await,
                403,
                "{request} of {id}"
            );
        }
        assert_eq!(server.probe.calls(), 0);
        rpc.kept_out("/shop.v1.Orders/List", Code::PermissionDenied)
            .await;
    }
    // A deny that does not match beside an allow that does.
    let allow = r#"name: all, allow: ["* /**"], from: [web]"#;
    let site = Site::of(Some(WEB), &[denies[0], denies[2], allow]).await;
    site.passes(&head("GET /a")).await;
    site.passes(&head("POST /c")).await;
}

#[tokio::test]
async fn threats_24_no_rule_that_allows_is_no_way_in() {
    let allow = r#"name: a, allow: ["GET /a"], from: [web]"#;
    let shadow = r#"name: a, allow: ["GET /a"], from: [web], shadow: true"#;
    let elsewhere = r#"name: a, allow: ["GET /b"], from: [web]"#;
    for rules in [&[][..], &[shadow], &[elsewhere]] {
        let server = guarded(WEB, rules).await;
        assert_eq!(
            status(server.address, &head("GET /a")).await,
            403,
            "{rules:?}"
        );
        assert_eq!(server.probe.calls(), 0);
        let error = Router::<()>::new()
            .route("/a", spiffe_authz::axum::get(async || "").policy())
            .bind(policy(rules))
            .unwrap_err()
            .to_string();
        assert!(error.contains("GET /a"), "{error}");
    }

    // The last allow is taken out of a file in force.
    let (directory, path) = written(&text(&[allow]));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), AuthzLayer::new(live.clone()).unwrap()).await;
    assert_eq!(status(server.address, &head("GET /a")).await, 200);
    replaced(&live, &directory, &text(&[])).await;
    assert_eq!(status(server.address, &head("GET /a")).await, 403);
    assert_eq!(server.probe.calls(), 1);
}

#[test]
fn threats_25_nobody_in_particular_is_written_out() {
    for rule in [
        r#"name: a, allow: ["GET /a"], from: []"#,
        r#"name: a, allow: ["GET /a"]"#,
        r#"name: a, allow: ["GET /a"], from: "#,
        r#"name: a, allow: ["GET /a"], from: null"#,
        r#"name: a, allow: ["GET /a"], from: [""]"#,
        r#"name: a, allow: ["GET /a"], from: ["*"]"#,
        r#"name: a, allow: ["GET /a"], from: ["**"]"#,
        r#"name: a, allow: ["GET /a"], from: anyone"#,
        r#"name: a, allow: ["GET /a"], from: authenticated, because: " ""#,
        r#"name: a, allow: [], from: [web]"#,
        r#"name: a, deny: [], from: [web]"#,
        r#"name: a, deny: ["GET /a"], from: []"#,
        r#"name: a, allow: ["GET /a"], from: [nobody-known]"#,
    ] {
        assert!(!invalid(&[rule]).is_empty(), "{rule}");
    }
    let error = Policy::from_yaml(
        "{ version: 1, name: a, trust_domains: {}, principals: { web: [] }, rules: [] }",
    )
    .unwrap_err();
    assert!(error.to_string().contains("the list is empty"), "{error}");
    assert!(
        Router::<()>::new()
            .route(
                "/a",
                any_service(Probe::default()).allow(Vec::<String>::new())
            )
            .build()
            .is_err()
    );
    policy(&[r#"name: a, allow: ["GET /a"], from: anyone, because: "it is public""#]);
}

#[test]
fn threats_26_lists_of_nothing_in_lists() {
    for nothing in ["[]", "[[]]", "[[[]]]", "[[[{}]]]", "{}", "[{}]", "~"] {
        for rule in [
            format!(r#"name: a, allow: ["GET /a"], from: {nothing}"#),
            format!(r#"name: a, allow: {nothing}, from: [web]"#),
            format!(r#"name: a, deny: {nothing}, from: [web]"#),
            format!(r#"name: a, allow: ["GET /a"], from: [web], when: {nothing}"#),
        ] {
            assert!(!invalid(&[&rule]).is_empty(), "{rule}");
        }
        let error = Policy::from_yaml(&format!(
            "{{ version: 1, name: a, trust_domains: {{ example.org: {{}} }}, principals: {{ web: {nothing} }}, rules: [] }}"
        ));
        assert!(error.is_err(), "principals: {nothing}");
    }
}

#[tokio::test]
async fn threats_27_no_demand_is_no_way_in() {
    for demand in [
        "{}",
        "[]",
        "~",
        "none",
        "{ scopes: [] }",
        "{ claims: {} }",
        "{ issuer: ~ }",
    ] {
        let text = format!(
            "version: 1\nname: a\ntrust_domains: {{ example.org: {{}} }}\n\
             users: {{ staff: {{ issuer: https://id.test, audiences: [a] }} }}\n\
             rules: [{{ name: a, allow: [\"GET /a\"], from: [\"{WEB}\"], user: {demand} }}]\n"
        );
        assert!(Policy::from_yaml(&text).is_err(), "{demand}");
    }
    for users in [
        "{ staff: { issuer: https://id.test, audiences: [] } }",
        "{ staff: { issuer: https://id.test } }",
        "{ staff: {} }",
        "{ staff: ~ }",
    ] {
        let text =
            format!("{{ version: 1, name: a, trust_domains: {{}}, users: {users}, rules: [] }}");
        assert!(Policy::from_yaml(&text).is_err(), "{users}");
    }
    // What is required is required of everybody, workload or not.
    let text = format!(
        "version: 1\nname: a\ntrust_domains: {{ example.org: {{}} }}\n\
         users: {{ staff: {{ issuer: https://id.test, audiences: [a] }} }}\n\
         rules:\n  - {{ name: a, allow: [\"GET /a\"], from: [\"{WEB}\"], user: required }}\n\
         \x20 - {{ name: b, allow: [\"GET /b\"], from: [\"{WEB}\"], user: absent }}\n"
    );
    let site = Site::with(Some(&peer(WEB)), Policy::from_yaml(&text).unwrap()).await;
    site.kept_out(&head("GET /a"), &[403]).await;
    site.passes(&head("GET /b")).await;
}

#[tokio::test]
async fn threats_28_an_error_in_a_condition_denies_for_a_deny_and_does_not_allow_for_an_allow() {
    let all = r#"name: all, allow: ["* /**"], from: [web]"#;
    let rules = [
        all,
        r#"name: missing, deny: ["GET /missing"], from: [web], when: 'request.headers["x-role"] == ["guest"]'"#,
        r#"name: wrong, deny: ["GET /wrong"], from: [web], when: 'resource.size > 3'"#,
        r#"name: tested, deny: ["GET /tested"], from: [web], when: '"x-role" in request.headers && request.headers["x-role"] == ["guest"]'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    let with = |path: &str, role: &str| format!("{}\r\nx-role: {role}", head(path));
    site.kept_out(&head("GET /missing"), &[403]).await;
    site.kept_out(&with("GET /missing", "guest"), &[403]).await;
    site.passes(&with("GET /missing", "staff")).await;
    site.kept_out(&head("GET /wrong"), &[403]).await;
    site.passes(&head("GET /tested")).await;
    site.kept_out(&with("GET /tested", "guest"), &[403]).await;

    let rules = [
        r#"name: role, allow: ["GET /missing"], from: [web], when: 'request.headers["x-role"] != ["guest"]'"#,
        r#"name: size, allow: ["GET /wrong"], from: [web], when: 'resource.size > 3 || resource.size <= 3'"#,
        r#"name: rest, allow: ["GET /other"], from: [web]"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    site.kept_out(&head("GET /missing"), &[403]).await;
    site.kept_out(&with("GET /missing", "guest"), &[403]).await;
    site.passes(&with("GET /missing", "staff")).await;
    site.kept_out(&head("GET /wrong"), &[403]).await;
    site.passes(&head("GET /other")).await;
}

#[tokio::test]
async fn threats_29_a_header_is_met_in_any_case_and_at_any_depth() {
    let all = r#"name: all, allow: ["* /**"], from: [web]"#;
    let deny = |when: &str| {
        format!(
            r#"name: no, deny: ["* /**"], from: [web], when: '"x-role" in request.headers && {when}'"#
        )
    };
    for when in [
        r#"request.headers["x-role"].exists(v, v == "guest")"#,
        r#"!(!request.headers["x-role"].exists(v, v == "guest"))"#,
        r#"(request.method == "BREW" || request.headers["x-role"].exists(v, v == "guest"))"#,
        r#"(request.method == "GET" && !(request.headers["x-role"].all(v, v != "guest")))"#,
        r#"(request.headers["x-role"].exists(v, v == "guest") ? true : false)"#,
    ] {
        let site = Site::of(Some(WEB), &[all, &deny(when)]).await;
        for name in ["x-role", "X-Role", "X-ROLE"] {
            site.kept_out(&format!("{}\r\n{name}: guest", head("GET /a")), &[403])
                .await;
        }
        site.passes(&format!("{}\r\nX-Role: staff", head("GET /a")))
            .await;
        site.passes(&head("GET /a")).await;
    }
    for name in ["X-Role", "HOST", "Host", "host", "x role"] {
        let rule = format!(
            r#"name: no, deny: ["* /**"], from: [web], when: 'request.headers["{name}"] == ["guest"]'"#
        );
        assert!(!invalid(&[all, &rule]).is_empty(), "{name}");
    }
}

#[test]
fn threats_30_what_a_rule_does_not_know_is_an_error_for_both_effects() {
    for effect in ["allow", "deny"] {
        for more in [
            "source_ip: [10.0.0.0/8]",
            "hosts: [a]",
            "form: [web]",
            "From: [web]",
            "methods: [GET]",
            "unless: true",
            "when: 'request.ip == \"10.0.0.1\"'",
            "when: 'request.headers[\"x\"] == \"a\"'",
            "when: 'peer.namespace == \"a\"'",
            "when: 'path.id == \"a\"'",
        ] {
            let rule = format!(r#"name: a, {effect}: ["GET /a"], from: [web], {more}"#);
            assert!(!invalid(&[&rule]).is_empty(), "{rule}");
        }
        policy(&[&format!(
            r#"name: a, {effect}: ["GET /a"], from: [web], when: 'request.method == "GET"'"#
        )]);
    }
}

#[test]
fn threats_31_addresses_and_ports_are_no_matchers_and_numbers_do_not_wrap() {
    for more in [
        "source_ip: [300.1.1.1/8]",
        "source_ip: [10.0.0.0]",
        "port: 65536",
        "ports: [73616]",
        "when: 'request.port == 73616'",
        "when: 'peer.ip == \"300.1.1.1\"'",
        "when: '9223372036854775808 > 0'",
        "expires: 99999999999999999999",
    ] {
        let rule = format!(r#"name: a, allow: ["GET /a"], from: [web], {more}"#);
        assert!(!invalid(&[&rule]).is_empty(), "{rule}");
    }
    for version in ["65537", "4294967297", "1.0", "\"1\"", "-1"] {
        let text = format!("{{ version: {version}, name: a, trust_domains: {{}}, rules: [] }}");
        assert!(Policy::from_yaml(&text).is_err(), "version: {version}");
    }
}

#[tokio::test]
async fn threats_32_what_a_newer_policy_says_is_refused_not_ignored() {
    let good = text(&[
        r#"name: a, allow: ["GET /a"], from: [web]"#,
        r#"name: no, deny: ["GET /b"], from: [web]"#,
    ]);
    let (directory, path) = written(&good);
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), AuthzLayer::new(live.clone()).unwrap()).await;
    let newer = [
        good.replace("version: 1", "version: 2"),
        good.replace("from: [web] }", "from: [web], unless: true }"),
        good.replace("name: test", "name: test\nintents: []"),
        good.replace("deny:", "forbid:"),
    ];
    for text in newer {
        let status_of = replaced(&live, &directory, &text).await;
        assert!(status_of.refused().is_some(), "{text}");
        assert_eq!(status(server.address, &head("GET /a")).await, 200);
        assert_eq!(status(server.address, &head("GET /b")).await, 403);
    }
    let mended = replaced(
        &live,
        &directory,
        &text(&[r#"name: b, allow: ["GET /b"], from: [web]"#]),
    )
    .await;
    assert!(mended.refused().is_none());
    assert_eq!(status(server.address, &head("GET /a")).await, 403);
    assert_eq!(status(server.address, &head("GET /b")).await, 200);
}

#[test]
fn threats_33_two_of_one_name_are_an_error() {
    let error = invalid(&[
        r#"name: same, deny: ["GET /a"], from: [web]"#,
        r#"name: same, allow: ["GET /b"], from: [web]"#,
    ]);
    assert!(error.contains("same"), "{error}");
    for rule in [
        r#"name: a, deny: ["GET /a"], from: [web], from: [batch]"#,
        r#"name: a, name: b, allow: ["GET /a"], from: [web]"#,
        r#"name: a, deny: ["GET /a"], deny: ["GET /b"], from: [web]"#,
        r#"name: a, allow: ["GET /a"], deny: ["GET /b"], from: [web]"#,
    ] {
        assert!(!invalid(&[rule]).is_empty(), "{rule}");
    }
    for text in [
        "version: 1\nname: a\ntrust_domains: {}\nrules: []\nrules: []\n",
        "version: 1\nversion: 1\nname: a\ntrust_domains: {}\nrules: []\n",
        "version: 1\nname: a\ntrust_domains: { example.org: {}, example.org: {} }\nrules: []\n",
        "version: 1\nname: a\ntrust_domains: { example.org: {} }\nprincipals: { p: spiffe://example.org/a, p: spiffe://example.org/b }\nrules: []\n",
    ] {
        assert!(Policy::from_yaml(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn threats_35_what_is_not_there_speaks_for_denying() {
    // A fact, a request without it, and what the same condition does with each effect.
    let facts = [
        r#"request.headers["x-tenant"] == ["a"]"#,
        r#"request.headers["x-tenant"] != ["a"]"#,
        r#"!(request.headers["x-tenant"] == ["a"])"#,
        r#"request.headers["x-tenant"][0] == "a""#,
        r#"resource.owner == "a""#,
        r#"resource.owner != "a""#,
        r#"!(resource.owner == "a")"#,
        r#"size(resource.tags) == 0"#,
    ];
    for fact in facts {
        let rules = [
            format!(r#"name: narrow, allow: ["GET /narrow"], from: [web], when: '{fact}'"#),
            r#"name: wide, allow: ["GET /wide", "GET /plain"], from: [web]"#.to_owned(),
            format!(r#"name: no, deny: ["GET /wide"], from: [web], when: '{fact}'"#),
        ];
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let site = Site::of(Some(WEB), &rules).await;
        site.kept_out(&head("GET /narrow"), &[403]).await;
        site.kept_out(&head("GET /wide"), &[403]).await;
        site.passes(&head("GET /plain")).await;
    }
    // The facts of a peer that is not there.
    let rules = [
        r#"name: narrow, allow: ["GET /narrow"], from: anyone, because: test, when: 'peer.id != "x"'"#,
        r#"name: wide, allow: ["GET /wide", "GET /plain"], from: anyone, because: test"#,
        r#"name: no, deny: ["GET /wide"], from: anyone, when: 'peer.trust_domain == "evil.test"'"#,
    ];
    let nobody = Site::of(None, &rules).await;
    nobody.kept_out(&head("GET /narrow"), &[401]).await;
    nobody.kept_out(&head("GET /wide"), &[401]).await;
    nobody.passes(&head("GET /plain")).await;
    let web = Site::of(Some(WEB), &rules).await;
    for path in ["/narrow", "/wide", "/plain"] {
        web.passes(&head(&format!("GET {path}"))).await;
    }
}

#[tokio::test]
async fn threats_36_a_deny_wins_in_any_order_and_however_narrow() {
    let allow = r#"name: wide, allow: ["* /**"], from: ["spiffe://example.org/a/**"]"#;
    let exact = r#"name: exact, allow: ["* /**"], from: ["spiffe://example.org/a/b/c"]"#;
    let deny = r#"name: narrow, deny: ["* /**"], from: ["spiffe://example.org/a/b/**"]"#;
    let broad = r#"name: broad, deny: ["* /x/**"], from: authenticated"#;
    for rules in [
        [allow, exact, deny, broad],
        [deny, broad, exact, allow],
        [exact, broad, allow, deny],
    ] {
        for (id, expected) in [
            ("spiffe://example.org/a/b/c", 403),
            ("spiffe://example.org/a/b", 403),
            ("spiffe://example.org/a/bb", 200),
            ("spiffe://example.org/a/x", 200),
            ("spiffe://example.org/b", 403),
        ] {
            let site = Site::of(Some(id), &rules).await;
            if expected == 200 {
                site.passes(&head("GET /y")).await;
            } else {
                site.kept_out(&head("GET /y"), &[403]).await;
            }
            site.kept_out(&head("GET /x/y"), &[403]).await;
        }
    }
}

#[tokio::test]
async fn threats_37_a_route_that_nothing_speaks_of_does_not_start_and_is_denied() {
    let probe = Probe::default();
    let router = || {
        Router::<()>::new()
            .route("/orders/{id}", any_service(probe.clone()).policy())
            .route("/version", any_service(probe.clone()).anyone("no secret"))
    };
    let orders = r#"name: orders, allow: ["* /orders/{id}"], from: [web]"#;
    let dead = r#"name: dead, allow: ["GET /gone"], from: [web]"#;
    let error = router().bind(policy(&[])).unwrap_err().to_string();
    assert!(
        error.contains("* /orders/{id}") && !error.contains("/version"),
        "{error}"
    );
    let error = router()
        .bind(policy(&[orders, dead]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`dead` meets no route"), "{error}");

    // A file that follows is held to the same: what would uncover a route is refused.
    let (directory, path) = written(&text(&[orders]));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let app = router().bind(live.clone()).unwrap();
    let address = serve(Some(&peer(WEB)), app).await;
    assert_eq!(status(address, &head("GET /orders/7")).await, 200);
    for bad in [&[][..], &[orders, dead]] {
        let seen = replaced(&live, &directory, &text(bad)).await;
        assert!(seen.refused().is_some(), "{bad:?}");
        assert_eq!(status(address, &head("GET /orders/7")).await, 200);
    }
    let narrower = r#"name: orders, allow: ["* /orders/{id}"], from: [batch]"#;
    replaced(&live, &directory, &text(&[narrower])).await;
    assert_eq!(status(address, &head("GET /orders/7")).await, 403);
    assert_eq!(status(address, &head("GET /version")).await, 200);

    // Behind `guard`, which knows no routes, it is denied.
    let app = guard(everything(&probe), policy(&[orders])).unwrap();
    let before = probe.calls();
    let address = serve(Some(&peer(WEB)), app).await;
    assert_eq!(status(address, &head("GET /permissionless")).await, 403);
    assert_eq!(probe.calls(), before);
}

struct Slow;

impl ResourceProvider for Slow {
    type Error = Infallible;

    async fn resource(&self, request: &Parts) -> Result<Option<Value>, Infallible> {
        tokio::task::yield_now().await;
        Ok(Some(
            json!({ "open": request.uri.path().ends_with("open") }),
        ))
    }
}

impl DecisionPoint for Slow {
    type Error = Infallible;

    async fn verdict(&self, request: &Parts) -> Result<Verdict, Infallible> {
        tokio::task::yield_now().await;
        let veto = request.headers.contains_key("x-veto");
        Ok(if veto {
            Verdict::deny("a veto")
        } else {
            Verdict::NoObjection
        })
    }
}

/// The probe counts in `call`, not in the future that it returns.
#[tokio::test]
async fn threats_38_the_inner_service_is_not_called_before_the_decision() {
    let rules = [
        r#"name: now, allow: ["GET /now"], from: [web]"#,
        r#"name: later, allow: ["GET /later/*"], from: [web], when: 'resource.open'"#,
    ];
    let probe = Probe::default();
    let layer = AuthzLayer::new(policy(&rules))
        .unwrap()
        .resources(Slow)
        .decision_point(Slow);
    let direct = serve(Some(&peer(WEB)), layer.clone().layer(probe.clone())).await;
    let bound = serve(Some(&peer(WEB)), everything_bound(&probe, layer.clone())).await;
    for address in [direct, bound] {
        for (request, expected) in [
            ("GET /no HTTP/1.1\r\nhost: a", 403),
            ("GET /later/closed HTTP/1.1\r\nhost: a", 403),
            ("GET /now HTTP/1.1\r\nhost: a\r\nx-veto: 1", 403),
            ("GET /later/open HTTP/1.1\r\nhost: a\r\nx-veto: 1", 403),
            ("GET /now HTTP/1.1\r\nhost: a", 200),
            ("GET /later/open HTTP/1.1\r\nhost: a", 200),
        ] {
            let before = probe.calls();
            assert_eq!(status(address, request).await, expected, "{request}");
            assert_eq!(
                probe.calls() - before,
                usize::from(expected == 200),
                "{request}"
            );
        }
    }
    // Not even while the decision waits: the future of a request that is pending has called nothing.
    let service = peer(WEB).layer(layer.layer(probe.clone()));
    let before = probe.calls();
    let request = Request::get("/later/open")
        .body(axum::body::Body::empty())
        .unwrap();
    let mut pending = Box::pin(service.oneshot(request));
    assert!(futures_poll(&mut pending).await.is_pending());
    assert_eq!(probe.calls(), before);
    assert_eq!(pending.await.unwrap().status(), 200);
    assert_eq!(probe.calls(), before + 1);
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await
}

/// Answers nobody before everybody has asked.
struct Together {
    waiting: AtomicUsize,
    all: usize,
    everybody: tokio::sync::Notify,
}

struct Each(Arc<Together>);

impl ResourceProvider for Each {
    type Error = Infallible;

    async fn resource(&self, _: &Parts) -> Result<Option<Value>, Infallible> {
        let everybody = self.0.everybody.notified();
        tokio::pin!(everybody);
        everybody.as_mut().enable();
        if self.0.waiting.fetch_add(1, Ordering::SeqCst) + 1 == self.0.all {
            self.0.everybody.notify_waiters();
        } else {
            everybody.await;
        }
        Ok(Some(json!({ "open": true })))
    }
}

/// Were one to wait for another, none would ever be answered.
#[tokio::test]
async fn threats_39_a_thousand_requests_wait_side_by_side() {
    const MANY: usize = 1000;
    let together = Arc::new(Together {
        waiting: AtomicUsize::new(0),
        all: MANY,
        everybody: tokio::sync::Notify::new(),
    });
    let rules = [
        r#"name: slow, allow: ["GET /slow"], from: [web], when: 'resource.open'"#,
        r#"name: fast, allow: ["GET /fast"], from: [web]"#,
    ];
    let layer = AuthzLayer::new(policy(&rules))
        .unwrap()
        .resources(Each(together.clone()))
        .deadline(LONG);
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), layer).await;
    // Ten connections, each with a hundred streams at once.
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let stream = tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..MANY / 10 {
            let client = client.clone();
            requests.spawn(async move {
                let mut client = client.ready().await.unwrap();
                let request = http::Request::get("http://good.test/slow")
                    .body(())
                    .unwrap();
                let (response, _) = client.send_request(request, true).unwrap();
                response.await.unwrap().status().as_u16()
            });
        }
    }
    // One that needs nothing passes by those that wait.
    assert_eq!(status(server.address, &head("GET /fast")).await, 200);
    let statuses = tokio::time::timeout(LONG, requests.join_all())
        .await
        .unwrap();
    assert_eq!(statuses, vec![200; MANY]);
    assert_eq!(together.waiting.load(Ordering::SeqCst), MANY);
    assert_eq!(server.probe.calls(), MANY + 1);
}
