//! A real tonic client and a real tonic server around the guarded router, without generated code.

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
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::ServiceExt;
use axum::extract::Request;
use bytes::{Buf, BufMut};
use common::{PAYMENTS, STOCK};
use http::uri::PathAndQuery;
use spiffe_authz::axum::{Router, Rpcs};
use spiffe_authz::mock::MockPeer;
use spiffe_peer::PeerIdentity;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// Messages that are texts. It counts what is decoded.
#[derive(Clone, Default)]
struct Texts(Arc<AtomicUsize>);

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(String::from_utf8(bytes.to_vec()).unwrap()))
    }
}

#[derive(Clone, Default)]
struct Greeter {
    codec: Texts,
}

impl NamedService for Greeter {
    const NAME: &'static str = "shop.v1.Greeter";
}

impl Service<http::Request<tonic::body::Body>> for Greeter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let codec = self.codec.clone();
        Box::pin(async move { Ok(tonic::server::Grpc::new(codec).unary(Greet, request).await) })
    }
}

struct Greet;

impl UnaryService<String> for Greet {
    type Response = String;
    type Future = Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let peer = request.extensions().get::<PeerIdentity>().unwrap();
        ready(Ok(tonic::Response::new(format!(
            "{} to {peer}",
            request.get_ref()
        ))))
    }
}

async fn serve(peer: Option<MockPeer>, greeter: &Greeter) -> SocketAddr {
    let rpcs = Rpcs::new().allow("Greet", PAYMENTS);
    let app = Router::<()>::new()
        .grpc(greeter.clone(), rpcs)
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    match peer {
        Some(peer) => {
            let service = ServiceExt::<Request>::into_make_service(peer.layer(app));
            tokio::spawn(async move { axum::serve(listener, service).await });
        }
        None => {
            tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });
        }
    }
    address
}

async fn greet(address: SocketAddr, path: &'static str) -> Result<String, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    let greeting = tonic::Request::new("hello".to_owned());
    let path = PathAndQuery::from_static(path);
    let response = client.unary(greeting, path, Texts::default()).await?;
    Ok(response.into_inner())
}

#[tokio::test]
async fn a_tonic_client_is_answered_or_told_its_status() {
    let greeter = Greeter::default();
    let payments = serve(Some(MockPeer::id(PAYMENTS).unwrap()), &greeter).await;
    let stock = serve(Some(MockPeer::id(STOCK).unwrap()), &greeter).await;
    let nobody = serve(None, &greeter).await;

    for (address, path, code, message) in [
        (
            stock,
            "/shop.v1.Greeter/Greet",
            Code::PermissionDenied,
            "permission denied",
        ),
        (
            payments,
            "/shop.v1.Greeter/greet",
            Code::PermissionDenied,
            "permission denied",
        ),
        (
            payments,
            "/shop.v1.Other/Greet",
            Code::PermissionDenied,
            "permission denied",
        ),
        (
            nobody,
            "/shop.v1.Greeter/Greet",
            Code::Unauthenticated,
            "unauthenticated",
        ),
        (
            payments,
            "//shop.v1.Greeter/Greet",
            Code::InvalidArgument,
            "invalid argument",
        ),
    ] {
        let status = greet(address, path).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message), "{path}");
    }
    assert_eq!(
        greeter.codec.0.load(Ordering::SeqCst),
        0,
        "no message was decoded"
    );

    let greeting = greet(payments, "/shop.v1.Greeter/Greet").await.unwrap();
    assert_eq!(greeting, format!("hello to {PAYMENTS}"));
    assert_eq!(greeter.codec.0.load(Ordering::SeqCst), 1);
}
