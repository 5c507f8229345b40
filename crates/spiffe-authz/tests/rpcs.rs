//! Rules for the RPCs of a tonic service, which is written by hand here as the generated ones are.

#![cfg(feature = "tonic")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use common::{PAYMENTS, STOCK, call, request, status};
use http::Request;
use spiffe_authz::Refusal;
use spiffe_authz::axum::{GuardedService, Router, Rpcs, get, post};
use spiffe_authz::grpc::{Permit, RpcRule, ServiceRules};
use spiffe_authz::mock::MockPeer;
use tonic::server::NamedService;
use tower::{Layer, Service, ServiceExt};

/// Knows `Create`, `List` and `Delete`, and counts what reaches it.
#[derive(Clone, Default)]
struct Orders {
    calls: Arc<AtomicUsize>,
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.v1.Orders";
}

impl Service<Request<tonic::body::Body>> for Orders {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let status = match request.uri().path() {
            "/shop.v1.Orders/Create" | "/shop.v1.Orders/List" | "/shop.v1.Orders/Delete" => {
                tonic::Status::ok("done")
            }
            _ => tonic::Status::unimplemented("no such method"),
        };
        ready(Ok(status.into_http()))
    }
}

fn app(orders: &Orders) -> GuardedService {
    let rpcs = Rpcs::new()
        .allow("Create", PAYMENTS)
        .authenticated("List", "any workload may list orders")
        .allow("Create", ["spiffe://example.org/ns/batch/**"]);
    Router::new()
        .route(
            "/healthz",
            get(async |State(ok): State<&'static str>| ok).anyone("probes carry no identity"),
        )
        .grpc(orders.clone(), rpcs)
        .with_state("ok")
        .build()
        .unwrap()
}

fn rpc(path: &str) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/grpc")
        .body(Body::from("not even a message"))
        .unwrap()
}

async fn grpc_status(app: &GuardedService, peer: Option<&str>, path: &str) -> String {
    let response = call(app, peer, rpc(path)).await;
    assert_eq!(response.status(), 200);
    response.headers()["grpc-status"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_rpc_has_a_rule_of_its_own_and_one_without_is_denied() {
    let orders = Orders::default();
    let app = app(&orders);
    for (method, nobody, payments, stock, batch) in [
        ("Create", "16", "0", "7", "0"),
        ("List", "16", "0", "0", "0"),
        ("Delete", "16", "7", "7", "7"),
        ("Nothing", "16", "7", "7", "7"),
    ] {
        let path = format!("/shop.v1.Orders/{method}");
        for (peer, expected) in [
            (None, nobody),
            (Some(PAYMENTS), payments),
            (Some(STOCK), stock),
            (Some("spiffe://example.org/ns/batch/night"), batch),
        ] {
            let before = orders.calls.load(Ordering::SeqCst);
            assert_eq!(
                grpc_status(&app, peer, &path).await,
                expected,
                "{path} of {peer:?}"
            );
            let calls = orders.calls.load(Ordering::SeqCst) - before;
            assert_eq!(
                calls,
                usize::from(expected == "0"),
                "`call` runs for an allow alone: {path} of {peer:?}"
            );
        }
    }
}

#[tokio::test]
async fn threats_60_an_rpc_is_named_byte_by_byte() {
    let orders = Orders::default();
    let app = app(&orders);
    for path in [
        "/shop.v1.Orders/create",
        "/shop.v1.Orders/CREATE",
        "/shop.v1.orders/Create",
        "/Shop.v1.Orders/Create",
        "/shop.v1.Orders",
        "/shop.v1.Orders/Create/x",
        "/shop.v1.Orders/CreateX",
        "/shop.v1.Orders/Creat",
        "/shopXv1.Orders/Create",
        "/shop.v1.Orders/*",
        "/shop.v1.OrdersX/Create",
        "/shop.v1.Others/Create",
        "/Create",
        "/x/shop.v1.Orders/Create",
    ] {
        assert_eq!(grpc_status(&app, Some(PAYMENTS), path).await, "7", "{path}");
        assert_eq!(grpc_status(&app, None, path).await, "16", "{path}");
    }
    for path in [
        "//shop.v1.Orders/Create",
        "/shop.v1.Orders//Create",
        "/shop.v1.Orders/Create/",
        "/shop.v1.Orders/x/../Create",
        "/shop.v1.Orders;/Create",
        "/shop.v1.Orders%2fCreate",
        "/shop.v1.Orders/%43reate",
    ] {
        assert_eq!(grpc_status(&app, Some(PAYMENTS), path).await, "3", "{path}");
    }
    assert_eq!(orders.calls.load(Ordering::SeqCst), 0);
    assert_eq!(
        grpc_status(&app, Some(PAYMENTS), "/shop.v1.Orders/Create").await,
        "0",
        "the door is there"
    );
}

#[tokio::test]
async fn an_rpc_is_a_post_whatever_its_content_type() {
    let orders = Orders::default();
    let app = app(&orders);
    for method in ["GET", "HEAD", "PUT", "OPTIONS", "BREW", "post"] {
        assert_eq!(
            status(&app, Some(PAYMENTS), method, "/shop.v1.Orders/Create").await,
            403,
            "{method}"
        );
    }
    assert_eq!(
        status(&app, None, "POST", "/shop.v1.Orders/Create").await,
        401,
        "a request that is not gRPC is refused in HTTP"
    );
    assert_eq!(orders.calls.load(Ordering::SeqCst), 0);
    assert_eq!(
        status(&app, Some(PAYMENTS), "POST", "/shop.v1.Orders/Create").await,
        200
    );
}

#[tokio::test]
async fn an_identity_that_has_ended_calls_nothing() {
    let orders = Orders::default();
    let app = app(&orders);
    let peer = MockPeer::id(PAYMENTS).unwrap();
    peer.connection().withdraw();
    for method in ["Create", "List", "Delete"] {
        let response: Response = peer
            .layer(app.clone())
            .oneshot(rpc(&format!("/shop.v1.Orders/{method}")))
            .await
            .unwrap();
        assert_eq!(response.headers()["grpc-status"], "16", "{method}");
        assert_eq!(
            response.extensions().get::<Refusal>().unwrap().reason(),
            "ended_identity",
            "{method}"
        );
    }
    assert_eq!(orders.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rest_routes_stand_beside_it() {
    let app = app(&Orders::default());
    assert_eq!(status(&app, None, "GET", "/healthz").await, 200);
    assert_eq!(
        call(&app, Some(PAYMENTS), request("GET", "/nowhere"))
            .await
            .status(),
        403
    );
}

#[test]
fn every_mistake_comes_out_at_once() {
    let rpcs = Rpcs::new()
        .allow("Create", "spiffe://example.org/a*")
        .authenticated("List", " ")
        .allow("shop.v1.Orders/Delete", PAYMENTS)
        .allow("*", PAYMENTS)
        .allow("Show", PAYMENTS)
        .anyone("Show", "a test")
        .allow("Empty", Vec::<String>::new());
    let error = Router::<()>::new()
        .grpc(Orders::default(), rpcs)
        .grpc(Orders::default(), Rpcs::new())
        .nest("/api", Router::new().grpc(Orders::default(), Rpcs::new()))
        .build()
        .unwrap_err()
        .to_string();
    for expected in [
        "RPC /shop.v1.Orders/Create: `spiffe://example.org/a*` is no ID pattern",
        "RPC /shop.v1.Orders/List: a rule that asks for no particular ID says why",
        "\"/shop.v1.Orders/shop.v1.Orders/Delete\" names no RPC",
        "\"/shop.v1.Orders/*\" names no RPC",
        "RPC /shop.v1.Orders/Show: a rule either names IDs",
        "RPC /shop.v1.Orders/Empty: the rule names nobody",
        "\"/shop.v1.Orders/{*rpc}\" is no path for a route",
        "nesting at \"/api\": /shop.v1.Orders is called by its own name",
    ] {
        assert!(
            error.contains(expected),
            "{expected}\nis missing in\n{error}"
        );
    }
}

#[test]
fn two_rules_of_a_table_for_one_rpc_are_a_mistake() {
    // As two methods under conditions come to one RPC: nobody may call it by the rule of the other.
    const fn only(ids: &'static [&'static str]) -> Permit {
        let principals = &[];
        Permit::Callers { ids, principals }
    }
    const TWICE: ServiceRules = ServiceRules::new(
        "shop.v1.Orders",
        &[
            RpcRule::new("Create", only(&[PAYMENTS])),
            RpcRule::new("List", only(&[PAYMENTS])),
            RpcRule::new("Create", only(&[STOCK])),
        ],
    );
    let error = Router::<()>::new()
        .grpc(Orders::default(), TWICE)
        .build()
        .unwrap_err();
    assert_eq!(
        error.problems().collect::<Vec<_>>(),
        ["RPC /shop.v1.Orders/Create: there are two rules for it: put all callers into one"]
    );
}

#[test]
fn a_route_that_takes_the_path_of_an_rpc_is_a_mistake() {
    let with = |route: &str| {
        let open = post(async || "hello").anyone("a test of routes");
        let rpcs = Rpcs::new().allow("Create", PAYMENTS);
        let router = Router::<()>::new().route(route, open);
        router.grpc(Orders::default(), rpcs).build()
    };
    let error = with("/shop.v1.Orders/Create").unwrap_err();
    assert_eq!(
        error.problems().collect::<Vec<_>>(),
        [
            "RPC /shop.v1.Orders/Create: the route /shop.v1.Orders/Create takes its path, and this rule is never asked: write that route otherwise"
        ]
    );
    let error = with("/shop.v1.Orders/{any}").unwrap_err().to_string();
    assert!(error.contains("conflict"), "{error}");
    for elsewhere in ["/shop.v1.Orders/Others", "/{service}/Create"] {
        assert!(with(elsewhere).is_ok(), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_service_without_rules_is_denied() {
    let app = Router::<()>::new()
        .grpc(Orders::default(), Rpcs::new())
        .build()
        .unwrap();
    assert_eq!(
        grpc_status(&app, Some(PAYMENTS), "/shop.v1.Orders/Create").await,
        "7"
    );
}
