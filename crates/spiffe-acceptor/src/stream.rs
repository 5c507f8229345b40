use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use spiffe_peer::{Connection, PeerIdentity};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use spiffe_tls::TrustWatch;

/// An accepted connection: its peer is known, what it carries is plain text again.
///
/// ```
/// # use tokio::net::TcpStream;
/// fn greet(stream: &spiffe_acceptor::Stream<TcpStream>) -> String {
///     format!("hello, {}", stream.peer())
/// }
/// ```
pub struct Stream<IO: AsyncWrite + Unpin> {
    tls: TlsStream<IO>,
    peer: PeerIdentity,
    connection: Connection,
    _watch: TrustWatch,
    own_end: Option<SystemTime>,
}

/// What knows the peer of a connection. It lets the make-service for `axum::serve` work with any
/// listener, also one that wraps ours.
///
/// ```
/// fn log_line(connection: &impl spiffe_acceptor::HasPeer) -> String {
///     connection.peer().to_string()
/// }
/// ```
pub trait HasPeer {
    /// The verified peer.
    fn peer(&self) -> &PeerIdentity;
}

impl<IO: AsyncWrite + Unpin> HasPeer for Stream<IO> {
    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }
}

impl<IO: AsyncWrite + Unpin> Stream<IO> {
    pub(crate) fn new(
        tls: TlsStream<IO>,
        peer: PeerIdentity,
        connection: Connection,
        watch: TrustWatch,
        own_end: Option<SystemTime>,
    ) -> Self {
        Self {
            tls,
            peer,
            connection,
            _watch: watch,
            own_end,
        }
    }

    /// The verified peer.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The owner's handle to this connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How long both ends can trust this connection: until the identity of either ends.
    pub(crate) fn trusted_for(&self) -> Duration {
        let own = self
            .own_end
            .map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        own.map_or(self.peer.expires_in(), |own| {
            own.min(self.peer.expires_in())
        })
    }

    /// Whether the handshake settled on HTTP/2 (ALPN `h2`).
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.tls.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}

impl<IO: AsyncWrite + Unpin> fmt::Debug for Stream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer)
            .field("http2", &self.is_http2())
            .finish_non_exhaustive()
    }
}

impl<IO: AsyncWrite + Unpin> Drop for Stream<IO> {
    /// Tells the peer that this is the end, where nobody has: without a close_notify a cut looks like
    /// an attack. As much as fits into the socket at once; nobody waits for a peer that does not read.
    fn drop(&mut self) {
        let (io, tls) = self.tls.get_mut();
        tls.send_close_notify();
        let mut unsent = Vec::new();
        if tls.wants_write() && tls.write_tls(&mut unsent).is_ok() {
            let mut nobody = Context::from_waker(Waker::noop());
            let _ = Pin::new(io).poll_write(&mut nobody, &unsent);
        }
    }
}
