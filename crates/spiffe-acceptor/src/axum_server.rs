//! What plugs into axum-server.

use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::handshake::Acceptor;
use crate::stream::Stream;
use crate::with_peer::WithPeer;

/// The acceptor for axum-server: `Server::acceptor` takes it.
///
/// axum-server shakes hands in the task of each connection, so there is no limit to pending
/// handshakes but their deadline; [`serve`](crate::serve) has more. Its streams are cut like all of
/// ours once their peer is no longer trusted.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source, app: impl axum_server::service::MakeService<std::net::SocketAddr, http::Request<hyper::body::Incoming>>) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_acceptor::{Acceptor, AxumServerAcceptor};
/// # let _ = app;
///
/// let acceptor: AxumServerAcceptor = Acceptor::builder(source).build()?.into();
/// let server = axum_server::bind("127.0.0.1:8443".parse::<std::net::SocketAddr>()?).acceptor(acceptor);
/// // server.serve(app.into_make_service()).await
/// # let _ = server;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AxumServerAcceptor(Acceptor);

impl From<Acceptor> for AxumServerAcceptor {
    fn from(acceptor: Acceptor) -> Self {
        Self(acceptor)
    }
}

impl<IO, S> Accept<IO, S> for AxumServerAcceptor
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Send + 'static,
{
    type Stream = Stream<IO>;
    type Service = WithPeer<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, io: IO, service: S) -> Self::Future {
        let acceptor = self.0.clone();
        let address = peer_address(&io);
        Box::pin(async move {
            let accepted = match &address {
                Some(address) => acceptor.accept_from(io, address).await,
                None => acceptor.accept(io).await,
            };
            let stream = accepted.map_err(io::Error::other)?;
            let peer = stream.peer().cloned();
            Ok((stream, WithPeer::new(service, peer)))
        })
    }
}

/// axum-server does not say where a connection comes from, so the socket is asked.
fn peer_address<IO: 'static>(io: &IO) -> Option<std::net::SocketAddr> {
    let io: &dyn Any = io;
    io.downcast_ref::<TcpStream>()
        .and_then(|tcp| tcp.peer_addr().ok())
}
