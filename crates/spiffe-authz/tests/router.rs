//! The guarded router: what passes, what is denied, and what cannot be built.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Path, State};
use common::{PAYMENTS, Probe, STOCK, call, request, status, text};
use http::Request;
use spiffe_authz::Refusal;
use spiffe_authz::axum::{
    GuardedService, Router, any, any_service, delete, get, get_service, head, post,
};
use spiffe_authz::mock::MockPeer;
use spiffe_peer::PeerIdentity;
use tower::{Layer, ServiceExt};

const OTHER: &str = "spiffe://example.org/service/other";

fn orders() -> GuardedService {
    Router::new()
        .route(
            "/orders",
            post(async || "created")
                .allow(PAYMENTS)
                .get(async || "all")
                .allow(PAYMENTS)
                .allow(STOCK),
        )
        .route(
            "/orders/{id}",
            get(async |Path(id): Path<String>| id)
                .allow([PAYMENTS, "spiffe://example.org/ns/audit/**"]),
        )
        .route("/orders/special", get(async || "special").allow(STOCK))
        .route(
            "/version",
            get(async || "1").authenticated("any workload may ask"),
        )
        .route(
            "/healthz",
            get(async || "ok").anyone("probes carry no identity"),
        )
        .build()
        .unwrap()
}

#[tokio::test]
async fn invariant_9_without_a_rule_everything_is_denied() {
    let nothing = Router::<()>::new().build().unwrap();
    for method in ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "BREW"] {
        for target in ["/", "/orders", "/any/thing"] {
            assert_eq!(
                status(&nothing, None, method, target).await,
                401,
                "{method} {target}"
            );
            assert_eq!(
                status(&nothing, Some(PAYMENTS), method, target).await,
                403,
                "{method} {target}"
            );
        }
    }
}

#[tokio::test]
async fn each_method_of_each_route_has_a_rule_of_its_own() {
    let app = orders();
    for (method, target, nobody, payments, stock, other) in [
        ("POST", "/orders", 401, 200, 403, 403),
        ("GET", "/orders", 401, 200, 200, 403),
        ("HEAD", "/orders", 401, 200, 200, 403),
        ("DELETE", "/orders", 401, 403, 403, 403),
        ("OPTIONS", "/orders", 401, 403, 403, 403),
        ("BREW", "/orders", 401, 403, 403, 403),
        ("get", "/orders", 401, 403, 403, 403),
        ("GET", "/orders/7", 401, 200, 403, 403),
        ("GET", "/orders/special", 401, 403, 200, 403),
        ("GET", "/ORDERS", 401, 403, 403, 403),
        ("GET", "/orders/7/lines", 401, 403, 403, 403),
        ("GET", "/version", 401, 200, 200, 200),
        ("POST", "/version", 401, 403, 403, 403),
        ("GET", "/healthz", 200, 200, 200, 200),
        ("POST", "/healthz", 401, 403, 403, 403),
        ("GET", "/nowhere", 401, 403, 403, 403),
    ] {
        for (peer, expected) in [
            (None, nobody),
            (Some(PAYMENTS), payments),
            (Some(STOCK), stock),
            (Some(OTHER), other),
        ] {
            assert_eq!(
                status(&app, peer, method, target).await,
                expected,
                "{method} {target} of {peer:?}"
            );
        }
    }
}

#[tokio::test]
async fn handlers_keep_their_extractors() {
    async fn create(
        peer: PeerIdentity,
        State(shop): State<String>,
        Path(id): Path<u32>,
        Json(lines): Json<Vec<u32>>,
    ) -> String {
        format!("{peer} {shop} {id} {lines:?}")
    }
    let app = Router::new()
        .route("/orders/{id}", post(create).allow(PAYMENTS))
        .fallback(any(async |State(shop): State<String>| shop).allow(PAYMENTS))
        .with_state("corner".to_owned())
        .build()
        .unwrap();
    let order = Request::post("/orders/7")
        .header("content-type", "application/json")
        .body(Body::from("[1,2]"))
        .unwrap();
    let response = call(&app, Some(PAYMENTS), order).await;
    assert_eq!(text(response).await, format!("{PAYMENTS} corner 7 [1, 2]"));
    assert_eq!(
        text(call(&app, Some(PAYMENTS), request("GET", "/elsewhere")).await).await,
        "corner"
    );
}

/// A handler that begins in `call`, not in its future.
#[derive(Clone)]
struct Eager(Probe);

impl<S> axum::handler::Handler<(), S> for Eager {
    type Future = std::future::Ready<axum::response::Response>;

    fn call(mut self, request: axum::extract::Request, _: S) -> Self::Future {
        std::future::ready(
            tower::Service::call(&mut self.0, request)
                .into_inner()
                .unwrap(),
        )
    }
}

#[tokio::test]
async fn threats_authorization_38_a_denied_request_reaches_no_inner_call() {
    let probe = Probe::default();
    let app = Router::new()
        .route("/handler", get(Eager(probe.clone())).allow(PAYMENTS))
        .route("/one", any_service(probe.clone()).allow(PAYMENTS))
        .route("/two", get_service(probe.clone()).authenticated("a test"))
        .service("/files", any_service(probe.clone()).allow(PAYMENTS))
        .fallback(any_service(probe.clone()).allow(PAYMENTS))
        .build()
        .unwrap();
    for (peer, targets) in [
        (None, ["/handler", "/one", "/two", "/files/a", "/nowhere"]),
        (
            Some(STOCK),
            ["/handler", "/one", "/one", "/files", "/nowhere"],
        ),
    ] {
        for target in targets {
            for method in ["GET", "POST", "BREW"] {
                let expected = if peer.is_none() { 401 } else { 403 };
                assert_eq!(
                    status(&app, peer, method, target).await,
                    expected,
                    "{method} {target}"
                );
            }
        }
    }
    assert_eq!(probe.calls(), 0);
    for (calls, target) in (1..).zip(["/handler", "/one", "/two", "/files/a", "/nowhere"]) {
        assert_eq!(
            status(&app, Some(PAYMENTS), "GET", target).await,
            200,
            "{target}"
        );
        assert_eq!(probe.calls(), calls, "the probe can count");
    }
}

#[tokio::test]
async fn threats_authorization_20_get_covers_head_never_the_reverse() {
    let app = Router::new()
        .route("/get", get(async || "body").allow(PAYMENTS))
        .route("/head", head(async || ()).allow(PAYMENTS))
        .route(
            "/both",
            get(async || "body")
                .allow(PAYMENTS)
                .head(async || ())
                .allow(STOCK),
        )
        .build()
        .unwrap();
    for (method, target, payments, stock) in [
        ("GET", "/get", 200, 403),
        ("HEAD", "/get", 200, 403),
        ("HEAD", "/head", 200, 403),
        ("GET", "/head", 403, 403),
        ("GET", "/both", 200, 403),
        ("HEAD", "/both", 403, 200),
    ] {
        assert_eq!(
            status(&app, Some(PAYMENTS), method, target).await,
            payments,
            "{method} {target}"
        );
        assert_eq!(
            status(&app, Some(STOCK), method, target).await,
            stock,
            "{method} {target}"
        );
    }
}

#[tokio::test]
async fn threats_authorization_19_any_method_is_said_and_not_assumed() {
    let app = Router::new()
        .route("/any", any(async || "any").allow(PAYMENTS))
        .route(
            "/mixed",
            get(async || "get")
                .allow(STOCK)
                .any(async || "any")
                .allow(PAYMENTS),
        )
        .route(
            "/enumerated",
            get(async || "get")
                .allow(PAYMENTS)
                .post(async || "post")
                .allow(PAYMENTS),
        )
        .build()
        .unwrap();
    assert_eq!(status(&app, Some(PAYMENTS), "BREW", "/any").await, 200);
    assert_eq!(status(&app, Some(STOCK), "BREW", "/any").await, 403);
    assert_eq!(status(&app, Some(PAYMENTS), "BREW", "/mixed").await, 200);
    assert_eq!(
        status(&app, Some(PAYMENTS), "GET", "/mixed").await,
        403,
        "a method that is named has its own rule"
    );
    assert_eq!(status(&app, Some(STOCK), "GET", "/mixed").await, 200);
    assert_eq!(
        status(&app, Some(PAYMENTS), "BREW", "/enumerated").await,
        403
    );
    assert_eq!(
        status(&app, Some(PAYMENTS), "OPTIONS", "/enumerated").await,
        403
    );
}

#[tokio::test]
async fn threats_authorization_21b_merged_routes_keep_their_rules() {
    let reading = Router::<()>::new()
        .route("/orders", get(async || "all").allow(STOCK))
        .route("/a", get(async || "a").allow(STOCK));
    let writing = Router::new()
        .route("/orders", post(async || "created").allow(PAYMENTS))
        .fallback(any(async || "fallback").allow(PAYMENTS));
    let app = reading
        .merge(writing)
        .route("/late", delete(async || "late").allow(PAYMENTS))
        .build()
        .unwrap();
    for (method, target, payments, stock) in [
        ("GET", "/orders", 403, 200),
        ("POST", "/orders", 200, 403),
        ("PUT", "/orders", 403, 403),
        ("GET", "/a", 403, 200),
        ("DELETE", "/late", 200, 403),
        ("GET", "/late", 403, 403),
        ("GET", "/nowhere", 200, 403),
    ] {
        assert_eq!(
            status(&app, Some(PAYMENTS), method, target).await,
            payments,
            "{method} {target}"
        );
        assert_eq!(
            status(&app, Some(STOCK), method, target).await,
            stock,
            "{method} {target}"
        );
    }
}

#[tokio::test]
async fn threats_authorization_9_and_22_nested_routes_keep_their_rules_and_the_whole_path() {
    async fn place(
        OriginalUri(original): OriginalUri,
        matched: MatchedPath,
        request: axum::extract::Request,
    ) -> String {
        format!("{original} {} {}", request.uri(), matched.as_str())
    }
    let inner = || {
        Router::<()>::new()
            .route("/", get(async || "index").allow(STOCK))
            .route("/orders/{id}", get(place).allow(PAYMENTS))
    };
    let app = Router::new()
        .merge(inner())
        .nest("/api", inner())
        .nest(
            "/tenants/{tenant}",
            Router::new().nest("/v2", Router::new().nest("/api", inner())),
        )
        .build()
        .unwrap();
    for (prefix, template) in [
        ("", ""),
        ("/api", "/api"),
        ("/tenants/t1/v2/api", "/tenants/{tenant}/v2/api"),
    ] {
        let target = format!("{prefix}/orders/7");
        assert_eq!(
            status(&app, Some(STOCK), "GET", &target).await,
            403,
            "{target}"
        );
        assert_eq!(status(&app, None, "GET", &target).await, 401, "{target}");
        let response = call(&app, Some(PAYMENTS), request("GET", &target)).await;
        assert_eq!(
            text(response).await,
            format!("{target} {target} {template}/orders/{{id}}")
        );
        let index = if prefix.is_empty() { "/" } else { prefix };
        assert_eq!(
            status(&app, Some(STOCK), "GET", index).await,
            200,
            "{index}"
        );
        assert_eq!(
            status(&app, Some(PAYMENTS), "GET", index).await,
            403,
            "{index}"
        );
    }
    for nowhere in [
        "/api/nowhere",
        "/tenants/t1",
        "/tenants/t1/v2",
        "/tenants/t1/v2/api/x",
        "/apiorders/7",
    ] {
        assert_eq!(
            status(&app, Some(PAYMENTS), "GET", nowhere).await,
            403,
            "{nowhere}"
        );
    }
}

#[tokio::test]
async fn threats_authorization_17_a_mount_is_guarded_in_its_whole_depth_and_no_further() {
    let probe = Probe::default();
    let app = Router::new()
        .service("/files", any_service(probe.clone()).allow(PAYMENTS))
        .build()
        .unwrap();
    for (target, seen) in [("/files", "/"), ("/files/a", "/a"), ("/files/a/b", "/a/b")] {
        assert_eq!(
            status(&app, Some(STOCK), "GET", target).await,
            403,
            "{target}"
        );
        assert_eq!(
            text(call(&app, Some(PAYMENTS), request("GET", target)).await).await,
            format!("GET {seen}")
        );
    }
    let calls = probe.calls();
    for target in ["/filesystem", "/file", "/", "/files2/a", "/Files/a"] {
        assert_eq!(
            status(&app, Some(PAYMENTS), "GET", target).await,
            403,
            "{target}"
        );
    }
    assert_eq!(probe.calls(), calls);
}

#[tokio::test]
async fn a_fallback_has_a_rule_and_takes_no_route_over() {
    let app = Router::new()
        .route("/orders", get(async || "all").allow(PAYMENTS))
        .fallback(get(async || "fallback").allow(STOCK))
        .build()
        .unwrap();
    assert_eq!(status(&app, Some(STOCK), "GET", "/nowhere").await, 200);
    assert_eq!(status(&app, Some(PAYMENTS), "GET", "/nowhere").await, 403);
    assert_eq!(status(&app, Some(STOCK), "POST", "/nowhere").await, 403);
    assert_eq!(
        status(&app, Some(STOCK), "POST", "/orders").await,
        403,
        "a method without a rule is no matter of the fallback"
    );
    assert_eq!(status(&app, None, "GET", "/nowhere").await, 401);
}

#[tokio::test]
async fn an_identity_that_has_ended_is_refused_everywhere_and_its_connection_asked_to_close() {
    let app = orders();
    for target in ["/orders", "/orders/7", "/version", "/healthz", "/nowhere"] {
        let withdrawn = MockPeer::id(PAYMENTS).unwrap();
        withdrawn.connection().withdraw();
        let expired = MockPeer::id(PAYMENTS)
            .unwrap()
            .valid_until(SystemTime::now() - Duration::from_secs(1));
        for peer in [withdrawn, expired] {
            let response = peer
                .layer(app.clone())
                .oneshot(request("GET", target))
                .await
                .unwrap();
            assert_eq!(response.status(), 401, "{target}");
            tokio::time::timeout(Duration::from_secs(10), peer.connection().close_requested())
                .await
                .expect("the connection is asked to close");
        }
    }
}

#[tokio::test]
async fn threats_authorization_44_headers_are_no_identity() {
    let app = orders();
    for (name, value) in [
        ("x-forwarded-client-cert", format!("URI={PAYMENTS}")),
        ("x-spiffe-id", PAYMENTS.to_owned()),
        ("x_spiffe_id", PAYMENTS.to_owned()),
    ] {
        let spoofed = || {
            Request::get("/orders/7")
                .header(name, &value)
                .body(Body::empty())
                .unwrap()
        };
        assert_eq!(call(&app, None, spoofed()).await.status(), 401, "{name}");
        assert_eq!(
            call(&app, Some(STOCK), spoofed()).await.status(),
            403,
            "{name}"
        );
    }
}

#[tokio::test]
async fn invariant_12_the_answer_depends_on_the_status_alone() {
    let app = orders();
    let ended = MockPeer::id(PAYMENTS).unwrap();
    ended.connection().withdraw();
    let mut seen = std::collections::HashMap::<u16, Vec<(String, String)>>::new();
    let mut reasons = std::collections::HashSet::new();
    for (method, target) in [
        ("GET", "/orders"),
        ("GET", "/orders/special"),
        ("DELETE", "/orders"),
        ("GET", "/nowhere"),
        ("POST", "/healthz"),
        ("GET", "/version"),
    ] {
        let ended = ended
            .layer(app.clone())
            .oneshot(request(method, target))
            .await
            .unwrap();
        for response in [
            call(&app, None, request(method, target)).await,
            call(&app, Some(OTHER), request(method, target)).await,
            ended,
        ] {
            if response.status() == 200 {
                continue;
            }
            reasons.insert(response.extensions().get::<Refusal>().unwrap().reason());
            let head = format!(
                "{:?} {:?} {:?}",
                response.version(),
                response.status(),
                response.headers()
            );
            seen.entry(response.status().as_u16())
                .or_default()
                .push((head, text(response).await));
        }
    }
    assert_eq!(reasons.len(), 4, "every reason was met: {reasons:?}");
    for (status, answers) in seen {
        assert!(
            answers.len() > 3 && answers.iter().all(|answer| *answer == answers[0]),
            "{status}: {answers:#?}"
        );
        assert!(
            !answers[0].0.contains("allow"),
            "no word of the methods that there are: {}",
            answers[0].0
        );
    }
}

#[tokio::test]
async fn a_refusal_of_grpc_is_one_of_grpc() {
    let app = orders();
    let grpc = |target: &str| {
        Request::post(target)
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .unwrap()
    };
    for (peer, target, code) in [
        (None, "/pkg.Svc/M", "16"),
        (Some(STOCK), "/pkg.Svc/M", "7"),
        (Some(STOCK), "/orders", "7"),
        (Some(PAYMENTS), "//pkg.Svc/M", "3"),
    ] {
        let response = call(&app, peer, grpc(target)).await;
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["grpc-status"]
            ),
            (200, &code.parse().unwrap()),
            "{peer:?} {target}"
        );
        assert_eq!(response.headers()["content-type"], "application/grpc");
    }
}
