use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use spiffe_peer::PeerIdentity;
use tower_service::Service;

/// Headers in which proxies forward identities. Here the peer itself would have written them.
const FORWARDED_IDENTITY: [&str; 2] = ["x-forwarded-client-cert", "x-spiffe-id"];

/// A service that hands every request of one connection on with the identity of its peer, and
/// answers 401 once that identity is no longer current.
///
/// [`serve`](crate::serve) and the make-service for `axum::serve` use it; servers that are built by
/// hand can too.
///
/// ```
/// use spiffe_acceptor::{Stream, WithPeer};
/// use tokio::net::TcpStream;
///
/// fn for_connection<S>(app: S, stream: &Stream<TcpStream>) -> WithPeer<S> {
///     WithPeer::new(app, stream.peer().cloned())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct WithPeer<S> {
    inner: S,
    peer: Option<PeerIdentity>,
}

impl<S> WithPeer<S> {
    /// Serves the requests of `peer` with `inner`. Requests of nobody (`None`) carry no identity, also
    /// where somebody else has put one into them.
    pub fn new(inner: S, peer: impl Into<Option<PeerIdentity>>) -> Self {
        Self {
            inner,
            peer: peer.into(),
        }
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
        match vouch(&mut request, self.peer.as_ref()) {
            Ok(()) => ResponseFuture::passed(self.inner.call(request)),
            Err(response) => ResponseFuture::refused(response),
        }
    }
}

/// Makes a request speak of nobody but the peer of its connection; refuses it where that has ended.
pub(crate) fn vouch<B, R: Default>(
    request: &mut Request<B>,
    peer: Option<&PeerIdentity>,
) -> Result<(), Response<R>> {
    remove_forwarded_identity(request.headers_mut());
    let Some(peer) = peer else {
        request.extensions_mut().remove::<PeerIdentity>();
        return Ok(());
    };
    // A runtime that stood still may not have withdrawn it yet.
    if !peer.is_current() || SystemTime::now() >= peer.not_after() {
        tracing::info!(target: "spiffe_acceptor", { peer.spiffe_id = peer.as_str() }, "refused: the peer's identity has ended");
        peer.close();
        return Err(unauthenticated(request.headers()));
    }
    request.extensions_mut().insert(peer.clone());
    Ok(())
}

/// Removes them also where `_` stands for `-`, which some frameworks read alike.
fn remove_forwarded_identity(headers: &mut HeaderMap) {
    // One look at each name: hardly a request has such a header.
    while let Some(name) = headers.keys().find(|name| forwards_identity(name)).cloned() {
        headers.remove(name);
    }
}

fn forwards_identity(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    FORWARDED_IDENTITY.iter().any(|forwarded| {
        let same =
            |(written, meant): (&u8, u8)| *written == meant || (*written, meant) == (b'_', b'-');
        name.len() == forwarded.len() && name.iter().zip(forwarded.bytes()).all(same)
    })
}

pub(crate) fn unauthenticated<B: Default>(request: &HeaderMap) -> Response<B> {
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

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn passed(future: F) -> Self {
        Self {
            kind: Kind::Passed { future },
        }
    }

    pub(crate) fn refused(response: Response<B>) -> Self {
        Self {
            kind: Kind::Refused {
                response: Some(response),
            },
        }
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
