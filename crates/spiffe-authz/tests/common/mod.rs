use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use spiffe_authz::axum::GuardedService;
use spiffe_authz::mock::MockPeer;
use tower::{Layer, Service, ServiceExt};

pub const PAYMENTS: &str = "spiffe://example.org/service/payment-processor";
pub const STOCK: &str = "spiffe://example.org/service/stock";

/// A service that counts how often it was called: in `call`, not in the future.
#[derive(Clone, Default)]
pub struct Probe(Arc<AtomicUsize>);

impl Probe {
    pub fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl<B> Service<Request<B>> for Probe {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Body::from(format!(
            "{} {}",
            request.method(),
            request.uri().path()
        )))))
    }
}

pub fn request(method: &str, target: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(target)
        .body(Body::empty())
        .unwrap()
}

/// Calls as a peer with this ID, or as nobody.
pub async fn call(app: &GuardedService, peer: Option<&str>, request: Request<Body>) -> Response {
    match peer {
        Some(id) => MockPeer::id(id)
            .unwrap()
            .layer(app.clone())
            .oneshot(request)
            .await
            .unwrap(),
        None => app.clone().oneshot(request).await.unwrap(),
    }
}

pub async fn status(app: &GuardedService, peer: Option<&str>, method: &str, target: &str) -> u16 {
    call(app, peer, request(method, target))
        .await
        .status()
        .as_u16()
}

pub async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
