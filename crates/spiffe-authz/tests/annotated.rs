//! Annotated tonic services, with the server types that tonic generates, over real connections.

#![cfg(feature = "tonic")]
#![allow(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;
mod served;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::{PAYMENTS, STOCK};
use http_body_util::BodyExt;
use spiffe_authz::axum::{GuardedService, Router, Rpcs};
use spiffe_authz::grpc::{Authorized, Permit, RpcRule, ServiceRules, peer};
use spiffe_authz::guard::{AuthzLayer, StreamsLayer};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::{LivePolicy, Policy};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::util::option_layer;

type Watched =
    std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

/// Says who called from where, and counts.
#[derive(Clone, Default)]
struct Site {
    calls: Arc<AtomicUsize>,
}

impl Site {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn answer<T>(&self, request: &Request<T>) -> Result<HealthCheckResponse, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        request
            .remote_addr()
            .ok_or_else(|| Status::internal("it has no address"))?;
        Ok(HealthCheckResponse {
            status: i32::from(peer(request).is_ok()),
        })
    }
}

fn without_end(first: HealthCheckResponse) -> Watched {
    Box::pin(tokio_stream::once(Ok(first)).chain(tokio_stream::pending()))
}

#[spiffe_authz::authorize(HealthServer)]
#[tonic::async_trait]
impl Health for Site {
    /// `#[permit]` stands among other attributes.
    #[permit(
        "spiffe://example.org/service/payment-processor",
        "spiffe://example.org/ns/batch/**"
    )]
    #[allow(clippy::unused_async, reason = "the trait says so")]
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(self.answer(&request)?))
    }

    type WatchStream = Watched;

    #[permit(policy)]
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(without_end(self.answer(&request)?)))
    }
}

/// Generic, with `async_trait` first, and with principals.
struct Inside<T>(T);

#[tonic::async_trait]
#[spiffe_authz::authorize(tonic_health::pb::health_server::HealthServer)]
impl<T> Health for Inside<T>
where
    T: Clone + Into<Site> + Send + Sync + 'static,
{
    #[permit(principal = "payments", "spiffe://example.org/ns/batch/**")]
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let site: Site = self.0.clone().into();
        Ok(Response::new(site.answer(&request)?))
    }

    type WatchStream = Watched;

    #[rpc("WATCH")]
    #[permit(anyone, because = "a test of names")]
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let site: Site = self.0.clone().into();
        Ok(Response::new(without_end(site.answer(&request)?)))
    }
}

/// Of what stands under conditions, the rule is there with the method or the `impl`, and without it not.
struct Conditional;

#[spiffe_authz::authorize(HealthServer)]
#[cfg(not(feature = "tonic"))]
#[tonic::async_trait]
impl Health for Conditional {}

#[spiffe_authz::authorize(HealthServer)]
#[cfg(feature = "tonic")]
#[tonic::async_trait]
impl Health for Conditional {
    #[cfg(not(feature = "tonic"))]
    #[permit(anyone, because = "this method is not there")]
    async fn check(&self) {}

    #[permit(principal = "payments")]
    #[cfg(feature = "tonic")]
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Err(Status::internal("it is not called"))
    }

    type WatchStream = Watched;

    #[permit(policy)]
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::internal("it is not called"))
    }
}

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn yaml(principals: &str, rules: &[&str]) -> String {
    let rules: String = rules
        .iter()
        .map(|rule| format!("\n  - {{ {rule} }}"))
        .collect();
    let rules = if rules.is_empty() {
        " []".to_owned()
    } else {
        rules
    };
    format!(
        "version: 1\nname: health\ntrust_domains: {{ example.org: {{}} }}\nprincipals: {{ {principals} }}\nrules:{rules}\n"
    )
}

fn policy(principals: &str, rules: &[&str]) -> Policy {
    Policy::from_yaml(&yaml(principals, rules)).unwrap()
}

const STOCK_WATCHES: &str = "name: watch, allow: [\"grpc grpc.health.v1.Health/Watch\"], from: [\"spiffe://example.org/service/stock\"]";

/// tonic's own server with a guarded router as its routes.
async fn serve(id: Option<&str>, app: GuardedService, streams: Option<AuthzLayer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    let peer = option_layer(id.map(|id| MockPeer::id(id).unwrap()));
    match streams {
        Some(layer) => {
            let server = tonic::transport::Server::builder()
                .layer(peer)
                .layer(layer.streams())
                .add_routes(app.into())
                .serve_with_incoming(incoming);
            tokio::spawn(server);
        }
        None => {
            let server = tonic::transport::Server::builder()
                .accept_http1(true)
                .layer(peer)
                .layer(tonic_web::GrpcWebLayer::new())
                .add_routes(app.into())
                .serve_with_incoming(incoming);
            tokio::spawn(server);
        }
    }
    address
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn check(address: SocketAddr) -> Result<i32, Code> {
    let mut client = HealthClient::new(channel(address).await);
    let answer = client.check(HealthCheckRequest::default()).await;
    answer
        .map(|answer| answer.into_inner().status)
        .map_err(|status| status.code())
}

async fn watch(address: SocketAddr) -> Result<tonic::Streaming<HealthCheckResponse>, Code> {
    let mut client = HealthClient::new(channel(address).await);
    let answer = client.watch(HealthCheckRequest::default()).await;
    answer
        .map(Response::into_inner)
        .map_err(|status| status.code())
}

#[test]
fn the_rules_are_data() {
    let rules = <Site as Authorized<HealthServer<Site>>>::rules();
    assert_eq!(rules.service(), "grpc.health.v1.Health");
    assert_eq!(rules.paths().collect::<Vec<_>>(), [CHECK, WATCH]);
    let check = Permit::Callers {
        ids: &[PAYMENTS, "spiffe://example.org/ns/batch/**"],
        principals: &[],
    };
    let expected = [
        RpcRule::new("Check", check),
        RpcRule::new("Watch", Permit::Policy),
    ];
    assert_eq!(rules.rpcs(), expected);

    let rules = <Inside<Site> as Authorized<HealthServer<Inside<Site>>>>::rules();
    assert_eq!(
        rules.paths().collect::<Vec<_>>(),
        [CHECK, "/grpc.health.v1.Health/WATCH"]
    );

    let rules = <Conditional as Authorized<HealthServer<Conditional>>>::rules();
    let check = Permit::Callers {
        ids: &[],
        principals: &["payments"],
    };
    let expected = [
        RpcRule::new("Check", check),
        RpcRule::new("Watch", Permit::Policy),
    ];
    assert_eq!(rules.rpcs(), expected);
}

#[tokio::test]
async fn each_rpc_obeys_the_rule_beside_it() {
    let site = Site::default();
    let app = Router::<()>::new()
        .authorized(site.clone(), HealthServer::new)
        .bind(policy("", &[STOCK_WATCHES]))
        .unwrap();
    for (id, checked, watched) in [
        (Some(PAYMENTS), Ok(1), Some(Code::PermissionDenied)),
        (
            Some("spiffe://example.org/ns/batch/night"),
            Ok(1),
            Some(Code::PermissionDenied),
        ),
        (Some(STOCK), Err(Code::PermissionDenied), None),
        (
            None,
            Err(Code::Unauthenticated),
            Some(Code::Unauthenticated),
        ),
    ] {
        let before = site.calls();
        let address = serve(id, app.clone(), None).await;
        assert_eq!(check(address).await, checked, "{id:?}");
        assert_eq!(watch(address).await.err(), watched, "{id:?}");
        let allowed = usize::from(checked.is_ok()) + usize::from(watched.is_none());
        assert_eq!(site.calls() - before, allowed, "{id:?}");
    }
}

#[test]
fn a_shared_service_and_one_inside_an_interceptor_have_the_same_rules() {
    let allows = || policy("", &[STOCK_WATCHES]);
    let routes = |router: Router| {
        let app = router.bind(allows()).unwrap();
        let routes = app.inventory().routes();
        routes.map(ToString::to_string).collect::<Vec<_>>()
    };
    let alone = routes(Router::new().authorized(Site::default(), HealthServer::new));
    let shared = Arc::new(Site::default());
    assert_eq!(
        routes(Router::new().authorized(shared, HealthServer::from_arc)),
        alone
    );
    let inside = HealthServer::with_interceptor(Site::default(), Ok);
    assert_eq!(routes(Router::new().grpc(inside, Site::rules())), alone);
}

#[test]
fn what_the_policy_does_not_say_is_found_when_it_is_bound() {
    let annotated = || Router::<()>::new().authorized(Site::default(), HealthServer::new);
    let error = annotated().build().unwrap_err().to_string();
    assert!(
        error
            .contains("RPC /grpc.health.v1.Health/Watch: a policy is to decide, and there is none"),
        "{error}"
    );
    let error = annotated().bind(policy("", &[])).unwrap_err().to_string();
    assert!(
        error.contains("allows anybody POST /grpc.health.v1.Health/Watch"),
        "{error}"
    );

    let inside = || Router::<()>::new().authorized(Inside(Site::default()), HealthServer::new);
    let error = inside().build().unwrap_err().to_string();
    assert!(
        error.contains("RPC /grpc.health.v1.Health/Check: it speaks of `payments` of a policy"),
        "{error}"
    );
    let near = policy(
        "payment: \"spiffe://example.org/service/payment-processor\"",
        &[],
    );
    let error = inside().bind(near).unwrap_err().to_string();
    assert!(
        error.contains("POST /grpc.health.v1.Health/Check: the policy `health` has no principal `payments`; did you mean `payment`?"),
        "{error}"
    );

    let other = ServiceRules::new("shop.v1.Orders", &[]);
    let error = Router::<()>::new()
        .grpc(HealthServer::new(Site::default()), other)
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/grpc.health.v1.Health: these are rules for the service shop.v1.Orders"),
        "{error}"
    );

    const WRONG: ServiceRules = ServiceRules::new(
        "grpc.health.v1.Health",
        &[
            RpcRule::new(
                "Check",
                Permit::Callers {
                    ids: &[],
                    principals: &[],
                },
            ),
            RpcRule::new("Watch", Permit::Anyone { because: " " }),
        ],
    );
    let error = Router::<()>::new()
        .grpc(HealthServer::new(Site::default()), WRONG)
        .build()
        .unwrap_err()
        .to_string();
    assert!(error.contains("Check: the rule names nobody"), "{error}");
    assert!(
        error.contains("Watch: a rule that asks for no particular ID says why"),
        "{error}"
    );
}

#[tokio::test]
async fn a_principal_is_whom_the_policy_in_force_calls_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let write = |id: &str| {
        let aside = directory.path().join("next");
        std::fs::write(&aside, yaml(&format!("payments: \"{id}\""), &[])).unwrap();
        std::fs::rename(aside, &file).unwrap();
    };
    write(PAYMENTS);
    let live = LivePolicy::follow(Policy::loader(), &file).unwrap();
    let app = Router::<()>::new()
        .authorized(Inside(Site::default()), HealthServer::new)
        .bind(live.clone())
        .unwrap();
    let payments = serve(Some(PAYMENTS), app.clone(), None).await;
    let stock = serve(Some(STOCK), app.clone(), None).await;
    let batch = serve(Some("spiffe://example.org/ns/batch/a"), app.clone(), None).await;
    let nobody = serve(None, app, None).await;
    assert_eq!(check(payments).await, Ok(1));
    assert_eq!(check(stock).await, Err(Code::PermissionDenied));
    assert_eq!(check(batch).await, Ok(1));
    assert_eq!(check(nobody).await, Err(Code::Unauthenticated));
    assert_eq!(
        watch(nobody).await.err(),
        Some(Code::Unauthenticated),
        "WATCH is another"
    );

    write(STOCK);
    until(async || check(stock).await == Ok(1)).await;
    assert_eq!(check(payments).await, Err(Code::PermissionDenied));

    // A policy that no longer knows the name is refused, and the one before stays.
    let aside = directory.path().join("next");
    std::fs::write(&aside, yaml("others: \"spiffe://example.org/x\"", &[])).unwrap();
    std::fs::rename(aside, &file).unwrap();
    until(async || live.status().refused().is_some()).await;
    assert_eq!(check(stock).await, Ok(1));
    assert_eq!(check(payments).await, Err(Code::PermissionDenied));
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(served::LONG, wait).await.unwrap();
}

#[tokio::test]
async fn a_stream_is_cut_when_a_reload_ends_its_permission() {
    let annotated = || Router::<()>::new().authorized(Site::default(), HealthServer::new);
    let other = STOCK_WATCHES.replace("service/stock", "service/other");
    is_cut(annotated(), yaml("", &[STOCK_WATCHES]), yaml("", &[&other])).await;

    let named = Rpcs::new().principal("Watch", "watchers");
    let named = Router::<()>::new().grpc(HealthServer::new(Site::default()), named);
    let watchers = |id: &str| yaml(&format!("watchers: \"{id}\""), &[]);
    is_cut(named, watchers(STOCK), watchers(PAYMENTS)).await;
}

async fn is_cut(router: Router, before: String, after: String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, before).unwrap();
    let live = LivePolicy::follow(Policy::loader(), &file).unwrap();
    let layer = AuthzLayer::new(live).unwrap();
    let app = router.bind_with(layer.clone()).unwrap();
    let stock = serve(Some(STOCK), app, Some(layer)).await;
    let mut stream = watch(stock).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 1);

    let aside = directory.path().join("next");
    std::fs::write(&aside, after).unwrap();
    std::fs::rename(aside, &file).unwrap();
    let cut = tokio::time::timeout(served::LONG, stream.message());
    assert_eq!(
        cut.await.unwrap().unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn health_and_reflection_stand_beside_it_with_rules_of_their_own() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request};

    let (_reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let orders = served::Orders::default();
    let app = Router::<()>::new()
        .grpc(orders.clone(), Rpcs::new().allow("Create", PAYMENTS))
        .grpc(
            health,
            Rpcs::new().anyone("Check", "probes carry no identity"),
        )
        .grpc(reflection, Rpcs::new().allow("ServerReflectionInfo", STOCK))
        .build()
        .unwrap();
    let reflected = async |address| {
        let mut client = ServerReflectionClient::new(channel(address).await);
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        match client
            .server_reflection_info(tokio_stream::once(list))
            .await
        {
            Ok(answer) => answer
                .into_inner()
                .message()
                .await
                .map(|answer| answer.is_some()),
            Err(status) => Err(status),
        }
        .map_err(|status| status.code())
    };
    let payments = serve(Some(PAYMENTS), app.clone(), None).await;
    let stock = serve(Some(STOCK), app.clone(), None).await;
    let nobody = serve(None, app, None).await;

    assert!(check(nobody).await.is_ok(), "health is for everybody");
    assert_eq!(
        watch(payments).await.err(),
        Some(Code::PermissionDenied),
        "Watch has no rule"
    );
    assert_eq!(reflected(stock).await, Ok(true));
    assert_eq!(reflected(payments).await, Err(Code::PermissionDenied));
    assert_eq!(reflected(nobody).await, Err(Code::Unauthenticated));
    assert_eq!(
        served::unary(payments, "/shop.v1.Orders/Create")
            .await
            .unwrap(),
        "hello"
    );
    for (address, path) in [
        (stock, "/shop.v1.Orders/Create"),
        (payments, "/shop.v1.Orders/Delete"),
        // tonic itself would answer `UNIMPLEMENTED`, and so tell what there is.
        (payments, "/shop.v1.Nothing/Create"),
        (
            payments,
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ),
    ] {
        let status = served::unary(address, path).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{path}");
    }
    assert_eq!(orders.calls(), 1);
}

/// A browser's gRPC: HTTP/1.1, and trailers in the body.
#[tokio::test]
async fn grpc_web_meets_the_same_rules() {
    let site = Site::default();
    let app = Router::<()>::new()
        .authorized(site.clone(), HealthServer::new)
        .bind(policy("", &[STOCK_WATCHES]))
        .unwrap();
    for (id, expected) in [(Some(PAYMENTS), "0"), (Some(STOCK), "7"), (None, "16")] {
        let before = site.calls();
        let address = serve(id, app.clone(), None).await;
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(CHECK)
            .header("host", "localhost")
            .header("content-type", "application/grpc-web+proto")
            .body(http_body_util::Full::new(bytes::Bytes::from_static(
                &[0; 5],
            )))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{id:?}");
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let told = head.headers.get("grpc-status").map_or_else(
            || {
                let text = String::from_utf8_lossy(&body).into_owned();
                let rest = text.split("grpc-status:").nth(1).unwrap().trim();
                rest.split("\r\n").next().unwrap().to_owned()
            },
            |status| status.to_str().unwrap().to_owned(),
        );
        assert_eq!(told, expected, "{id:?}");
        assert_eq!(
            site.calls() - before,
            usize::from(expected == "0"),
            "{id:?}"
        );
    }
}

#[tokio::test]
async fn it_is_decided_before_the_message_is_decoded() {
    let site = Site::default();
    let app = Router::<()>::new()
        .authorized(site.clone(), |site| {
            HealthServer::new(site).max_decoding_message_size(16)
        })
        .bind(policy("", &[STOCK_WATCHES]))
        .unwrap();
    for (id, expected) in [(Some(PAYMENTS), "13"), (Some(STOCK), "7"), (None, "16")] {
        let request = http::Request::post(CHECK)
            .header("content-type", "application/grpc")
            .body(axum::body::Body::from("this is no message"))
            .unwrap();
        let response = common::call(&app, id, request).await;
        assert_eq!(response.headers()["grpc-status"], expected, "{id:?}");
    }
    assert_eq!(site.calls(), 0);
}

/// An interceptor cannot see which RPC is called; behind the guard it need not.
#[tokio::test]
async fn an_interceptor_stands_behind_the_rules() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let server = HealthServer::with_interceptor(Site::default(), move |request: Request<()>| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(request)
    });
    let app = Router::<()>::new()
        .grpc(server, <Site as Authorized<HealthServer<Site>>>::rules())
        .bind(policy("", &[STOCK_WATCHES]))
        .unwrap();
    let payments = serve(Some(PAYMENTS), app.clone(), None).await;
    let stock = serve(Some(STOCK), app, None).await;
    assert_eq!(check(stock).await, Err(Code::PermissionDenied));
    assert_eq!(seen.load(Ordering::SeqCst), 0, "it was not asked");
    assert_eq!(check(payments).await, Ok(1));
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Never answers.
struct Slow;

#[spiffe_authz::authorize(HealthServer)]
#[tonic::async_trait]
impl Health for Slow {
    #[permit(anyone, because = "a test of deadlines")]
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        std::future::pending().await
    }

    type WatchStream = Watched;

    #[permit(anyone, because = "a test of deadlines")]
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn the_settings_of_tonics_server_hold() {
    let app = Router::<()>::new()
        .authorized(Slow, HealthServer::new)
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .timeout(Duration::from_millis(50))
        .add_routes(app.into())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    let answer = tokio::time::timeout(served::LONG, check(address));
    let code = answer.await.unwrap().unwrap_err();
    assert!(
        matches!(code, Code::Cancelled | Code::DeadlineExceeded),
        "{code:?}"
    );
}

#[tokio::test]
async fn a_rule_of_the_policy_that_denies_keeps_out_of_an_annotated_rpc() {
    const BATCH: &str = "spiffe://example.org/ns/batch/night";
    let deny = |rpc: &str, id: &str| {
        format!("name: no, deny: [\"grpc grpc.health.v1.Health/{rpc}\"], from: [\"{id}\"]")
    };
    for (rule, payments, batch) in [
        (deny("Check", PAYMENTS), Err(Code::PermissionDenied), Ok(1)),
        (deny("*", PAYMENTS), Err(Code::PermissionDenied), Ok(1)),
        (deny("Watch", PAYMENTS), Ok(1), Ok(1)),
        (deny("Check", BATCH), Ok(1), Err(Code::PermissionDenied)),
    ] {
        let site = Site::default();
        let app = Router::<()>::new()
            .authorized(site.clone(), HealthServer::new)
            .bind(policy("", &[STOCK_WATCHES, &rule]))
            .unwrap();
        for (id, expected) in [(PAYMENTS, payments), (BATCH, batch)] {
            let address = serve(Some(id), app.clone(), None).await;
            assert_eq!(check(address).await, expected, "{id}: {rule}");
        }
        let allowed = usize::from(payments.is_ok()) + usize::from(batch.is_ok());
        assert_eq!(site.calls(), allowed, "{rule}");
    }

    // Nor may a policy let in whom the rule beside the method does not.
    let lets_in = "name: more, allow: [\"grpc grpc.health.v1.Health/Check\"], from: [\"spiffe://example.org/service/stock\"]";
    let app = Router::<()>::new()
        .authorized(Site::default(), HealthServer::new)
        .bind(policy("", &[STOCK_WATCHES, lets_in]))
        .unwrap();
    let stock = serve(Some(STOCK), app, None).await;
    assert_eq!(check(stock).await, Err(Code::PermissionDenied));
}

/// A server's stream and one in both directions, each with a rule in code and left to the policy; cut by
/// a reload, a withdrawal and an expiry.
#[tokio::test]
async fn streams_of_both_kinds_are_cut_within_a_second() {
    const CHANCES_ON_A_LOADED_MACHINE: usize = 5;
    for end in ["reload", "withdrawal", "expiry"] {
        let mut took = SECOND;
        for _ in 0..CHANCES_ON_A_LOADED_MACHINE {
            if took >= SECOND {
                took = time_to_cut(end).await;
            }
        }
        assert!(took < SECOND, "{end}: {took:?}");
    }
}

const SECOND: Duration = Duration::from_secs(1);

async fn time_to_cut(end: &str) -> Duration {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request};

    const REFLECTS: &str = "name: reflect, allow: [\"grpc grpc.reflection.v1.ServerReflection/*\"], from: [\"spiffe://example.org/service/stock\"]";
    let to_other = |rule: &str| rule.replace("service/stock", "service/other");
    let before = yaml("", &[STOCK_WATCHES, REFLECTS]);
    let after = yaml("", &[&to_other(STOCK_WATCHES), &to_other(REFLECTS)]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, &before).unwrap();
    let live = LivePolicy::follow(Policy::loader(), &file).unwrap();
    let layer = AuthzLayer::new(live).unwrap();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let app = Router::<()>::new()
        .authorized(Site::default(), HealthServer::new)
        .grpc(reflection, Rpcs::new().policy("ServerReflectionInfo"))
        .bind_with(layer.clone())
        .unwrap();
    let peer = MockPeer::id(STOCK).unwrap();
    let not_after = SystemTime::now() + 4 * SECOND;
    let peer = match end {
        "expiry" => peer.valid_until(not_after),
        _ => peer,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .layer(peer.clone())
        .layer(layer.streams())
        .add_routes(app.into())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);

    let mut one_way = watch(address).await.unwrap();
    assert_eq!(one_way.message().await.unwrap().unwrap().status, 1);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let questions = tokio_stream::once(list).chain(tokio_stream::pending());
    let mut client = ServerReflectionClient::new(channel(address).await);
    let both_ways = client.server_reflection_info(questions).await;
    let mut both_ways = both_ways.unwrap().into_inner();
    assert!(both_ways.message().await.unwrap().is_some());

    let (code, since) = match end {
        "reload" => {
            let aside = directory.path().join("next");
            std::fs::write(&aside, &after).unwrap();
            std::fs::rename(aside, &file).unwrap();
            (Code::PermissionDenied, SystemTime::now())
        }
        "withdrawal" => {
            peer.connection().withdraw();
            (Code::Unauthenticated, SystemTime::now())
        }
        _ => (Code::Unauthenticated, not_after),
    };
    let one_way = tokio::time::timeout(served::LONG, one_way.message());
    let one_way = one_way.await.unwrap().unwrap_err();
    let both_ways = tokio::time::timeout(served::LONG, both_ways.message());
    let both_ways = both_ways.await.unwrap().unwrap_err();
    assert_eq!((one_way.code(), both_ways.code()), (code, code), "{end}");
    since.elapsed().unwrap_or_default()
}

#[tokio::test]
async fn without_a_policy_a_stream_ends_with_the_identity_of_its_caller() {
    let app = Router::<()>::new()
        .grpc(
            HealthServer::new(Site::default()),
            Rpcs::new().authenticated("Watch", "for this test"),
        )
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = MockPeer::id(STOCK).unwrap();
    let server = tonic::transport::Server::builder()
        .layer(peer.clone())
        .layer(StreamsLayer::without_policy())
        .add_routes(app.into())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);

    let mut stream = watch(address).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 1);
    peer.connection().withdraw();
    let end = tokio::time::timeout(served::LONG, stream.message());
    let end = end.await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unauthenticated);
}

/// Names that snake case changes, where the prelude is another.
mod names {
    #![allow(
        dead_code,
        non_camel_case_types,
        clippy::upper_case_acronyms,
        reason = "nothing of it is used by what is generated"
    )]

    use std::task::{Context, Poll};

    use tower::Service;

    struct Result;
    struct Option;
    struct Some;
    struct None;
    struct Vec;
    struct str;
    struct String;
    struct Box;
    mod core {}
    mod spiffe_authz {}

    trait Names: Send + Sync + 'static {
        fn r#type(&self);
        fn get2_fa(&self);
        fn list_orders_v2(&self);
        fn self_(&self);
        fn get_url(&self);
        fn create(&self);
    }

    pub(super) struct Own;

    pub(super) struct NamesServer<T>(T);

    /// In no package.
    impl<T> tonic::server::NamedService for NamesServer<T> {
        const NAME: &'static ::core::primitive::str = "Names";
    }

    impl<T: Names> Service<http::Request<tonic::body::Body>> for NamesServer<T> {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<std::result::Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
            std::future::ready(Ok(tonic::Status::ok("done").into_http()))
        }
    }

    impl<T> Clone for NamesServer<T> {
        fn clone(&self) -> Self {
            panic!("no request comes")
        }
    }

    use NamesServer as Server;

    #[::spiffe_authz::authorize(Server)]
    impl self::Names for self::Own {
        #[permit(principal = "a", principal = "b")]
        fn r#type(&self) {}
        #[permit(policy)]
        fn get2_fa(&self) {}
        #[permit(because = "the reason comes first", anyone)]
        fn list_orders_v2(&self) {}
        #[permit(policy)]
        fn self_(&self) {}
        #[rpc("GetURL")]
        #[permit(policy)]
        fn get_url(&self) {}
        #[permit(policy)]
        #[rpc("create")]
        fn create(&self) {}
    }
}

#[test]
fn names_are_in_camel_case_but_for_those_that_are_said() {
    let rules = <names::Own as Authorized<names::NamesServer<names::Own>>>::rules();
    assert_eq!(
        rules.paths().collect::<Vec<_>>(),
        [
            "/Names/Type",
            "/Names/Get2Fa",
            "/Names/ListOrdersV2",
            "/Names/Self",
            "/Names/GetURL",
            "/Names/create",
        ]
    );
    let both = Permit::Callers {
        ids: &[],
        principals: &["a", "b"],
    };
    assert_eq!(rules.rpcs()[0].permit(), both);
}
