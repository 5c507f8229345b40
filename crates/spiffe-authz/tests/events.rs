//! What is told of a denial. It stands alone, since a subscriber listens to the whole process.

#![cfg(feature = "tonic")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::{PAYMENTS, Probe, STOCK, call, request};
use spiffe_authz::RequireIdLayer;
use spiffe_authz::axum::{Router, any_service, get};
use spiffe_authz::mock::MockPeer;
use tower::{Layer, ServiceExt};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_denial_is_told_once_with_its_reason_and_an_allow_not_at_all() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .init();
    let app = Router::new()
        .route("/orders/{id}", get(async || "").allow(PAYMENTS))
        .service("/files", any_service(Probe::default()).allow(PAYMENTS))
        .build()
        .unwrap();

    for (peer, target, expected) in [
        (
            Some(STOCK),
            "/orders/7",
            vec![
                "peer.spiffe_id=\"spiffe://example.org/service/stock\"",
                "http.method=\"GET\"",
                "http.route=\"/orders/{id}\"",
                "rule=spiffe://example.org/service/payment-processor",
                "reason=\"not_allowed\"",
            ],
        ),
        (
            None,
            "/orders/7",
            vec!["http.route=\"/orders/{id}\"", "reason=\"no_identity\""],
        ),
        (Some(STOCK), "/nowhere", vec!["reason=\"no_rule\""]),
        (
            Some(STOCK),
            "/files/a",
            vec!["http.route=\"/files\"", "reason=\"not_allowed\""],
        ),
        (
            Some(STOCK),
            "/orders//7",
            vec!["peer.spiffe_id", "reason=\"the path has an empty segment\""],
        ),
    ] {
        call(&app, peer, request("GET", target)).await;
        let told = log.take();
        assert_eq!(
            told.matches("request denied").count(),
            1,
            "{target}: {told}"
        );
        assert!(told.contains(" INFO spiffe_authz: "), "{told}");
        for expected in expected {
            assert!(told.contains(expected), "{expected} is missing in {told}");
        }
        assert!(
            !told.contains("/nowhere") && !told.contains("orders/7"),
            "what the peer sent is not repeated: {told}"
        );
    }

    for (rpc, is_told) in [
        ("Till/ListUrLs", true),
        ("Till/Ä", false),
        ("Till/a%0ab", false),
    ] {
        let mut request = request("POST", &format!("/shop.v1.{rpc}"));
        let grpc = http::HeaderValue::from_static("application/grpc");
        request.headers_mut().insert("content-type", grpc);
        call(&app, Some(STOCK), request).await;
        let told = log.take();
        let field = format!("rpc.method=\"shop.v1.{rpc}\"");
        assert_eq!(told.contains(&field), is_told, "{told}");
        assert_eq!(told.contains("rpc.method"), is_told, "{told}");
    }

    call(&app, Some(PAYMENTS), request("GET", "/orders/7")).await;
    assert!(
        !log.take().contains("spiffe_authz"),
        "an allow is not told of"
    );

    let layered: axum::Router = axum::Router::new().route(
        "/plain/{id}",
        axum::routing::get(async || "").layer(RequireIdLayer::exact(PAYMENTS).unwrap()),
    );
    MockPeer::id(STOCK)
        .unwrap()
        .layer(layered)
        .oneshot(request("GET", "/plain/7"))
        .await
        .unwrap();
    let told = log.take();
    assert!(told.contains("http.route=\"/plain/{id}\""), "{told}");
}
