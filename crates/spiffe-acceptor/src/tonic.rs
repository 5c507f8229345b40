//! What plugs into tonic's own server.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use spiffe_peer::PeerIdentity;
use tokio::io::AsyncWrite;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tower_layer::Layer;
use tower_service::Service;

use crate::incoming::Incoming;
use crate::listener::Listener;
use crate::stream::Stream;
use crate::with_peer::{ResponseFuture, unauthenticated, vouch};

impl<I: Incoming> Listener<I> {
    /// The connections of this listener for `serve_with_incoming` of tonic. Together with
    /// [`PeerIdentityLayer`] every request carries its peer, and `Request::remote_addr` works.
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # async fn example<S>(listener: spiffe_acceptor::Listener, orders: S) -> Result<(), Box<dyn std::error::Error>>
    /// # where
    /// #     S: tower_service::Service<http::Request<tonic::body::Body>, Error = std::convert::Infallible> + tonic::server::NamedService + Clone + Send + Sync + 'static,
    /// #     S::Response: axum::response::IntoResponse,
    /// #     S::Future: Send,
    /// # {
    /// use spiffe_acceptor::PeerIdentityLayer;
    ///
    /// tonic::transport::Server::builder()
    ///     .layer(PeerIdentityLayer::new())
    ///     .add_service(orders)
    ///     .serve_with_incoming(listener.into_incoming())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_incoming(self) -> IncomingStreams<I> {
        IncomingStreams {
            next: Box::pin(next(self)),
        }
    }
}

/// The connections of a [`Listener`] as a stream that never ends; see [`Listener::into_incoming`].
///
/// ```no_run
/// # fn example(listener: spiffe_acceptor::Listener) {
/// let incoming: spiffe_acceptor::IncomingStreams = listener.into_incoming();
/// # drop(incoming);
/// # }
/// ```
pub struct IncomingStreams<I: Incoming = tokio::net::TcpListener> {
    next: Next<I>,
}

type Next<I> = Pin<Box<dyn Future<Output = (Listener<I>, Stream<<I as Incoming>::Io>)> + Send>>;

async fn next<I: Incoming>(mut listener: Listener<I>) -> (Listener<I>, Stream<I::Io>) {
    let (stream, _) = listener.accept().await;
    (listener, stream)
}

impl<I: Incoming> futures_core::Stream for IncomingStreams<I> {
    type Item = io::Result<Stream<I::Io>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (listener, stream) = ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(next(listener));
        Poll::Ready(Some(Ok(stream)))
    }
}

impl<I: Incoming> fmt::Debug for IncomingStreams<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingStreams").finish_non_exhaustive()
    }
}

/// What tonic's server puts into the requests of our connections; [`PeerIdentityLayer`] unpacks it.
///
/// ```
/// use spiffe_acceptor::SpiffeConnectInfo;
///
/// fn of(request: &http::Request<()>) -> Option<&SpiffeConnectInfo> {
///     request.extensions().get()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SpiffeConnectInfo<T = TcpConnectInfo> {
    peer: Option<PeerIdentity>,
    inner: T,
}

impl<T> SpiffeConnectInfo<T> {
    /// The verified peer. None only where clients without a certificate are taken.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerIdentity> {
        self.peer.as_ref()
    }

    /// What is known of the connection below TLS: its addresses, where it is TCP.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.inner
    }
}

impl<IO: Connected + AsyncWrite + Unpin> Connected for Stream<IO> {
    type ConnectInfo = SpiffeConnectInfo<IO::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        SpiffeConnectInfo {
            peer: self.peer().cloned(),
            inner: self.io().connect_info(),
        }
    }
}

/// Puts the [`PeerIdentity`] of its connection into every request of tonic's server, and refuses it
/// as unauthenticated once that identity is no longer current, or where the connection is none of
/// ours. What tonic knows of the connection below TLS (`T`) is put where tonic looks for it.
///
/// ```
/// use spiffe_acceptor::PeerIdentityLayer;
///
/// let server = tonic::transport::Server::builder().layer(PeerIdentityLayer::new());
/// # let _ = server;
/// ```
pub struct PeerIdentityLayer<T = TcpConnectInfo>(PhantomData<fn() -> T>);

impl PeerIdentityLayer {
    /// For connections over TCP.
    #[must_use]
    pub fn new() -> Self {
        Self::over()
    }
}

impl<T> PeerIdentityLayer<T> {
    /// For connections over what tonic knows `T` of; `UdsConnectInfo` for Unix sockets.
    #[must_use]
    pub fn over() -> Self {
        Self(PhantomData)
    }
}

impl Default for PeerIdentityLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for PeerIdentityLayer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PeerIdentityLayer<T> {}

impl<T> fmt::Debug for PeerIdentityLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerIdentityLayer")
    }
}

impl<T, S> Layer<S> for PeerIdentityLayer<T> {
    type Service = PeerIdentityService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        PeerIdentityService {
            inner,
            layer: *self,
        }
    }
}

/// The service of a [`PeerIdentityLayer`].
///
/// ```
/// use spiffe_acceptor::{PeerIdentityLayer, PeerIdentityService};
/// use tower_layer::Layer;
///
/// let service: PeerIdentityService<()> = PeerIdentityLayer::new().layer(());
/// # let _ = service;
/// ```
#[derive(Debug)]
pub struct PeerIdentityService<S, T = TcpConnectInfo> {
    inner: S,
    layer: PeerIdentityLayer<T>,
}

impl<S: Clone, T> Clone for PeerIdentityService<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer,
        }
    }
}

impl<S, B, R, T> Service<Request<B>> for PeerIdentityService<S, T>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
    T: Any + Clone + Send + Sync,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let info = request.extensions_mut().remove::<SpiffeConnectInfo<T>>();
        let Some(SpiffeConnectInfo { peer, inner }) = info else {
            tracing::warn!(target: "spiffe_acceptor", "refused: the connection is not of this acceptor");
            return ResponseFuture::refused(unauthenticated(request.headers()));
        };
        request.extensions_mut().insert(inner);
        match vouch(&mut request, peer.as_ref()) {
            Ok(()) => ResponseFuture::passed(self.inner.call(request)),
            Err(response) => ResponseFuture::refused(response),
        }
    }
}
