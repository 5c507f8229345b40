use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, SystemTime};

use spiffe_peer::{Connection, PeerIdentity};
use spiffe_tls::{TrustWatch, rustls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use crate::cut::Cut;
use crate::ending::{Ending, Half, Reason};
use crate::gathering::Gathering;
use crate::handshake::LINGER;
use crate::observe;

/// An accepted connection: its peer is known, what it carries is plain text again.
///
/// It ends with the trust in its peer, whatever serves it: once that is withdrawn, there is the grace
/// of [`AcceptorBuilder::grace`](crate::AcceptorBuilder::grace) for what is in flight, and then reads
/// and writes fail with [`io::ErrorKind::ConnectionAborted`], and the peer gets a close_notify.
///
/// ```
/// # use tokio::net::TcpStream;
/// fn greet(stream: &spiffe_acceptor::Stream<TcpStream>) -> String {
///     match stream.peer() {
///         Some(peer) => format!("hello, {peer}"),
///         None => "hello, whoever you are".to_owned(),
///     }
/// }
/// ```
pub struct Stream<IO: AsyncWrite + Unpin> {
    tls: TlsStream<Gathering<IO>>,
    peer: Option<PeerIdentity>,
    cut: Cut,
    is_cut: bool,
    lingers: Option<Lingering>,
    _watch: TrustWatch,
    own_end: Option<SystemTime>,
}

/// How long a peer that has been told goodbye has been taking to go.
struct Lingering {
    time: Pin<Box<Sleep>>,
    unread: usize,
}

/// The most that is read of a peer that is to go. What is on its way is less; more is a flood.
const MOST_UNREAD: usize = 1024 * 1024;

/// What knows the peer of a connection. It lets the make-service for `axum::serve` work with any
/// listener, also one that wraps ours.
///
/// ```
/// fn log_line(connection: &impl spiffe_acceptor::HasPeer) -> String {
///     connection.peer().map_or("-".to_owned(), ToString::to_string)
/// }
/// ```
pub trait HasPeer {
    /// The verified peer. None only where clients without a certificate are taken.
    fn peer(&self) -> Option<&PeerIdentity>;
}

impl<IO: AsyncWrite + Unpin> HasPeer for Stream<IO> {
    fn peer(&self) -> Option<&PeerIdentity> {
        self.peer.as_ref()
    }
}

impl<IO: AsyncWrite + Unpin> Stream<IO> {
    pub(crate) fn new(
        tls: TlsStream<Gathering<IO>>,
        peer: Option<PeerIdentity>,
        watch: TrustWatch,
        cut: Cut,
        own_end: Option<SystemTime>,
    ) -> Self {
        observe::opened();
        Self {
            tls,
            peer,
            cut,
            is_cut: false,
            lingers: None,
            _watch: watch,
            own_end,
        }
    }

    /// The verified peer. None only where clients without a certificate are taken
    /// ([`AcceptorBuilder::anonymous_clients`](crate::AcceptorBuilder::anonymous_clients)).
    #[must_use]
    pub fn peer(&self) -> Option<&PeerIdentity> {
        self.peer.as_ref()
    }

    /// The owner's handle to this connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.cut.connection()
    }

    /// The stream of bytes below TLS.
    #[must_use]
    pub fn io(&self) -> &IO {
        self.tls.get_ref().0.get_ref()
    }

    /// Whether the handshake settled on HTTP/2 (ALPN `h2`).
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.tls.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// Whether the handshake resumed an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.tls.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// How long both ends can trust this connection: until the identity of either ends.
    pub(crate) fn trusted_for(&self) -> Option<Duration> {
        let own = self
            .own_end
            .map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        let peer = self.peer.as_ref().map(PeerIdentity::expires_in);
        own.into_iter().chain(peer).min()
    }

    pub(crate) fn ending(&self) -> &Arc<Ending> {
        self.cut.ending()
    }

    pub(crate) fn leave_to_driver(&mut self, grace: Duration) {
        self.cut.leave_to_driver(grace);
    }

    /// HTTP/1.1 has no goodbye that could be lost.
    fn has_peer_to_wait_for(&self, cx: &Context<'_>) -> bool {
        self.is_http2()
            && !matches!(self.cut.ending().reason(), Reason::Peer | Reason::Error)
            && !self.cut.is_read_elsewhere(cx)
    }

    fn end(&mut self) -> io::Error {
        if !self.is_cut {
            self.is_cut = true;
            self.say_goodbye();
            let io = Pin::new(self.tls.get_mut().0.get_mut());
            let _ = io.poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
        self.cut.make()
    }

    /// Tells the peer that this is the end, where nobody has: without a close_notify a cut looks like
    /// an attack. As much as fits into the socket at once; nobody waits for a peer that does not read.
    fn say_goodbye(&mut self) {
        let (io, tls) = self.tls.get_mut();
        tls.send_close_notify();
        let mut unsent = Vec::new();
        while tls.wants_write() && matches!(tls.write_tls(&mut unsent), Ok(1..)) {}
        let mut nobody = Context::from_waker(Waker::noop());
        let mut io = Pin::new(io);
        if !unsent.is_empty() {
            let _ = io.as_mut().poll_write(&mut nobody, &unsent);
        }
        let _ = io.poll_send(&mut nobody);
    }

    fn gather_last_answer(&mut self) {
        if self.cut.ending().is_last_answer() {
            self.tls.get_mut().0.expect_end();
        }
    }

    /// Lets through what has come of a read or a write, unless the time of this connection is over.
    #[inline]
    fn unless_cut<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() && self.cut.poll_due(half, cx).is_ready() {
            return Poll::Ready(Err(self.end()));
        }
        if matches!(polled, Poll::Ready(Err(_))) {
            self.cut.ending().because(Reason::Error);
        }
        polled
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Stream<IO> {
    /// Waits a moment until the peer has gone, too. Closing a socket that still receives resets the
    /// connection, and a reset overtakes the GOAWAY from which the peer learns what it may send again.
    fn poll_peer_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingers.get_or_insert_with(|| {
            self.cut.ending().set_said();
            Lingering {
                time: Box::pin(sleep(LINGER)),
                unread: 0,
            }
        });
        if lingering.time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut buf = [0; 1024];
        while lingering.unread < MOST_UNREAD {
            let mut buf = ReadBuf::new(&mut buf);
            let io = Pin::new(self.tls.get_mut().0.get_mut());
            match ready!(io.poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => lingering.unread += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut.is_due() {
            return Poll::Ready(Err(this.end()));
        }
        if this.lingers.is_some() {
            // What has come since then is gone, and the rest makes no sense without it.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.tls).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0)
        {
            this.cut.ending().because(Reason::Peer);
        }
        this.unless_cut(Half::Reader, cx, polled)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.cut.is_due() {
            return Poll::Ready(Err(this.end()));
        }
        this.gather_last_answer();
        let polled = Pin::new(&mut this.tls).poll_write(cx, buf);
        this.unless_cut(Half::Writer, cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.cut.is_due() {
            return Poll::Ready(Err(this.end()));
        }
        this.gather_last_answer();
        let polled = Pin::new(&mut this.tls).poll_write_vectored(cx, bufs);
        this.unless_cut(Half::Writer, cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut.is_due() {
            return Poll::Ready(Err(this.end()));
        }
        let polled = Pin::new(&mut this.tls).poll_flush(cx);
        this.unless_cut(Half::Writer, cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut.is_due() {
            this.end();
            return Poll::Ready(Ok(()));
        }
        if this.lingers.is_none() {
            match Pin::new(&mut this.tls).poll_shutdown(cx) {
                Poll::Pending if this.cut.poll_due(Half::Writer, cx).is_ready() => {
                    this.end();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if this.has_peer_to_wait_for(cx) => {}
                polled => return polled,
            }
        }
        this.poll_peer_gone(cx).map(Ok)
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
    fn drop(&mut self) {
        if !self.is_cut {
            self.say_goodbye();
        }
        let ending = self.cut.ending();
        if self.cut.connection().is_withdrawn() {
            ending.because(Reason::Identity);
        }
        ending.set_gone();
        observe::closed(ending.reason());
    }
}
