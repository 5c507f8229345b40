//! Decisions that need somebody else: resources, decision points, and what a guard can be told beside.

#![cfg(feature = "tonic")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common` and `served`"
)]

mod common;
mod served;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use common::Probe;
use http::request::Parts;
use serde_json::{Value, json};
use served::*;
use spiffe_authz::Refusal;
use spiffe_authz::axum::{GuardedService, Router, Rpcs, any_service};
use spiffe_authz::guard::{Authz, AuthzLayer, DecisionPoint, ResourceProvider, Verdict};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::{Policy, Query};
use tokio::sync::Notify;
use tonic::Code;
use tower::{Layer, ServiceExt};

/// Does what the header `x-answer` of the request says, and counts.
#[derive(Clone, Default)]
struct Oracle(Arc<Told>);

#[derive(Default)]
struct Told {
    asked: AtomicUsize,
    dropped: AtomicUsize,
    entered: Notify,
    goes_on: Notify,
}

impl Oracle {
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn answer(&self, request: &Parts, part: &str) -> Result<bool, &'static str> {
        struct Dropped<'a>(&'a AtomicUsize);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let _dropped = Dropped(&self.0.dropped);
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let told = request
            .headers
            .get(part)
            .map(|value| value.to_str().unwrap());
        match told.unwrap_or("yes") {
            "yes" => Ok(true),
            "no" => Ok(false),
            "error" => Err("the oracle is drunk"),
            "panic" => panic!("the oracle is dead"),
            "never" => {
                self.0.entered.notify_one();
                std::future::pending().await
            }
            "later" => {
                self.0.entered.notify_one();
                self.0.goes_on.notified().await;
                Ok(true)
            }
            other => panic!("{other}"),
        }
    }
}

#[derive(Clone, Default)]
struct Resources(Oracle);

impl ResourceProvider for Resources {
    type Error = &'static str;

    async fn resource(&self, request: &Parts) -> Result<Option<Value>, Self::Error> {
        let open = self.0.answer(request, "x-resource").await?;
        Ok(open.then(|| json!({ "open": true })))
    }
}

#[derive(Clone, Default)]
struct Point(Oracle);

impl DecisionPoint for Point {
    type Error = &'static str;

    async fn verdict(&self, request: &Parts) -> Result<Verdict, Self::Error> {
        let agrees = self.0.answer(request, "x-verdict").await?;
        Ok(if agrees {
            Verdict::NoObjection
        } else {
            Verdict::deny("a veto")
        })
    }
}

const RULES: &[&str] = &[
    r#"name: plain, allow: ["GET /plain", "POST /shop.v1.Orders/List"], from: [web]"#,
    r#"name: open, allow: ["GET /doc/{id}"], from: [web], when: 'resource.open'"#,
    r#"name: also, allow: ["GET /doc/both"], from: [web]"#,
    r#"name: gone, deny: ["GET /doc/gone"], from: authenticated"#,
    r#"name: all, allow: ["GET /shut/{id}"], from: [web]"#,
    r#"name: shut, deny: ["GET /shut/{id}"], from: authenticated, when: 'resource.open'"#,
    r#"name: method, allow: ["PUT /doc/{id}"], from: [batch], when: 'resource.open'"#,
];

struct Apps {
    resources: Resources,
    point: Point,
    probe: Probe,
    layer: AuthzLayer,
    records: Records,
}

impl Apps {
    fn of(rules: &[&str], deadline: Duration) -> Self {
        let (resources, point, records) =
            (Resources::default(), Point::default(), Records::default());
        Self {
            layer: AuthzLayer::new(policy(rules))
                .unwrap()
                .resources(resources.clone())
                .deadline(deadline)
                .audit_to(records.clone()),
            resources,
            point,
            probe: Probe::default(),
            records,
        }
    }

    fn with_point(self) -> Self {
        Self {
            layer: self.layer.decision_point(self.point.clone()),
            ..self
        }
    }

    fn guarded(&self) -> Authz<axum::Router> {
        self.layer.layer(everything(&self.probe))
    }

    fn bound(&self) -> GuardedService {
        everything_bound(&self.probe, self.layer.clone())
    }

    /// The same request through both, one after the other.
    async fn both(&self, peer: Option<&MockPeer>, request: impl Fn() -> Request) -> [Response; 2] {
        let (guarded, bound) = (self.guarded(), self.bound());
        match peer {
            Some(peer) => [
                peer.layer(guarded).oneshot(request()).await.unwrap(),
                peer.layer(bound).oneshot(request()).await.unwrap(),
            ],
            None => [
                guarded.oneshot(request()).await.unwrap(),
                bound.oneshot(request()).await.unwrap(),
            ],
        }
    }
}

fn get(path: &str, told: &[(&'static str, &str)]) -> Request {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    for (name, value) in told {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_resource_is_asked_for_where_a_rule_that_may_decide_reads_it_and_once() {
    let apps = Apps::of(RULES, LONG);
    let web = peer(WEB);
    for (path, answer, status, asked) in [
        ("/plain", "yes", 200, 0),
        ("/nowhere", "yes", 403, 0),
        ("/doc/7", "yes", 200, 1),
        ("/doc/7", "no", 403, 1),
        // A deny that holds anyway, and a request that can be read in two ways.
        ("/doc/gone", "yes", 403, 0),
        ("/doc//7", "yes", 400, 0),
        ("/shut/7", "yes", 403, 1),
        // Where there is no such thing, reading it is an error, and that denies.
        ("/shut/7", "no", 403, 1),
    ] {
        let (before, calls) = (apps.resources.0.asked(), apps.probe.calls());
        let responses = apps
            .both(Some(&web), || get(path, &[("x-resource", answer)]))
            .await;
        for response in &responses {
            assert_eq!(response.status().as_u16(), status, "{path} {answer}");
        }
        assert_eq!(
            apps.resources.0.asked() - before,
            2 * asked,
            "{path} {answer}"
        );
        assert_eq!(
            apps.probe.calls() - calls,
            if status == 200 { 2 } else { 0 }
        );
        assert_eq!(apps.records.take().len(), 2, "one record for each decision");
    }
    // The rule is about others, or about nobody.
    let before = apps.resources.0.asked();
    apps.both(Some(&peer(BATCH)), || get("/doc/7", &[])).await;
    apps.both(None, || get("/doc/7", &[])).await;
    assert_eq!(apps.resources.0.asked(), before);
    // Where a plain rule allows as well, the answer could not matter; either way it passes.
    for response in apps
        .both(Some(&web), || get("/doc/both", &[("x-resource", "no")]))
        .await
    {
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn without_an_answer_an_allow_does_not_match_and_a_deny_does() {
    let apps = Apps::of(RULES, Duration::from_millis(20));
    let web = peer(WEB);
    for (answer, detail) in [("never", "in time"), ("error", "the oracle is drunk")] {
        for path in ["/doc/7", "/shut/7"] {
            let responses = apps
                .both(Some(&web), || get(path, &[("x-resource", answer)]))
                .await;
            for (response, record) in responses.iter().zip(apps.records.take()) {
                assert_eq!(response.status(), 403, "{path} {answer}");
                assert!(
                    record["detail"].as_str().unwrap().contains(detail),
                    "{record}"
                );
                assert_eq!(record["reason"], "condition_error");
            }
        }
    }
    assert_eq!(apps.probe.calls(), 0);
    for response in apps.both(Some(&web), || get("/doc/7", &[])).await {
        assert_eq!(response.status(), 200);
    }
    // No provider at all is no answer either.
    let layer = AuthzLayer::new(policy(RULES)).unwrap();
    let app = web.layer(layer.layer(everything(&apps.probe)));
    for path in ["/doc/7", "/shut/7"] {
        assert_eq!(
            app.clone().oneshot(get(path, &[])).await.unwrap().status(),
            403,
            "{path}"
        );
    }
    assert_eq!(app.oneshot(get("/plain", &[])).await.unwrap().status(), 200);
    // Nor does the engine by itself know a thing.
    let (policy, headers) = (policy(RULES), http::HeaderMap::new());
    let id = spiffe_peer::parse::workload_id(WEB).unwrap();
    let query = Query::new(&http::Method::GET, "/doc/7", &headers).peer(&id);
    assert_eq!(policy.decide(&query).reason(), "condition_error");
    let resource = json!({ "open": true });
    assert!(policy.decide(&query.resource(&resource)).is_allowed());
}

/// A panic in the service's own code ends that connection; nobody passes and nobody else is hurt.
#[tokio::test]
async fn a_panic_passes_nobody() {
    let apps = Apps::of(RULES, LONG).with_point();
    let web = peer(WEB);
    let guarded = serve(Some(&web), apps.guarded()).await;
    let bound = serve(Some(&web), apps.bound()).await;
    for address in [guarded, bound] {
        let ask = async |path: &str, told: &str| {
            let head = format!("{}\r\n{told}", head(&format!("GET {path}")));
            status(address, &head).await
        };
        let before = apps.probe.calls();
        assert_eq!(ask("/doc/7", "x-resource: panic").await, 0);
        assert_eq!(ask("/plain", "x-verdict: panic").await, 0);
        assert_eq!(apps.probe.calls(), before);
        assert_eq!(ask("/doc/7", "x-verdict: yes").await, 200);
        assert_eq!(ask("/plain", "x-verdict: no").await, 403);
        assert_eq!(apps.probe.calls(), before + 1);
    }
}

#[tokio::test]
async fn whoever_goes_away_is_not_waited_for() {
    let apps = Apps::of(RULES, LONG).with_point();
    let web = peer(WEB);
    for (path, told, oracle) in [
        ("/doc/7", "x-resource", &apps.resources.0),
        ("/plain", "x-verdict", &apps.point.0),
    ] {
        for bound in [false, true] {
            let request = get(path, &[(told, "never")]);
            let dropped = oracle.0.dropped.load(Ordering::SeqCst);
            let task = if bound {
                tokio::spawn(web.layer(apps.bound()).oneshot(request))
            } else {
                tokio::spawn(web.layer(apps.guarded()).oneshot(request))
            };
            tokio::time::timeout(LONG, oracle.0.entered.notified())
                .await
                .unwrap();
            assert_eq!(oracle.0.dropped.load(Ordering::SeqCst), dropped);
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(oracle.0.dropped.load(Ordering::SeqCst), dropped + 1);
        }
    }
    assert_eq!(apps.probe.calls(), 0);
    // The same where a client hangs up.
    let address = serve(Some(&web), apps.guarded()).await;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::get("http://good.test/doc/7")
        .header("x-resource", "never")
        .body(())
        .unwrap();
    let dropped = apps.resources.0.0.dropped.load(Ordering::SeqCst);
    let answer = client.send_request(request, true).unwrap();
    tokio::time::timeout(LONG, apps.resources.0.0.entered.notified())
        .await
        .unwrap();
    drop((answer, client));
    connection.abort();
    tokio::time::timeout(LONG, async {
        while apps.resources.0.0.dropped.load(Ordering::SeqCst) == dropped {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_identity_that_ends_while_the_decision_waits_is_refused() {
    let apps = Apps::of(RULES, LONG).with_point();
    for (path, told, oracle) in [
        ("/doc/7", "x-resource", &apps.resources.0),
        ("/plain", "x-verdict", &apps.point.0),
    ] {
        for ends in [true, false] {
            let web = peer(WEB);
            let request = get(path, &[(told, "later")]);
            let task = tokio::spawn(web.layer(apps.guarded()).oneshot(request));
            tokio::time::timeout(LONG, oracle.0.entered.notified())
                .await
                .unwrap();
            if ends {
                web.connection().withdraw();
            }
            oracle.0.goes_on.notify_one();
            let response = task.await.unwrap().unwrap();
            assert_eq!(response.status(), if ends { 401 } else { 200 }, "{path}");
        }
    }
    assert_eq!(apps.probe.calls(), 2);
}

#[tokio::test]
async fn a_decision_point_is_asked_after_an_allow_alone_and_can_only_deny() {
    let apps = Apps::of(RULES, Duration::from_millis(20)).with_point();
    let web = peer(WEB);
    for (path, verdict, status, asked) in [
        ("/plain", "yes", 200, 1),
        ("/plain", "no", 403, 1),
        ("/plain", "error", 403, 1),
        ("/plain", "never", 403, 1),
        ("/doc/7", "yes", 200, 1),
        ("/doc/7", "no", 403, 1),
        // It turns no deny into an allow: it is not even asked.
        ("/nowhere", "yes", 403, 0),
        ("/doc/gone", "yes", 403, 0),
        ("/shut/7", "yes", 403, 0),
        ("/doc//7", "yes", 400, 0),
    ] {
        let (before, calls) = (apps.point.0.asked(), apps.probe.calls());
        let responses = apps
            .both(Some(&web), || get(path, &[("x-verdict", verdict)]))
            .await;
        for response in &responses {
            assert_eq!(response.status().as_u16(), status, "{path} {verdict}");
        }
        assert_eq!(apps.point.0.asked() - before, 2 * asked, "{path} {verdict}");
        assert_eq!(
            apps.probe.calls() - calls,
            if status == 200 { 2 } else { 0 }
        );
        for (record, response) in apps.records.take().iter().zip(&responses) {
            let objected = asked == 1 && status == 403;
            assert_eq!(record["reason"] == "decision_point", objected, "{record}");
            let refusal = response.extensions().get::<Refusal>();
            assert_eq!(
                refusal.is_some_and(|it| it.reason() == "decision_point"),
                objected
            );
        }
    }
    for request in [|| get("/plain", &[]), || get("/doc/7", &[])] {
        let before = apps.point.0.asked();
        for response in apps.both(None, request).await {
            assert_eq!(response.status(), 401);
        }
        assert_eq!(apps.point.0.asked(), before);
    }
}

#[tokio::test]
async fn beside_a_rule_in_code_nobody_is_asked_in_vain() {
    let rules = [
        r#"name: no, deny: ["GET /code/gone"], from: authenticated"#,
        r#"name: shut, deny: ["GET /code/shut"], from: authenticated, when: 'resource.open'"#,
        r#"name: opens, allow: ["* /code/*"], from: [partner]"#,
    ];
    let apps = Apps::of(&rules, LONG).with_point();
    let orders = Orders::default();
    let app = Router::new()
        .route(
            "/code/{id}",
            any_service(apps.probe.clone())
                .allow([WEB, BATCH])
                .deny(BATCH),
        )
        .grpc(orders.clone(), Rpcs::new().allow("List", WEB))
        .bind_with(apps.layer.clone())
        .unwrap();
    for (id, path, told, status, (resources, points)) in [
        (Some(WEB), "/code/a", [("x-verdict", "yes")], 200, (0, 1)),
        (Some(WEB), "/code/a", [("x-verdict", "no")], 403, (0, 1)),
        (Some(WEB), "/code/gone", [("x-verdict", "yes")], 403, (0, 0)),
        (
            Some(WEB),
            "/code/shut",
            [("x-resource", "yes")],
            403,
            (1, 0),
        ),
        (Some(BATCH), "/code/a", [("x-verdict", "yes")], 403, (0, 0)),
        (
            Some(BATCH),
            "/code/shut",
            [("x-verdict", "yes")],
            403,
            (0, 0),
        ),
        (
            Some(PARTNER),
            "/code/a",
            [("x-verdict", "yes")],
            403,
            (0, 0),
        ),
        (None, "/code/a", [("x-verdict", "yes")], 401, (0, 0)),
        (None, "/code/shut", [("x-verdict", "yes")], 401, (0, 0)),
    ] {
        let before = (apps.resources.0.asked(), apps.point.0.asked());
        let calls = apps.probe.calls();
        let response = match id {
            Some(id) => peer(id)
                .layer(app.clone())
                .oneshot(get(path, &told))
                .await
                .unwrap(),
            None => app.clone().oneshot(get(path, &told)).await.unwrap(),
        };
        assert_eq!(response.status().as_u16(), status, "{path} of {id:?}");
        let asked = (
            apps.resources.0.asked() - before.0,
            apps.point.0.asked() - before.1,
        );
        assert_eq!(asked, (resources, points), "{path} of {id:?}");
        assert_eq!(apps.probe.calls() - calls, usize::from(status == 200));
        assert_eq!(apps.records.take().len(), 1, "{path} of {id:?}");
    }
    // An RPC has its rule in code too.
    for (id, code, asked) in [(WEB, Code::Ok, 1), (PARTNER, Code::PermissionDenied, 0)] {
        let before = apps.point.0.asked();
        let address = serve(Some(&peer(id)), app.clone()).await;
        let got = unary(address, "/shop.v1.Orders/List").await;
        assert_eq!(got.map_or_else(|status| status.code(), |_| Code::Ok), code);
        assert_eq!(apps.point.0.asked() - before, asked);
    }
    assert_eq!(orders.calls(), 1);
}

#[tokio::test]
async fn refusals_are_answered_in_another_form() {
    let apps = Apps::of(RULES, Duration::from_millis(20)).with_point();
    let layer = apps.layer.clone().refuse_with(|refusal: &Refusal| {
        let status = if refusal.is_malformed() { 418 } else { 404 };
        let mut response = Response::new(Body::from("nothing here"));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    });
    let address = serve(Some(&peer(WEB)), layer.layer(everything(&apps.probe))).await;
    for (request, told, expected) in [
        ("GET /nowhere", "x-a: b", 404),
        ("GET /doc/7", "x-resource: no", 404),
        ("GET /plain", "x-verdict: no", 404),
        ("GET //plain", "x-a: b", 418),
        ("GET /plain", "x-a: b", 200),
        ("GET /doc/7", "x-a: b", 200),
    ] {
        let answer = exchange(address, &format!("{}\r\n{told}", head(request))).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{request}: {answer}"
        );
        assert_eq!(
            answer.ends_with("nothing here"),
            expected != 200,
            "{answer}"
        );
    }
    assert_eq!(apps.probe.calls(), 2);
    let app = peer(WEB).layer(layer.layer(everything(&apps.probe)));
    let response = app.oneshot(get("/nowhere", &[])).await.unwrap();
    assert_eq!(
        response.extensions().get::<Refusal>().unwrap().reason(),
        "default"
    );
}

fn shadow(rules: &[&str]) -> Policy {
    let text = text(rules).replace("name: test", "name: trial\nmode: shadow");
    Policy::from_yaml(&text).unwrap()
}

#[tokio::test]
async fn a_policy_in_shadow_is_recorded_and_decides_nothing() {
    let stricter = shadow(&[r#"name: only-b, allow: ["GET /b"], from: [web]"#]);
    let enforced = policy(&[r#"name: a, allow: ["GET /a"], from: [web]"#]);
    let records = Records::default();
    let web = peer(WEB);
    let layer = AuthzLayer::new(enforced.clone())
        .unwrap()
        .beside(stricter.clone())
        .unwrap()
        .audit_to(records.clone());
    let server = Server::guarded(Some(&web), layer).await;
    for (path, status_code, trial) in [
        ("/a", 200, "deny"),
        ("/b", 403, "allow"),
        ("/c", 403, "deny"),
    ] {
        assert_eq!(
            status(server.address, &head(&format!("GET {path}"))).await,
            status_code
        );
        let kept = records.take();
        assert_eq!(kept.len(), 2, "{path}: {kept:#?}");
        assert_eq!(
            (&kept[0]["policy"], &kept[1]["policy"]),
            (&"test".into(), &"trial".into())
        );
        assert_eq!(
            kept[0]["authorizationDecision"],
            if status_code == 200 { "allow" } else { "deny" }
        );
        assert_eq!(
            (&kept[1]["shadowDecision"], &kept[1]["reason"]),
            (&trial.into(), &"shadow".into())
        );
    }
    assert_eq!(server.probe.calls(), 1);

    // Alone it needs a reason, and lets everything pass that can be read in one way.
    assert!(AuthzLayer::new(stricter.clone()).is_err());
    assert!(AuthzLayer::shadow_only(stricter.clone(), " ").is_err());
    assert!(AuthzLayer::shadow_only(enforced.clone(), "a trial").is_err());
    assert!(
        AuthzLayer::new(enforced.clone())
            .unwrap()
            .beside(enforced)
            .is_err()
    );
    let layer = AuthzLayer::shadow_only(stricter.clone(), "a trial")
        .unwrap()
        .audit_to(records.clone());
    for peer in [Some(&web), None] {
        let server = Server::guarded(peer, layer.clone()).await;
        for (path, status_code) in [("/a", 200), ("/b", 200), ("//b", 400), ("/b/../a", 400)] {
            assert_eq!(
                status(server.address, &head(&format!("GET {path}"))).await,
                status_code,
                "{path}"
            );
            let kept = records.take();
            assert_eq!(kept.len(), 1);
            let would = if peer.is_some() && path == "/b" {
                "allow"
            } else {
                "deny"
            };
            assert_eq!(kept[0]["shadowDecision"], would, "{path}: {kept:#?}");
        }
        assert_eq!(server.probe.calls(), 2);
    }
    let error = Router::<()>::new()
        .route("/b", any_service(Probe::default()).policy())
        .bind(stricter)
        .unwrap_err()
        .to_string();
    assert!(error.contains("in shadow"), "{error}");
}

#[tokio::test]
async fn a_policy_in_shadow_is_recorded_where_a_rule_in_code_decides_too() {
    let records = Records::default();
    let layer = AuthzLayer::new(policy(&[]))
        .unwrap()
        .beside(shadow(&[r#"name: only-b, allow: ["GET /b"], from: [web]"#]))
        .unwrap()
        .audit_to(records.clone());
    let app = Router::<()>::new()
        .route("/a", any_service(Probe::default()).allow(WEB))
        .route("/b", any_service(Probe::default()).allow(BATCH))
        .bind_with(layer)
        .unwrap();
    let app = peer(WEB).layer(app);
    for (path, status, enforced, trial) in
        [("/a", 200, "allow", "deny"), ("/b", 403, "deny", "allow")]
    {
        let response = app.clone().oneshot(get(path, &[])).await.unwrap();
        assert_eq!(response.status(), status);
        let kept = records.take();
        assert_eq!(kept.len(), 2, "{path}: {kept:#?}");
        assert_eq!(kept[0]["authorizationDecision"], enforced);
        assert_eq!(kept[1]["policy"], "trial");
        assert_eq!(kept[1]["shadowDecision"], trial);
    }
}

struct Open;

impl ResourceProvider for Open {
    type Error = std::convert::Infallible;

    async fn resource(&self, _: &Parts) -> Result<Option<Value>, Self::Error> {
        Ok(Some(json!({ "open": true })))
    }
}

/// A policy beside is judged by what is known, and asks nobody itself.
#[tokio::test]
async fn a_policy_beside_reads_the_resource_that_the_enforced_one_asked_for() {
    let reads = r#"name: a, allow: ["GET /a"], from: [web], when: resource.open"#;
    let does_not = r#"name: a, allow: ["GET /a"], from: [web]"#;
    for (enforced, trial) in [(reads, "allow"), (does_not, "undecided")] {
        let records = Records::default();
        let layer = AuthzLayer::new(policy(&[enforced]))
            .unwrap()
            .beside(shadow(&[reads]))
            .unwrap()
            .resources(Open)
            .audit_to(records.clone());
        let app = peer(WEB).layer(layer.layer(everything(&Probe::default())));
        let response = app.oneshot(get("/a", &[])).await.unwrap();
        assert_eq!(response.status(), 200);
        let kept = records.take();
        assert_eq!(kept[1]["shadowDecision"], trial, "{:#}", kept[1]);
    }
}
