//! What tonic lets layers and interceptors see, and what the guards make of it.
//!
//! The tests of tonic itself are here because a version of it that changes one of these lines changes what
//! a guard has to be told.

#![cfg(feature = "tonic")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common` and `served`"
)]

mod common;
mod served;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use common::{PAYMENTS, STOCK};
use http_body_util::{Empty, Full};
use spiffe_authz::axum::{GuardedService, Router, Rpcs};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use spiffe_authz::{Refusal, RequireIdLayer};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::{LayerExt, RecoverErrorLayer, Routes};
use tonic::transport::{Endpoint, Server};
use tonic::{Code, GrpcMethod, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::util::MapRequestLayer;
use tower::{Layer, ServiceExt};

/// Answers `Check`, but for the service `slow`; `Watch` goes on without a message.
#[derive(Clone)]
struct Site;

#[spiffe_authz::authorize(HealthServer)]
#[tonic::async_trait]
impl Health for Site {
    #[permit("spiffe://example.org/service/payment-processor")]
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service == "slow" {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

    #[permit(authenticated, because = "a test of streams")]
    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}

const CHECK: &str = "/grpc.health.v1.Health/Check";

fn guarded() -> GuardedService {
    Router::<()>::new()
        .authorized(Site, HealthServer::new)
        .build()
        .unwrap()
}

fn peer(id: &str) -> MockPeer {
    MockPeer::id(id).unwrap()
}

/// The raw path, the template, and whether `GrpcMethod` is there.
type Seen = Arc<Mutex<Vec<(String, Option<String>, bool)>>>;

fn watcher<B>(
    seen: &Seen,
) -> MapRequestLayer<impl Fn(http::Request<B>) -> http::Request<B> + Clone + Send + Sync + 'static>
{
    let seen = seen.clone();
    MapRequestLayer::new(move |request: http::Request<B>| {
        let of = request.extensions();
        let template = of.get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let method = of.get::<GrpcMethod<'static>>().is_some();
        let path = request.uri().path().to_owned();
        seen.lock().unwrap().push((path, template, method));
        request
    })
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The code of a unary call on a connection of its own.
async fn check(address: SocketAddr, service: &str) -> Code {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let service = service.to_owned();
    let call = client.check(HealthCheckRequest { service });
    match tokio::time::timeout(served::LONG, call).await.unwrap() {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn trap_2_a_layer_of_the_server_sees_the_path_and_no_template() {
    let (outside, named) = (Seen::default(), Seen::default());
    let (listener, address) = listener().await;
    let health = watcher(&named).named_layer(HealthServer::new(Site));
    let server = Server::builder()
        .layer(watcher(&outside))
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    assert_eq!(check(address, "").await, Code::Ok);
    let (path, none) = (CHECK.to_owned(), None);
    assert_eq!(*outside.lock().unwrap(), [(path.clone(), none, false)]);
    let template = Some("/grpc.health.v1.Health/{*rest}".to_owned());
    assert_eq!(*named.lock().unwrap(), [(path, template, false)]);
}

#[tokio::test]
async fn trap_2_a_policy_decides_by_the_rpc_wherever_its_layer_stands() {
    let policy = Policy::from_yaml(
        "{ version: 1, name: health, trust_domains: { example.org: {} }, rules: [{ name: check, \
         allow: ['grpc grpc.health.v1.Health/Check'], \
         from: ['spiffe://example.org/service/payment-processor'] }] }",
    )
    .unwrap();
    for named in [false, true] {
        for (id, expected) in [(PAYMENTS, Code::Ok), (STOCK, Code::PermissionDenied)] {
            let (listener, address) = listener().await;
            let incoming = TcpListenerStream::new(listener);
            let layer = AuthzLayer::new(policy.clone()).unwrap();
            let builder = Server::builder().layer(peer(id));
            if named {
                let health = layer.named_layer(HealthServer::new(Site));
                let server = builder.clone().add_service(health);
                tokio::spawn(server.serve_with_incoming(incoming));
            } else {
                let mut server = builder.layer(layer);
                let server = server.add_service(HealthServer::new(Site));
                tokio::spawn(server.serve_with_incoming(incoming));
            }
            assert_eq!(check(address, "").await, expected, "{id}, {named}");
            // Nobody may `Watch`, though the template is that of `Check`.
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            let mut client = HealthClient::new(endpoint.connect().await.unwrap());
            let refused = client.watch(HealthCheckRequest::default()).await;
            assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        }
    }
}

#[tokio::test]
async fn trap_3_an_interceptor_does_not_see_which_rpc_is_called() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let health = HealthServer::with_interceptor(Site, {
        let see = seen.clone();
        move |request: tonic::Request<()>| {
            let of = request.extensions();
            let template = of.get::<MatchedPath>().map(|path| path.as_str().to_owned());
            let named =
                of.get::<http::Uri>().is_some() || of.get::<GrpcMethod<'static>>().is_some();
            let metadata = format!("{:?}", request.metadata());
            see.lock().unwrap().push((template, named, metadata));
            Ok(request)
        }
    });
    let app = Router::<()>::new()
        .grpc(health, Rpcs::new().authenticated("Check", "a test"))
        .build()
        .unwrap();
    let (listener, address) = listener().await;
    let server = Server::builder()
        .layer(peer(STOCK))
        .add_routes(app.into())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    assert_eq!(check(address, "").await, Code::Ok);
    let seen = seen.lock().unwrap();
    let (template, named, metadata) = &seen[0];
    assert_eq!(template.as_deref(), Some("/grpc.health.v1.Health/{*rpc}"));
    assert!(!named && !metadata.contains("Check"), "{metadata}");
}

#[tokio::test]
async fn trap_4_one_refusal_suits_every_body_and_is_chosen_by_the_content_type() {
    async fn refused<B: Default + 'static>(content_type: Option<&str>) -> http::response::Parts {
        let inner = tower::service_fn(async |_: http::Request<()>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(B::default()))
        });
        let layer = RequireIdLayer::exact(PAYMENTS).unwrap();
        let mut request = http::Request::post(CHECK);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let service = peer(STOCK).layer(layer.layer(inner));
        let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
        assert!(response.extensions().get::<Refusal>().is_some());
        response.into_parts().0
    }
    for (content_type, status, headers) in [
        (Some("application/grpc"), 200, 3),
        (Some("application/grpc-web+proto"), 200, 3),
        (Some("application/json"), 403, 0),
        (None, 403, 0),
    ] {
        for head in [
            refused::<axum::body::Body>(content_type).await,
            refused::<tonic::body::Body>(content_type).await,
            refused::<Full<bytes::Bytes>>(content_type).await,
            refused::<Empty<bytes::Bytes>>(content_type).await,
        ] {
            assert_eq!(head.status, status, "{content_type:?}");
            assert_eq!(head.headers.len(), headers, "{content_type:?}");
        }
    }
}

/// tonic answers a request that is no gRPC with 200; what is guarded refuses it in HTTP.
#[tokio::test]
async fn trap_4_what_meets_no_service_is_refused_and_not_answered() {
    let (open, bare) = listener().await;
    let server = Server::builder().add_service(HealthServer::new(Site));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(open)));
    let (behind, address) = listener().await;
    let server = Server::builder().add_routes(guarded().into());
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(behind)));
    let request = || {
        let path = "http://localhost/no.Such/Thing";
        http::Request::post(path).body(()).unwrap()
    };
    let answer = served::http2(bare, request()).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &"12".parse().unwrap())
    );
    let answer = served::http2(address, request()).await;
    assert_eq!(answer.status(), 401);
    assert!(!answer.headers().contains_key("grpc-status"));
}

#[tokio::test]
async fn trap_5_errors_of_incoming_are_skipped_its_end_stops_and_an_age_ends_connections() {
    let (listener, address) = listener().await;
    let errors = || tokio_stream::iter((0..3).map(|_| Err(io::Error::other("a bad handshake"))));
    let incoming = errors().chain(TcpListenerStream::new(listener));
    let server = Server::builder()
        .layer(peer(PAYMENTS))
        .max_connection_age(Duration::from_millis(50))
        .add_routes(guarded().into())
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    assert_eq!(check(address, "").await, Code::Ok, "after three errors");

    let stream = TcpStream::connect(address).await.unwrap();
    let (_client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::time::timeout(served::LONG, connection);
    ended.await.expect("the connection is too old").unwrap();

    let none = errors().map(|error: Result<TcpStream, _>| error);
    let server = Server::builder()
        .add_routes(guarded().into())
        .serve_with_incoming(none);
    let stopped = tokio::time::timeout(served::LONG, server);
    stopped.await.expect("there is nothing to accept").unwrap();
}

/// A layer may fail with a `Status`; a refusal is an answer, and no error that a layer has to recover.
#[tokio::test]
async fn trap_6_errors_of_layers_become_answers_and_refusals_are_some_already() {
    let busy = tower::layer::layer_fn(|inner: Routes| {
        tower::service_fn(move |request: http::Request<tonic::body::Body>| {
            let inner = inner.clone();
            async move {
                if request.headers().contains_key("x-busy") {
                    return Err(tonic::codegen::StdError::from(Status::resource_exhausted(
                        "busy",
                    )));
                }
                Ok(inner.oneshot(request).await?)
            }
        })
    });
    for (id, idle, told) in [
        (PAYMENTS, Code::Ok, Code::ResourceExhausted),
        (STOCK, Code::PermissionDenied, Code::ResourceExhausted),
    ] {
        let (listener, address) = listener().await;
        let server = Server::builder()
            .layer(RecoverErrorLayer::new())
            .layer(peer(id))
            .layer(busy)
            .add_routes(guarded().into())
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        assert_eq!(check(address, "").await, idle, "{id}");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect().await.unwrap());
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        request
            .metadata_mut()
            .insert("x-busy", "1".parse().unwrap());
        assert_eq!(
            client.check(request).await.unwrap_err().code(),
            told,
            "{id}"
        );
    }
}

/// The deadline that a client asks for is kept by tonic's own server, and by nobody under axum.
#[tokio::test]
async fn trap_8_under_axum_the_deadline_of_a_call_is_lost() {
    let (listener, axums) = listener().await;
    let app = peer(PAYMENTS).layer(guarded());
    let app = axum::ServiceExt::<Request>::into_make_service(app);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (listener, tonics) = self::listener().await;
    let server = Server::builder()
        .layer(peer(PAYMENTS))
        .add_routes(guarded().into())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    // By hand, since tonic's client keeps the deadline itself.
    let slow = async |address: SocketAddr| {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://localhost{CHECK}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "50m")
            .body(())
            .unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        let message = bytes::Bytes::from_static(b"\0\0\0\0\x06\x0a\x04slow");
        body.send_data(message, true).unwrap();
        response.await.unwrap()
    };
    let answer = tokio::time::timeout(served::LONG, slow(tonics)).await;
    let status = answer.unwrap().headers()["grpc-status"].clone();
    assert!(status == "1" || status == "4", "{status:?}");
    let answer = tokio::time::timeout(Duration::from_millis(500), slow(axums)).await;
    assert!(answer.is_err(), "it goes on");
    assert_eq!(check(axums, "").await, Code::Ok);
}
