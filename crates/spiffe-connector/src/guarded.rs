use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::Connected;
use hyper_util::rt::TokioIo;
use spiffe_peer::Connection;
use spiffe_tls::TrustWatch;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::client::TlsStream;

use crate::failure::keep_refusal;
use crate::life::{Life, Retirement};

/// A connection that is older, and still has had no request, was made for one that found another.
const ABOUT_TO_BE_USED: Duration = Duration::from_secs(2);

/// How long what is written to a server that takes nothing more passes for sent: whoever reads has come
/// to the end by then. Whoever does not must not write for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A TLS connection that ends when the trust in its server does, and that its pool is told to give
/// no more requests to before that.
pub(crate) struct Guarded {
    io: TokioIo<TlsStream<TcpStream>>,
    read_end: End,
    write_end: End,
    /// The retirement of a connection that has not had a request yet. A pool may have it that has
    /// never been shown it, and so cannot be told to let it go.
    unused: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether it has ended so.
    is_over: bool,
    /// Since when the server takes nothing more. What it has said before, and which of the requests it has
    /// left unprocessed, is still to be read.
    deaf_since: Option<Instant>,
    life: Life,
    _retirement: Retirement,
    _watch: TrustWatch,
}

/// The end of the trust. One for each direction, since two tasks may wait.
struct End(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl End {
    fn of(trust: &Connection, expiry: Option<Duration>) -> Self {
        let trust = trust.clone();
        Self(Some(Box::pin(async move {
            tokio::select! {
                () = trust.withdrawn() => {}
                () = after(expiry) => {}
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

async fn retired_unused(life: Life) {
    sleep(ABOUT_TO_BE_USED).await;
    life.retired().await;
}

async fn after(expiry: Option<Duration>) {
    match expiry {
        Some(expiry) => sleep(expiry).await,
        None => std::future::pending().await,
    }
}

impl Guarded {
    /// `expiry` is the time that the server's identity has left, where it has one.
    pub(crate) fn new(
        tls: TlsStream<TcpStream>,
        trust: &Connection,
        expiry: Option<Duration>,
        life: Life,
        retirement: Retirement,
        watch: TrustWatch,
    ) -> Self {
        Self {
            io: TokioIo::new(tls),
            read_end: End::of(trust, expiry),
            write_end: End::of(trust, expiry),
            unused: Some(Box::pin(retired_unused(life.clone()))),
            is_over: false,
            deaf_since: None,
            life,
            _retirement: retirement,
            _watch: watch,
        }
    }

    fn is_retired_unused(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(retired) = &mut self.unused
            && retired.as_mut().poll(cx).is_ready()
        {
            self.unused = None;
            self.is_over = true;
        }
        self.is_over
    }

    /// Nothing goes to a server whose identity has ended, and what has gone to it may be a request.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.unused = None;
        self.write_end.poll_trusted(cx)
    }

    /// What is written to a server that is gone is lost, as it was on the way to it: how the connection
    /// ends is for the reader to find out, who reaches its end now.
    fn poll_sent<T>(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnOnce(
            Pin<&mut TokioIo<TlsStream<TcpStream>>>,
            &mut Context<'_>,
        ) -> Poll<io::Result<T>>,
        unsent: T,
    ) -> Poll<io::Result<T>> {
        if let Some(since) = self.deaf_since {
            return Poll::Ready(if since.elapsed() < LAST_WORDS {
                Ok(unsent)
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            });
        }
        match send(Pin::new(&mut self.io), cx) {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.deaf_since = Some(Instant::now());
                self.life.retire();
                Poll::Ready(Ok(unsent))
            }
            polled => polled.map_err(keep_refusal),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.io.inner().get_ref().1.alpn_protocol() == Some(b"h2")
    }

    pub(crate) fn connected(&self) -> Connected {
        self.life.connected(self.is_http2())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.life.close();
    }
}

impl Read for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.read_end.poll_trusted(cx)?;
        if this.is_retired_unused(cx) {
            // An end that costs nobody anything: nothing has been sent.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io)
            .poll_read(cx, buf)
            .map_err(keep_refusal)
    }
}

impl Write for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_writable(cx)?;
        this.poll_sent(cx, |io, cx| io.poll_write(cx, buf), buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_writable(cx)?;
        let all = bufs.iter().map(|buf| buf.len()).sum();
        this.poll_sent(cx, |io, cx| io.poll_write_vectored(cx, bufs), all)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx, Write::poll_flush, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx, Write::poll_shutdown, ())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("http2", &self.is_http2())
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// Has a stream read and write through its field `guarded`.
macro_rules! reads_and_writes {
    ($stream:ty) => {
        impl hyper::rt::Read for $stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: hyper::rt::ReadBufCursor<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().guarded).poll_read(cx, buf)
            }
        }

        impl hyper::rt::Write for $stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().guarded).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().guarded).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.guarded.is_write_vectored()
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().guarded).poll_flush(cx)
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().guarded).poll_shutdown(cx)
            }
        }
    };
}
pub(crate) use reads_and_writes;
