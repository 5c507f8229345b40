//! Answers that go on: decided again whenever the policy changes.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use spiffe_peer::PeerIdentity;
use tower_layer::Layer;
use tower_service::Service;

use super::decided::Decided;
use super::provider::{BoxError, BoxFuture};
use super::shared::{Guard, Scope};
use crate::decision;
use crate::policy::Replaced;
use crate::refusal::Refusal;

/// Cuts answers that are still on their way when a new policy no longer allows them, or when the
/// identity of the peer ends.
///
/// Made by [`AuthzLayer::streams`](super::AuthzLayer::streams) and put outside that layer, or
/// [without a policy](Self::without_policy) around what has rules in code alone. Whenever the policy is
/// replaced, or the identity expires or is withdrawn, each request that has no whole answer yet is decided
/// again, by every guard of that layer that it has met. Where the outcome is a refusal, a request without
/// an answer gets it; a gRPC stream ends with `PERMISSION_DENIED` or `UNAUTHENTICATED`, any other body
/// (that of gRPC-Web too, which carries its status in frames that an inner layer writes) with an error,
/// which resets the stream or closes the connection. The answer is the usual one, whatever
/// [`AuthzLayer::refuse_with`](super::AuthzLayer::refuse_with) says. A connection that was upgraded, as
/// to a WebSocket, has had its answer and is not cut.
///
/// A body that nobody reads from is not cut before somebody does: nothing flows meanwhile.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use spiffe_authz::guard::AuthzLayer;
/// use spiffe_authz::policy::{LivePolicy, Policy};
/// use tower::Layer;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("policy.yaml");
/// # std::fs::write(&path, "{ version: 1, name: orders, trust_domains: {}, rules: [] }")?;
/// let authz = AuthzLayer::new(LivePolicy::follow(Policy::loader(), &path)?)?;
/// let app = authz.streams().layer(authz.layer(Router::<()>::new()));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer cuts nothing until it is put around a service"]
pub struct StreamsLayer {
    guard: Option<Arc<Guard>>,
}

impl StreamsLayer {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        Self { guard: Some(guard) }
    }

    /// Cuts answers when the identity of the peer ends, where rules in code decide alone.
    ///
    /// ```
    /// use axum::Router;
    /// use spiffe_authz::guard::StreamsLayer;
    /// use tower::Layer;
    ///
    /// let app = StreamsLayer::without_policy().layer(Router::<()>::new());
    /// # let _ = app;
    /// ```
    pub fn without_policy() -> Self {
        Self { guard: None }
    }
}

impl<S> Layer<S> for StreamsLayer {
    type Service = Streams<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Streams {
            inner,
            guard: self.guard.clone(),
        }
    }
}

/// A service whose answers are watched, made by [`StreamsLayer`].
///
/// ```
/// fn answers<S>(service: spiffe_authz::guard::Streams<S>) -> S {
///     service.into_inner()
/// }
/// ```
#[derive(Clone)]
pub struct Streams<S> {
    inner: S,
    guard: Option<Arc<Guard>>,
}

impl<S> Streams<S> {
    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for Streams<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body + Default,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<WatchedBody<ResBody>>;
    type Error = S::Error;
    type Future = WatchedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mut replaced = self.guard.as_ref().and_then(|guard| guard.replaced());
        let peer: Option<PeerIdentity> = request.extensions().get().cloned();
        let can_end = replaced.is_some() || peer.is_some();
        let end = can_end.then(|| -> End {
            let mut head = Request::new(());
            *head.method_mut() = request.method().clone();
            *head.uri_mut() = request.uri().clone();
            *head.headers_mut() = request.headers().clone();
            *head.extensions_mut() = request.extensions().clone();
            let Some(guard) = self.guard.clone() else {
                return Box::pin(async move {
                    end_of(peer.as_ref()).await;
                    decision::refuse_ended(&head)
                });
            };
            let decided = Decided::told(request.extensions_mut(), &guard.settings.watch);
            let (parts, ()) = head.into_parts();
            Box::pin(async move {
                loop {
                    tokio::select! {
                        () = replacement(&mut replaced) => {}
                        () = end_of(peer.as_ref()) => {}
                    }
                    for rule in decided.scopes() {
                        let scope = rule.as_ref().map_or(Scope::Everything, Scope::KeepingOut);
                        if let Err(refusal) = guard.settle(&parts, scope).await {
                            return refusal;
                        }
                    }
                }
            })
        });
        WatchedFuture {
            inner: self.inner.call(request),
            end,
        }
    }
}

/// The next replacement of the policy, if there can be one.
async fn replacement(replaced: &mut Option<Replaced>) {
    match replaced {
        Some(replaced) => replaced.next().await,
        None => pending().await,
    }
}

/// The end of the peer's identity, by whichever clock or withdrawal comes first.
async fn end_of(peer: Option<&PeerIdentity>) {
    let Some(peer) = peer else {
        return pending().await;
    };
    while peer.is_current() {
        tokio::select! {
            () = peer.withdrawn() => {}
            () = tokio::time::sleep(peer.expires_in()) => {}
        }
    }
}

/// Comes when the request may go on no longer.
type End = BoxFuture<'static, Refusal>;

pin_project! {
    /// The answer of a [`Streams`].
    #[must_use = "futures do nothing unless polled"]
    pub struct WatchedFuture<F> {
        #[pin]
        inner: F,
        end: Option<End>,
    }
}

impl<F, B, E> Future for WatchedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<WatchedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(end) = this.end
            && let Poll::Ready(refusal) = end.as_mut().poll(cx)
        {
            *this.end = None;
            return Poll::Ready(Ok(refusal.response::<B>().map(WatchedBody::done)));
        }
        let response = ready!(this.inner.poll(cx))?;
        let refused = response.extensions().get::<Refusal>().is_some();
        let end = this.end.take().filter(|_| !refused);
        Poll::Ready(Ok(response.map(|inner| WatchedBody {
            inner,
            end,
            cut: false,
        })))
    }
}

pin_project! {
    /// The body of an answer that a new policy can cut, made by [`Streams`].
    pub struct WatchedBody<B> {
        #[pin]
        inner: B,
        end: Option<End>,
        cut: bool,
    }
}

impl<B> WatchedBody<B> {
    fn done(inner: B) -> Self {
        Self {
            inner,
            end: None,
            cut: false,
        }
    }
}

/// An empty body that nobody watches, as a layer further out answers with.
impl<B: Default> Default for WatchedBody<B> {
    fn default() -> Self {
        Self::done(B::default())
    }
}

impl<B> Body for WatchedBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if *this.cut {
            return Poll::Ready(None);
        }
        if let Some(end) = this.end
            && let Poll::Ready(refusal) = end.as_mut().poll(cx)
        {
            *this.cut = true;
            *this.end = None;
            return Poll::Ready(Some(match refusal.trailers() {
                Some(trailers) => Ok(Frame::trailers(trailers)),
                None => Err(Box::new(Cut)),
            }));
        }
        this.inner
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.cut || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A new policy no longer allows the request whose answer this was.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a new policy no longer allows this request")
    }
}

impl std::error::Error for Cut {}

macro_rules! opaque {
    ($($name:ident$(<$param:ident>)?),*) => {
        $(impl$(<$param>)? fmt::Debug for $name$(<$param>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

opaque!(StreamsLayer, Streams<S>, WatchedFuture<F>, WatchedBody<B>);

impl Refusal {
    /// The end of a gRPC stream that has begun.
    fn trailers(&self) -> Option<HeaderMap> {
        self.ends_with_trailers()
            .then(|| self.clone().response::<()>().into_parts().0.headers)
            .map(|mut headers| {
                headers.remove(http::header::CONTENT_TYPE);
                headers
            })
    }
}
