//! Where connections come from.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// Where a [`Listener`](crate::Listener) gets its connections from, before anybody shakes hands on
/// them: a TCP or a Unix listener, or one that wraps another.
///
/// A wrapper that has to read something first (a PROXY-protocol header, say) does so in the
/// [`AsyncRead`] of its `Io`, not in [`accept`](Self::accept): what a handshake reads counts against
/// the deadline of that handshake, while a slow `accept` makes everybody wait.
///
/// ```
/// use std::io;
/// use std::net::{IpAddr, SocketAddr};
/// use spiffe_acceptor::Incoming;
/// use tokio::net::{TcpListener, TcpStream};
///
/// /// Sends what is small at the cost of what is large.
/// struct Buffered(TcpListener);
///
/// impl Incoming for Buffered {
///     type Io = tokio::io::BufStream<TcpStream>;
///     type Address = SocketAddr;
///
///     async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
///         let (tcp, address) = self.0.accept().await?;
///         Ok((tokio::io::BufStream::new(tcp), address))
///     }
///
///     fn local_addr(&self) -> io::Result<SocketAddr> {
///         self.0.local_addr()
///     }
///
///     fn ip(address: &SocketAddr) -> Option<IpAddr> {
///         Some(address.ip())
///     }
/// }
/// ```
pub trait Incoming: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// What is known of the other end; logs show its `Debug` form.
    type Address: fmt::Debug + Send + Sync + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// What the system says. The listener asks again, after a pause where no single connection is to
    /// blame.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must lose no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Self::Address)>> + Send;

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// The address that the quota of pending handshakes goes by; no quota where there is none.
    fn ip(_address: &Self::Address) -> Option<IpAddr> {
        None
    }
}

impl Incoming for TcpListener {
    type Io = TcpStream;
    type Address = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (tcp, address) = Self::accept(self).await?;
        // Answers are small and complete: waiting to fill a segment only delays them.
        let _ = tcp.set_nodelay(true);
        Ok((tcp, address))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    fn ip(address: &SocketAddr) -> Option<IpAddr> {
        Some(address.ip())
    }
}

#[cfg(unix)]
impl Incoming for UnixListener {
    type Io = UnixStream;
    type Address = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> io::Result<(UnixStream, Self::Address)> {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<Self::Address> {
        Self::local_addr(self)
    }
}
