//! What each request of a connection says of it beside its peer, where frameworks look for it.

use http::Extensions;

#[cfg(any(feature = "axum", feature = "tonic"))]
use super::Serve;
use crate::incoming::Incoming;
use crate::stream::Stream;

/// Puts what is known of a connection into a request.
pub(super) type Introduction = Box<dyn Fn(&mut Extensions) + Send + Sync>;

/// Prepares it, once for all requests of the connection.
pub(super) type Introduce<I> =
    fn(&Stream<<I as Incoming>::Io>, &<I as Incoming>::Address) -> Introduction;

#[cfg(any(feature = "axum", feature = "tonic"))]
fn introduction<T: Clone + Send + Sync + 'static>(info: T) -> Introduction {
    Box::new(move |extensions| {
        extensions.insert(info.clone());
    })
}

#[cfg(feature = "axum")]
impl<S, I> Serve<S, I>
where
    I: Incoming<Address: Clone>,
{
    /// Puts axum's `ConnectInfo` with the address of the other end into every request.
    ///
    /// ```no_run
    /// # async fn example(listener: spiffe_acceptor::Listener) -> Result<(), spiffe_acceptor::ServeError> {
    /// use std::net::SocketAddr;
    /// use axum::{Router, extract::ConnectInfo, routing::get};
    ///
    /// let from = async |ConnectInfo(address): ConnectInfo<SocketAddr>| address.to_string();
    /// let app = Router::new().route("/", get(from));
    /// spiffe_acceptor::serve(listener, app).with_connect_info().await
    /// # }
    /// ```
    pub fn with_connect_info(mut self) -> Self {
        self.introduces
            .push(|_, address| introduction(axum::extract::ConnectInfo(address.clone())));
        self
    }
}

#[cfg(feature = "tonic")]
impl<S, I> Serve<S, I>
where
    I: Incoming<Io: tonic::transport::server::Connected>,
{
    /// Puts into every request what tonic's `Request::remote_addr` and `local_addr` look for.
    pub fn with_tonic_connect_info(mut self) -> Self {
        self.introduces.push(|stream, _| {
            use tonic::transport::server::Connected;
            introduction(stream.io().connect_info())
        });
        self
    }
}
