use std::task::{Context, Poll};

use http::Request;
use spiffe_peer::PeerIdentity;
use tower_layer::Layer;
use tower_service::Service;

use crate::audit::correlation_id;

/// Tells `tracing` who makes each request; it decides nothing.
///
/// The current span gets the fields `peer.spiffe_id` and `peer.trust_domain` if it was made with them
/// (as with `field::Empty`), and an event of the target `spiffe_authz::identity`, level `INFO`, has them in
/// any case. Put it inside the layer that makes the span.
///
/// **Where it may be mounted:** anywhere inside what puts the identity into the request.
///
/// ```
/// use http::{Request, Response};
/// use spiffe_authz::LogIdentityLayer;
/// use spiffe_authz::mock::MockPeer;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hello = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new("hello")));
/// let logged = MockPeer::id("spiffe://example.org/service/orders")?.layer(LogIdentityLayer.layer(hello));
/// assert_eq!(*logged.oneshot(Request::new(())).await?.body(), "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "a layer tells nothing until it is put around a service"]
pub struct LogIdentityLayer;

impl<S> Layer<S> for LogIdentityLayer {
    type Service = LogIdentity<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LogIdentity { inner }
    }
}

/// A service whose requests are told of, made by [`LogIdentityLayer`].
///
/// ```
/// use spiffe_authz::{LogIdentity, LogIdentityLayer};
/// use tower::Layer;
///
/// let service: LogIdentity<()> = LogIdentityLayer.layer(());
/// ```
#[derive(Debug, Clone)]
pub struct LogIdentity<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for LogIdentity<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<PeerIdentity>();
        if let Some(peer) = peer {
            let span = tracing::Span::current();
            span.record("peer.spiffe_id", peer.as_str());
            span.record("peer.trust_domain", peer.trust_domain().as_str());
        }
        tracing::info!(
            target: "spiffe_authz::identity",
            {
                peer.spiffe_id = peer.map(PeerIdentity::as_str),
                peer.trust_domain = peer.map(|peer| peer.trust_domain().as_str()),
                peer.method = peer.map(|peer| tracing::field::display(peer.method())),
                http.method = request.method().as_str(),
                correlation_id = correlation_id(request.headers()),
            },
            "request"
        );
        self.inner.call(request)
    }
}
