//! `RequireIdLayer` around services, routes and routers.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use common::{PAYMENTS, Probe, STOCK, request};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::{Refusal, RequireIdLayer, Rule};
use tower::{Layer, Service, ServiceExt, service_fn};

fn layers() -> Vec<RequireIdLayer> {
    vec![
        RequireIdLayer::exact(PAYMENTS).unwrap(),
        RequireIdLayer::one_of([STOCK, PAYMENTS]).unwrap(),
        RequireIdLayer::pattern("spiffe://example.org/service/*").unwrap(),
        RequireIdLayer::authenticated("a test").unwrap(),
        RequireIdLayer::new(Rule::anyone("a test").unwrap()),
    ]
}

async fn answer(
    peer: Option<&MockPeer>,
    layer: &RequireIdLayer,
    probe: &Probe,
) -> axum::response::Response {
    let guarded = layer.layer(probe.clone());
    match peer {
        Some(peer) => peer
            .layer(guarded)
            .oneshot(request("GET", "/"))
            .await
            .unwrap(),
        None => guarded.oneshot(request("GET", "/")).await.unwrap(),
    }
}

#[tokio::test]
async fn the_named_peers_pass_and_nobody_else() {
    let peers = [
        None,
        Some(PAYMENTS),
        Some(STOCK),
        Some("spiffe://example.org/other"),
        Some("spiffe://example.org.evil/service/stock"),
    ];
    let expected: [[u16; 5]; 5] = [
        [401, 200, 403, 403, 403],
        [401, 200, 200, 403, 403],
        [401, 200, 200, 403, 403],
        [401, 200, 200, 200, 200],
        [200, 200, 200, 200, 200],
    ];
    for (layer, row) in layers().iter().zip(expected) {
        for (peer, expected) in peers.iter().zip(row) {
            let probe = Probe::default();
            let peer = peer.map(|id| MockPeer::id(id).unwrap());
            let response = answer(peer.as_ref(), layer, &probe).await;
            assert_eq!(response.status(), expected, "{layer:?} {peer:?}");
            assert_eq!(
                probe.calls(),
                usize::from(expected == 200),
                "`call` runs for an allow alone: {layer:?} {peer:?}"
            );
        }
    }
}

#[tokio::test]
async fn threats_authorization_11_an_id_has_no_prefix() {
    let layer = RequireIdLayer::exact("spiffe://example.org/svc/pay").unwrap();
    for other in [
        "spiffe://example.org/svc/payroll",
        "spiffe://example.org/svc/pay/x",
        "spiffe://example.org.evil/svc/pay",
        "spiffe://example.org/svc/Pay",
    ] {
        let probe = Probe::default();
        assert_eq!(
            answer(Some(&MockPeer::id(other).unwrap()), &layer, &probe)
                .await
                .status(),
            403,
            "{other}"
        );
        assert_eq!(probe.calls(), 0);
    }
}

#[tokio::test]
async fn an_identity_that_has_ended_is_refused_by_every_rule_and_its_connection_asked_to_close() {
    for layer in layers() {
        let withdrawn = MockPeer::id(PAYMENTS).unwrap();
        let probe = Probe::default();
        assert_eq!(
            answer(Some(&withdrawn), &layer, &probe).await.status(),
            200,
            "while it holds"
        );
        withdrawn.connection().withdraw();

        let expired = MockPeer::id(PAYMENTS)
            .unwrap()
            .valid_until(SystemTime::now() - Duration::from_secs(1));
        assert!(!close_requested(&expired), "nobody has asked yet");
        for peer in [&withdrawn, &expired] {
            let response = answer(Some(peer), &layer, &probe).await;
            assert_eq!(response.status(), 401, "{layer:?}");
            assert_eq!(
                response.extensions().get::<Refusal>().unwrap().reason(),
                "ended_identity"
            );
            assert!(close_requested(peer), "{layer:?}");
        }
        assert_eq!(probe.calls(), 1);
    }
}

#[tokio::test]
async fn a_403_leaves_the_connection_open() {
    let peer = MockPeer::id(STOCK).unwrap();
    let response = answer(
        Some(&peer),
        &RequireIdLayer::exact(PAYMENTS).unwrap(),
        &Probe::default(),
    )
    .await;
    assert_eq!(response.status(), 403);
    assert!(!close_requested(&peer));
}

fn close_requested(peer: &MockPeer) -> bool {
    let mut closing = Box::pin(peer.connection().close_requested());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    closing.as_mut().poll(&mut context).is_ready()
}

#[tokio::test]
async fn threats_authorization_44_headers_are_no_identity() {
    let layer = RequireIdLayer::exact(PAYMENTS).unwrap();
    for name in [
        "x-forwarded-client-cert",
        "x-spiffe-id",
        "X-Spiffe-Id",
        "x_spiffe_id",
        "x-authz-decision",
        "authorization",
        "forwarded",
        "user_id",
    ] {
        for value in [
            PAYMENTS.to_owned(),
            format!("URI={PAYMENTS}"),
            format!("By=spiffe://example.org/me;URI={PAYMENTS}"),
            "allow".to_owned(),
        ] {
            let probe = Probe::default();
            let spoofed = || {
                Request::get("/")
                    .header(name, &value)
                    .header(name, &value)
                    .body(Body::empty())
                    .unwrap()
            };
            assert_eq!(
                layer
                    .layer(probe.clone())
                    .oneshot(spoofed())
                    .await
                    .unwrap()
                    .status(),
                401,
                "{name}: {value}"
            );
            let stock = MockPeer::id(STOCK)
                .unwrap()
                .layer(layer.layer(probe.clone()));
            assert_eq!(
                stock.oneshot(spoofed()).await.unwrap().status(),
                403,
                "{name}: {value}"
            );
            assert_eq!(probe.calls(), 0);
        }
    }
}

#[tokio::test]
async fn errors_and_readiness_of_the_inner_service_pass_through() {
    #[derive(Debug, PartialEq)]
    struct Broken;
    let broken = service_fn(async |_: Request<()>| Err::<Response<()>, Broken>(Broken));
    let layer = RequireIdLayer::new(Rule::anyone("a test").unwrap());
    assert_eq!(
        layer
            .layer(broken)
            .oneshot(Request::new(()))
            .await
            .unwrap_err(),
        Broken
    );

    let mut busy = layer.layer(tower::limit::ConcurrencyLimit::new(Probe::default(), 0));
    assert!(
        Service::<Request<()>>::poll_ready(
            &mut busy,
            &mut std::task::Context::from_waker(std::task::Waker::noop())
        )
        .is_pending()
    );
}

#[tokio::test]
async fn any_body_type_will_do() {
    let layer = RequireIdLayer::exact(PAYMENTS).unwrap();
    let texts =
        service_fn(async |_: Request<u8>| Ok::<_, Infallible>(Response::new(String::from("text"))));
    let response = layer.layer(texts).oneshot(Request::new(7)).await.unwrap();
    assert_eq!(
        (response.status(), response.body().as_str()),
        (StatusCode::UNAUTHORIZED, "")
    );
    let bytes = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"bytes"))))
    });
    assert_eq!(
        layer
            .layer(bytes)
            .oneshot(Request::new(()))
            .await
            .unwrap()
            .status(),
        401
    );
}

#[tokio::test]
async fn on_a_method_router_a_router_and_around_both() {
    let rule = || RequireIdLayer::exact(PAYMENTS).unwrap();
    let on_methods: Router = Router::new().route("/orders", get(async || "all").layer(rule()));
    let on_router: Router = Router::new()
        .route("/orders", get(async || "all"))
        .layer(rule());
    for app in [on_methods, on_router] {
        for (peer, expected) in [(PAYMENTS, 200), (STOCK, 403)] {
            let response = MockPeer::id(peer)
                .unwrap()
                .layer(app.clone())
                .oneshot(request("GET", "/orders"))
                .await
                .unwrap();
            assert_eq!(response.status(), expected);
        }
    }
    let around = rule().layer(Router::new().route("/orders", get(async || "all")));
    assert_eq!(
        around
            .clone()
            .oneshot(request("GET", "/nowhere"))
            .await
            .unwrap()
            .status(),
        401,
        "outside, a 404 is guarded too"
    );
    assert_eq!(
        MockPeer::id(PAYMENTS)
            .unwrap()
            .layer(around)
            .oneshot(request("GET", "/nowhere"))
            .await
            .unwrap()
            .status(),
        404
    );
}

/// What the documentation says that a layer cannot do, and the reason for the guarded router.
#[tokio::test]
async fn threats_authorization_18_and_21b_a_layer_does_not_cover_what_is_added_later() {
    let late: Router = Router::new()
        .route(
            "/orders",
            get(async || "all").layer(RequireIdLayer::exact(PAYMENTS).unwrap()),
        )
        .layer(RequireIdLayer::exact(PAYMENTS).unwrap())
        .route("/late", get(async || "unguarded"))
        .route("/orders", post(async || "unguarded"));
    assert_eq!(
        late.clone()
            .oneshot(request("GET", "/orders"))
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(
        late.clone()
            .oneshot(request("GET", "/late"))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        late.oneshot(request("POST", "/orders"))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[test]
fn a_rule_that_says_nothing_is_none() {
    let none: [&str; 0] = [];
    assert!(RequireIdLayer::one_of(none).unwrap_err().is_without_ids());
    assert!(Rule::allow(none).unwrap_err().is_without_ids());
    for blank in ["", " ", "\t\n"] {
        assert!(
            RequireIdLayer::authenticated(blank)
                .unwrap_err()
                .is_without_reason(),
            "{blank:?}"
        );
        assert!(
            Rule::anyone(blank).unwrap_err().is_without_reason(),
            "{blank:?}"
        );
    }
    for bad in [
        "",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://*/x",
        "spiffe://example.org/a*",
        "example.org/a",
        "*",
    ] {
        assert!(RequireIdLayer::exact(bad).is_err(), "{bad:?}");
        assert!(RequireIdLayer::pattern(bad).is_err(), "{bad:?}");
    }
    assert!(
        RequireIdLayer::exact("spiffe://example.org/*").is_err(),
        "exact means exact"
    );
    let both = Rule::allow(["spiffe://example.org/a*", PAYMENTS, "spiffe://*/x"])
        .unwrap_err()
        .to_string();
    assert!(
        both.contains("example.org/a*")
            && both.contains("spiffe://*/x")
            && !both.contains(PAYMENTS),
        "{both}"
    );
}

#[test]
fn a_rule_is_told_in_bounded_space() {
    let many = Rule::allow(
        (0..10_000)
            .map(|n| format!("spiffe://example.org/n/{n}"))
            .collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(many.to_string().ends_with(" and 9996 more"), "{many}");
    assert_eq!(Rule::anyone("probes").unwrap().because(), Some("probes"));
}
