//! Requests that ask for one thing and mean another, against the guarded router and, as a control,
//! against axum's own.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use axum::body::Body;
use axum::extract::Path;
use axum::routing;
use common::{PAYMENTS, Probe, STOCK, call, request, status, text};
use http::Request;
use spiffe_authz::axum::{GuardedService, Router, any_service, get};
use tower::{Layer, ServiceExt};

/// `/admin` and `/private` are for others; `/public` and the rest are for the caller.
fn app(forbidden: &Probe, allowed: &Probe) -> GuardedService {
    Router::new()
        .route("/admin", any_service(forbidden.clone()).allow(STOCK))
        .route("/private", any_service(forbidden.clone()).allow(STOCK))
        .service("/public", any_service(allowed.clone()).allow(PAYMENTS))
        .route("/orders", any_service(allowed.clone()).allow(PAYMENTS))
        .route("/o/{id}", any_service(allowed.clone()).allow(PAYMENTS))
        .route(
            "/user/profile",
            any_service(allowed.clone()).allow(PAYMENTS),
        )
        .build()
        .unwrap()
}

const OK: u16 = 200;
const BAD: u16 = 400;
const NO: u16 = 403;

const TARGETS: &[(&str, u16)] = &[
    // What is plain is served, or denied.
    ("/public", OK),
    ("/public/a", OK),
    ("/orders", OK),
    ("/orders?x=/../admin;//", OK),
    ("/o/a%20b", OK),
    ("/o/100%25", OK),
    ("/admin", NO),
    ("/private", NO),
    ("/", NO),
    // 1, 2, 6, 8
    ("//", BAD),
    ("//admin", BAD),
    ("///admin", BAD),
    ("//admin/x", BAD),
    ("/admin//", BAD),
    ("/public//x", BAD),
    ("/%61dmin", BAD),
    ("/x%2fadmin", BAD),
    ("/x%5cadmin", BAD),
    ("/public/x%5C..%5Cadmin", BAD),
    ("/%2fadmin", BAD),
    // 3
    ("/public/../private", BAD),
    ("/public/./../private", BAD),
    ("/public/%2e%2e/private", BAD),
    ("/public/%2E%2E/private", BAD),
    ("/public/.%2e/private", BAD),
    ("/public/%2e./private", BAD),
    ("/public/..%2fprivate", BAD),
    ("/public/..%2Fprivate", BAD),
    ("/public/..%5cprivate", BAD),
    ("/public/%252e%252e/private", BAD),
    ("/public/%252e%252e%252fprivate", BAD),
    ("/public/..", BAD),
    ("/public/.", BAD),
    ("/./admin", BAD),
    ("/../admin", BAD),
    ("/public/...", OK),
    // 4
    ("/user/profile", OK),
    ("/user/profile?x", OK),
    ("/user/profile#x", OK),
    ("/user/profile%23x", NO),
    ("/user/profile%3fx", NO),
    ("/user/profile%253fx", NO),
    // 5
    ("/orders;a=b", BAD),
    ("/orders%3bx", BAD),
    ("/o/42;a=b", BAD),
    ("/public/..;/private", BAD),
    ("/public/..%3b/private", BAD),
    ("/public/..%253b/private", BAD),
    // 10, 14, 15
    ("/admin%0a", NO),
    ("/orders/", BAD),
    ("/ORDERS", NO),
    ("/Admin", NO),
    // 16
    ("/o/4%2f2", BAD),
    ("/o/4%2F2", BAD),
    ("/o/..", BAD),
    ("/o/%2e%2e", BAD),
    ("/o/..%2fx", BAD),
    ("/public/a/../b", BAD),
    ("/public//etc", BAD),
    ("/public/a%00b", BAD),
    ("/public/a%252fb", BAD),
    ("/o/%ff", BAD),
    ("/o/%", BAD),
    ("/o/%zz", BAD),
];

#[tokio::test]
async fn threats_authorization_1_to_8_and_14_to_16_every_trick_is_denied() {
    let (forbidden, allowed) = (Probe::default(), Probe::default());
    let app = app(&forbidden, &allowed);
    for (target, expected) in TARGETS {
        let before = allowed.calls();
        for method in ["GET", "POST", "BREW"] {
            assert_eq!(
                status(&app, Some(PAYMENTS), method, target).await,
                *expected,
                "{method} {target}"
            );
            assert_eq!(
                status(&app, None, method, target).await,
                if *expected == BAD { BAD } else { 401 },
                "{method} {target}"
            );
        }
        assert_eq!(
            allowed.calls() - before,
            if *expected == OK { 3 } else { 0 },
            "{target}"
        );
    }
    assert_eq!(forbidden.calls(), 0);
    assert_eq!(
        status(&app, Some(STOCK), "GET", "/admin").await,
        OK,
        "the door is there"
    );
    assert_eq!(forbidden.calls(), 1);
}

/// The control: without the check, a capture or a mount is given what the table refuses.
#[tokio::test]
async fn axum_alone_serves_some_of_what_is_refused() {
    let probe = Probe::default();
    let bare: axum::Router = axum::Router::new()
        .nest_service("/public", routing::any_service(probe.clone()))
        .route_service("/o/{id}", probe.clone());
    let mut served = Vec::new();
    for (target, expected) in TARGETS.iter().filter(|(_, expected)| *expected == BAD) {
        if bare
            .clone()
            .oneshot(request("GET", target))
            .await
            .unwrap()
            .status()
            == 200
        {
            served.push((*target, *expected));
        }
    }
    for hole in [
        "/public/../private",
        "/o/42;a=b",
        "/o/4%2f2",
        "/o/%2e%2e",
        "/public/a%00b",
        "/public/a%252fb",
    ] {
        assert!(
            served.iter().any(|(target, _)| *target == hole),
            "{hole} is among {served:?}"
        );
    }
}

#[tokio::test]
async fn threats_authorization_16_a_handler_reads_what_was_decided_on() {
    let app = Router::new()
        .route(
            "/o/{id}",
            get(async |Path(id): Path<String>| id).allow(PAYMENTS),
        )
        .build()
        .unwrap();
    for (target, read) in [
        ("/o/a%20b", "a b"),
        ("/o/%C3%BC", "ü"),
        ("/o/100%25", "100%"),
        ("/o/a.b", "a.b"),
        ("/o/%3f", "?"),
    ] {
        assert_eq!(
            text(call(&app, Some(PAYMENTS), request("GET", target)).await).await,
            read,
            "{target}"
        );
    }
}

#[tokio::test]
async fn threats_authorization_21_and_47_targets_that_are_no_path_and_two_authorities() {
    let (forbidden, allowed) = (Probe::default(), Probe::default());
    let app = app(&forbidden, &allowed);
    for (method, target, hosts, expected) in [
        ("OPTIONS", "*", &["good.test"][..], BAD),
        ("CONNECT", "good.test:443", &["good.test:443"], BAD),
        ("GET", "http://evil.test/orders", &["good.test"], BAD),
        ("GET", "http://good.test/orders", &["good.test"], OK),
        ("GET", "https://good.test/orders", &[], OK),
        ("GET", "https://GOOD.test/orders", &["good.TEST"], OK),
        ("GET", "/orders", &["good.test", "evil.test"], BAD),
        ("GET", "/orders", &["good.test", "good.test"], BAD),
        ("GET", "/orders", &["good.test,evil.test"], BAD),
        ("GET", "/orders", &["EXAMPLE.com"], OK),
        (
            "GET",
            "http://good.test/public/../private",
            &["good.test"],
            BAD,
        ),
    ] {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let response = call(&app, Some(PAYMENTS), request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), expected, "{method} {target} {hosts:?}");
    }
    assert_eq!(forbidden.calls(), 0);
}

/// A router chooses `/files/secret/{*p}` by its letters, and the handler of `/files/{*p}` reads
/// `%73ecret` as `secret`: the rule of the first could be passed by with an encoded letter.
#[tokio::test]
async fn a_letter_in_disguise_does_not_pass_by_the_rule_beside_a_capture() {
    let app = Router::new()
        .route(
            "/files/secret/{*p}",
            get(async || "secret").allow("spiffe://example.org/service/admin"),
        )
        .route(
            "/files/{*p}",
            get(async |Path(p): Path<String>| p).authenticated("everybody may read the rest"),
        )
        .build()
        .unwrap();
    let answer = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let peer = spiffe_authz::mock::MockPeer::id("spiffe://example.org/service/other").unwrap();
        peer.layer(app.clone())
            .oneshot(request)
            .await
            .unwrap()
            .status()
    };
    assert_eq!(answer("/files/open/x").await, 200, "control");
    assert_eq!(
        answer("/files/with%20space/x").await,
        200,
        "what needs encoding may be encoded"
    );
    assert_eq!(answer("/files/secret/x").await, 403);
    for disguised in [
        "/files/%73ecret/x",
        "/files/s%65cret/x",
        "/files/secre%74/x",
    ] {
        assert_eq!(answer(disguised).await, 400, "{disguised}");
    }
}

#[tokio::test]
async fn a_literal_in_another_spelling_passes_no_rule_by() {
    let app = Router::new()
        .route("/users/@me", get(async || "me").allow(PAYMENTS))
        .route(
            "/users/{id}",
            get(captured).authenticated("any workload may ask"),
        )
        .route("/caf%C3%A9", get(async || "café").allow(PAYMENTS))
        .route(
            "/{any}",
            get(captured).authenticated("any workload may ask"),
        )
        .build()
        .unwrap();
    for (path, payments, stock) in [
        ("/users/@me", 200, 403),
        ("/users/%40me", 400, 400),
        ("/caf%C3%A9", 200, 403),
        ("/caf%c3%a9", 400, 400),
        ("/caf%C3%a9", 400, 400),
        // What no route says is a capture's, in any spelling.
        ("/users/@you", 200, 200),
        ("/users/%40you", 200, 200),
        ("/users/caf%c3%a9", 200, 200),
        ("/%40me", 200, 200),
    ] {
        assert_eq!(
            status(&app, Some(PAYMENTS), "GET", path).await,
            payments,
            "{path}"
        );
        assert_eq!(
            status(&app, Some(STOCK), "GET", path).await,
            stock,
            "{path}"
        );
    }
    let error = Router::<()>::new()
        .route("/@me", get(async || "").allow(PAYMENTS))
        .route("/users/%40me", get(async || "").allow(PAYMENTS))
        .build()
        .unwrap_err()
        .to_string();
    assert!(error.contains("spell it in one way"), "{error}");
}

async fn captured(axum::extract::Path(text): axum::extract::Path<String>) -> String {
    text
}
