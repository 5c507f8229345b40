use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use spiffe_peer::PeerIdentity;
use spiffe_tls::TrustWatch;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::failure::keep_refusal;

/// A connection to the expected server.
///
/// ```
/// fn whom(stream: &spiffe_connector::Stream) -> String {
///     stream.peer().to_string()
/// }
/// ```
pub struct Stream {
    io: TokioIo<TlsStream<TcpStream>>,
    peer: PeerIdentity,
    read_end: End,
    write_end: End,
    _watch: TrustWatch,
}

/// The end of the server's identity. One for each direction, since two tasks may wait.
struct End(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl End {
    fn of(peer: &PeerIdentity, trust: &spiffe_peer::Connection) -> Self {
        let (expiry, trust) = (peer.expires_in(), trust.clone());
        Self(Some(Box::pin(async move {
            tokio::select! {
                () = trust.withdrawn() => {}
                () = tokio::time::sleep(expiry) => {}
            }
        })))
    }

    /// A server whose identity has ended gets nothing more, and nothing of it is read.
    fn poll_trusted(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self
            .0
            .as_mut()
            .is_some_and(|end| end.as_mut().poll(cx).is_pending())
        {
            return Ok(());
        }
        self.0 = None;
        Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the server's identity has ended or is no longer trusted",
        ))
    }
}

impl Stream {
    pub(crate) fn new(
        tls: TlsStream<TcpStream>,
        peer: PeerIdentity,
        trust: &spiffe_peer::Connection,
        watch: TrustWatch,
    ) -> Self {
        let (read_end, write_end) = (End::of(&peer, trust), End::of(&peer, trust));
        Self {
            io: TokioIo::new(tls),
            peer,
            read_end,
            write_end,
            _watch: watch,
        }
    }

    /// The verified server.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn is_http2(&self) -> bool {
        self.io.inner().get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.peer.clone());
        if self.is_http2() {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.read_end.poll_trusted(cx)?;
        Pin::new(&mut this.io)
            .poll_read(cx, buf)
            .map_err(keep_refusal)
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.write_end.poll_trusted(cx)?;
        Pin::new(&mut this.io)
            .poll_write(cx, buf)
            .map_err(keep_refusal)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.write_end.poll_trusted(cx)?;
        Pin::new(&mut this.io)
            .poll_write_vectored(cx, bufs)
            .map_err(keep_refusal)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io)
            .poll_flush(cx)
            .map_err(keep_refusal)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io)
            .poll_shutdown(cx)
            .map_err(keep_refusal)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer)
            .field("http2", &self.is_http2())
            .finish_non_exhaustive()
    }
}
