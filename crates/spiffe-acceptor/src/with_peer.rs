use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use spiffe_peer::PeerIdentity;
use tower_service::Service;

/// Headers in which proxies forward identities. Here the peer itself would have written them.
/// Some frameworks read `_` as `-`.
const FORWARDED_IDENTITY: [&str; 4] = [
    "x-forwarded-client-cert",
    "x_forwarded_client_cert",
    "x-spiffe-id",
    "x_spiffe_id",
];

/// A service that hands every request of one connection on with the identity of its peer, and
/// answers 401 once that identity is no longer current.
///
/// [`serve`](crate::serve) and the make-service for `axum::serve` use it; servers that are built by
/// hand can too.
///
/// ```
/// use spiffe_acceptor::{PeerIdentity, WithPeer};
///
/// fn for_connection<S>(app: S, peer: PeerIdentity) -> WithPeer<S> {
///     WithPeer::new(app, peer)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct WithPeer<S> {
    inner: S,
    peer: PeerIdentity,
}

impl<S> WithPeer<S> {
    /// Serves the requests of `peer` with `inner`.
    pub fn new(inner: S, peer: PeerIdentity) -> Self {
        Self { inner, peer }
    }
}

impl<S, B, ResBody> Service<Request<B>> for WithPeer<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !self.peer.is_current() {
            tracing::info!(target: "spiffe_acceptor", { peer.spiffe_id = self.peer.as_str() }, "refused: the peer's identity has ended");
            self.peer.close();
            return ResponseFuture {
                kind: Kind::Refused {
                    response: Some(unauthenticated(request.headers())),
                },
            };
        }
        for name in FORWARDED_IDENTITY {
            request.headers_mut().remove(name);
        }
        request.extensions_mut().insert(self.peer.clone());
        ResponseFuture {
            kind: Kind::Passed {
                future: self.inner.call(request),
            },
        }
    }
}

fn unauthenticated<B: Default>(request: &HeaderMap) -> Response<B> {
    let mut response = Response::new(B::default());
    let grpc = request
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("16"));
    } else {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

pin_project! {
    /// The answer of [`WithPeer`].
    ///
    /// ```
    /// // It resolves to what the inner service answers, or to a refusal.
    /// fn is_send<F: Send, B: Send>(future: spiffe_acceptor::ResponseFuture<F, B>) -> impl Send {
    ///     future
    /// }
    /// ```
    #[derive(Debug)]
    pub struct ResponseFuture<F, B> {
        #[pin]
        kind: Kind<F, B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<F, B> {
        Passed { #[pin] future: F },
        Refused { response: Option<Response<B>> },
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passed { future } => Poll::Ready(ready!(future.poll(cx))),
            KindProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}
