//! What plugs into `axum::serve`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::middleware::AddExtension;
use axum::serve::IncomingStream;
use tower_layer::Layer;
use tower_service::Service;

use crate::incoming::Incoming;
use crate::listener::Listener;
use crate::stream::{HasPeer, Stream};
use crate::with_peer::WithPeer;

impl<I: Incoming> axum::serve::Listener for Listener<I> {
    type Io = Stream<I::Io>;
    type Addr = I::Address;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Self::local_addr(self)
    }
}

/// Gives `axum::serve` a service whose requests carry the [`PeerIdentity`](crate::PeerIdentity) of
/// their connection.
///
/// ```no_run
/// # async fn example(listener: spiffe_acceptor::Listener) -> std::io::Result<()> {
/// use axum::{Router, routing::get};
/// use spiffe_acceptor::{PeerIdentity, ServeWithPeer};
///
/// let app = Router::new().route("/", get(|peer: PeerIdentity| async move { peer.to_string() }));
/// axum::serve(listener, app.into_make_service_with_peer()).await
/// # }
/// ```
pub trait ServeWithPeer: Sized {
    /// A make-service for listeners whose connections know their peers.
    fn into_make_service_with_peer(self) -> MakeServiceWithPeer<Self>;
}

impl<S: Clone> ServeWithPeer for S {
    fn into_make_service_with_peer(self) -> MakeServiceWithPeer<Self> {
        MakeServiceWithPeer { app: self }
    }
}

/// Makes a [`WithPeer`] for each connection; see [`ServeWithPeer`].
///
/// ```
/// use spiffe_acceptor::{MakeServiceWithPeer, ServeWithPeer};
///
/// let make: MakeServiceWithPeer<axum::Router> = axum::Router::new().into_make_service_with_peer();
/// # let _ = make;
/// ```
#[derive(Debug, Clone)]
pub struct MakeServiceWithPeer<S> {
    app: S,
}

impl<S> MakeServiceWithPeer<S> {
    /// Puts axum's `ConnectInfo` with the address of the other end into each request, too.
    pub fn with_connect_info(self) -> MakeServiceWithConnectInfo<S> {
        MakeServiceWithConnectInfo { app: self.app }
    }
}

impl<L, S> Service<IncomingStream<'_, L>> for MakeServiceWithPeer<S>
where
    L: axum::serve::Listener,
    L::Io: HasPeer,
    S: Clone,
{
    type Response = WithPeer<S>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(WithPeer::new(
            self.app.clone(),
            stream.io().peer().cloned(),
        )))
    }
}

/// Makes a [`WithPeer`] for each connection whose requests say where it comes from; see
/// [`MakeServiceWithPeer::with_connect_info`].
///
/// ```no_run
/// # async fn example(listener: spiffe_acceptor::Listener) -> std::io::Result<()> {
/// use std::net::SocketAddr;
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use spiffe_acceptor::ServeWithPeer;
///
/// let from = async |ConnectInfo(address): ConnectInfo<SocketAddr>| address.to_string();
/// let app = Router::new().route("/", get(from));
/// axum::serve(listener, app.into_make_service_with_peer().with_connect_info()).await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MakeServiceWithConnectInfo<S> {
    app: S,
}

impl<L, S> Service<IncomingStream<'_, L>> for MakeServiceWithConnectInfo<S>
where
    L: axum::serve::Listener<Addr: Clone + Sync>,
    L::Io: HasPeer,
    S: Clone,
{
    type Response = WithPeer<AddExtension<S, ConnectInfo<L::Addr>>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        let address = ConnectInfo(stream.remote_addr().clone());
        let app = Extension(address).layer(self.app.clone());
        ready(Ok(WithPeer::new(app, stream.io().peer().cloned())))
    }
}
