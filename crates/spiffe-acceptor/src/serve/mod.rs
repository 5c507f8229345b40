//! Serves HTTP, and ends connections with the identities of their peers.

mod activity;
mod introduction;
mod life;
mod limits;
mod requests;
mod sparingly;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::error::ServeError;
use crate::incoming::Incoming;
use crate::listener::Listener;
use crate::stream::Stream;
use introduction::{Introduce, Introduction};
use life::{BoxError, End, LEAVE_BEHIND, Life};
use limits::Limits;
use requests::Requests;

/// Serves a Tower service on a listener: HTTP/1.1 and HTTP/2, as the handshake has settled.
///
/// Every request carries the [`PeerIdentity`](crate::PeerIdentity) of its connection. A connection closes shortly before
/// the identity of either end does, when the peer is no longer trusted, or when somebody calls
/// [`PeerIdentity::close`](crate::PeerIdentity::close); what is in flight then has the time of [`Serve::drain_within`] to finish.
/// An upgraded connection (WebSocket) ends in the same way: it is told nothing, lives on for that
/// time, and is cut. A handler that panics costs its own request alone. Awaiting the answer runs the
/// server.
///
/// A client that sends a request in the very moment in which its connection is being closed sees an
/// error that says that nothing was processed, and may retry; HTTP/2 clients of hyper do so.
///
/// ```no_run
/// # use std::time::Duration;
/// # #[cfg(feature = "axum")]
/// # async fn example(listener: spiffe_acceptor::Listener, app: axum::Router) -> Result<(), spiffe_acceptor::ServeError> {
/// spiffe_acceptor::serve(listener, app)
///     .with_graceful_shutdown(async {
///         let _ = tokio::signal::ctrl_c().await;
///     })
///     .drain_within(Duration::from_secs(10))
///     .await
/// # }
/// ```
pub fn serve<S, I: Incoming>(listener: Listener<I>, app: S) -> Serve<S, I> {
    Serve {
        listener,
        app,
        shutdown: Box::pin(std::future::pending()),
        introduces: Vec::new(),
        limits: Limits::default(),
    }
}

/// A server that is ready to be awaited; see [`serve`].
///
/// ```no_run
/// # async fn example<S>(server: spiffe_acceptor::Serve<S>) -> spiffe_acceptor::Serve<S> {
/// server.header_timeout(std::time::Duration::from_secs(5))
/// # }
/// ```
#[must_use = "a server runs when it is awaited"]
pub struct Serve<S, I: Incoming = TcpListener> {
    listener: Listener<I>,
    app: S,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    introduces: Vec<Introduce<I>>,
    limits: Limits,
}

impl<S, I: Incoming> Serve<S, I> {
    /// Stops when `signal` resolves: no new connections; those that are open finish what is in
    /// flight and close.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// How long connections may take to finish what is in flight, on shutdown and when a peer's
    /// identity ends; 10 s by default, a third of what Kubernetes gives a pod to stop.
    pub fn drain_within(mut self, deadline: Duration) -> Self {
        self.limits.drain = deadline;
        self
    }

    /// How long a client may take for its first request and, over HTTP/1.1, for the head of each
    /// request and between two; 30 s by default.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header_timeout = timeout;
        self
    }

    /// How long a connection may stay open with nothing in flight; 120 s by default, and up to an
    /// eighth longer. A response is in flight until its body ends. Over HTTP/1.1 the shorter of this and
    /// [`header_timeout`](Self::header_timeout) holds.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// How many connections may be open, those being drained included; 10 000 by default. At the
    /// limit no further one is accepted until one closes: those that come wait in the queue of the
    /// system.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.max_connections = max.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How old a connection may get, so that clients find new servers; without limit by default. Each
    /// ends up to a tenth earlier, so that not all come back at once.
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.limits.max_age = Some(age);
        self
    }

    /// How many requests an HTTP/2 client may have in flight on one connection; 128 by default.
    pub fn max_concurrent_streams(mut self, max: u32) -> Self {
        self.limits.max_concurrent_streams = max.max(1);
        self
    }

    /// How large the head of a request may be; 16 KiB by default. HTTP/1.1 answers 431 to a larger
    /// one; HTTP/2 answers 431, or closes the connection where the peer goes on.
    pub fn max_header_bytes(mut self, max: u32) -> Self {
        self.limits.max_header_bytes = max.max(1024);
        self
    }
}

impl<S, I: Incoming> fmt::Debug for Serve<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S, B, I> IntoFuture for Serve<S, I>
where
    I: Incoming,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<(), ServeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S, B, I> Serve<S, I>
where
    I: Incoming,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(mut self) -> Result<(), ServeError> {
        let connections = Connections::new(&self.limits);
        // hyper flushes whenever it has found nothing to read.
        self.listener.leave_unflushed();
        let mut place = None;
        loop {
            tokio::select! {
                biased;
                () = &mut self.shutdown => break,
                free = connections.place(), if place.is_none() => place = free,
                // Whoever has finished the handshake is served, with or without a place.
                accepted = self.listener.next(place.is_some()) => {
                    let introductions = introductions::<I>(&self.introduces, &accepted);
                    connections.serve(accepted, introductions, &self.app, place.take());
                }
            }
        }
        connections.stop();
        // Who shakes hands may have sent a request already, and learns here that it is left unprocessed.
        // One who takes long is not worth waiting for.
        let mut begun = self.listener.close();
        let until = Instant::now() + self.limits.drain.min(LEAVE_BEHIND);
        while let Ok(Some(accepted)) = timeout_at(until, begun.next()).await {
            let introductions = introductions::<I>(&self.introduces, &accepted);
            connections.serve(accepted, introductions, &self.app, None);
        }
        connections.ended().await
    }
}

fn introductions<I: Incoming>(
    introduces: &[Introduce<I>],
    (stream, address): &(Stream<I::Io>, I::Address),
) -> Box<[Introduction]> {
    let introductions = introduces.iter();
    introductions.map(|of| of(stream, address)).collect()
}

/// The open connections of a server.
struct Connections {
    limits: Limits,
    places: Arc<Semaphore>,
    is_full: AtomicBool,
    open: TaskTracker,
    stop: CancellationToken,
    cut: Arc<AtomicUsize>,
}

impl Connections {
    fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            places: Arc::new(Semaphore::new(limits.max_connections)),
            is_full: AtomicBool::new(false),
            open: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: Arc::default(),
        }
    }

    /// Waits for a place for one more.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            self.is_full.store(false, Ordering::Relaxed);
            return Some(place);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "spiffe_acceptor", max = self.limits.max_connections, "as many connections as allowed are open: no more are accepted");
        }
        self.places.clone().acquire_owned().await.ok()
    }

    fn serve<IO, A, S, B>(
        &self,
        (stream, address): (Stream<IO>, A),
        introductions: Box<[Introduction]>,
        app: &S,
        place: Option<OwnedSemaphorePermit>,
    ) where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        A: fmt::Debug + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Default + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let ending = stream.ending().clone();
        let connection = serve_connection(
            stream,
            introductions,
            app.clone(),
            &self.limits,
            self.stop.clone(),
        );
        let (stop, cut) = (self.stop.clone(), self.cut.clone());
        self.open.spawn(async move {
            match connection.await {
                Ok(End::Peaceful) => {}
                Ok(End::Cut) => {
                    tracing::debug!(target: "spiffe_acceptor", { peer.address = ?address }, "what was in flight took too long: connection cut");
                    if stop.is_cancelled() {
                        cut.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => {
                    tracing::debug!(target: "spiffe_acceptor", { peer.address = ?address, error }, "connection ended with an error");
                }
            }
            // Who has taken an upgraded connection over and does not look at it keeps its place.
            if !ending.is_gone() {
                tokio::spawn(async move {
                    ending.until_gone().await;
                    drop(place);
                });
            }
        });
    }

    fn stop(&self) {
        self.stop.cancel();
    }

    async fn ended(self) -> Result<(), ServeError> {
        let drain = self.limits.drain;
        self.open.close();
        // Each connection keeps the deadline itself; one that does not is left behind.
        let _ = timeout(drain.saturating_add(LEAVE_BEHIND), self.open.wait()).await;
        match self.cut.load(Ordering::Relaxed) + self.open.len() {
            0 => Ok(()),
            cut => Err(ServeError { cut, after: drain }),
        }
    }
}

type Driven = Pin<Box<dyn Future<Output = Result<End, BoxError>> + Send>>;

/// Each protocol has a future of its own: a connection does not pay for the larger of the two.
fn serve_connection<IO, S, B>(
    mut stream: Stream<IO>,
    introductions: Box<[Introduction]>,
    app: S,
    limits: &Limits,
    stop: CancellationToken,
) -> Driven
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<BoxError>,
{
    // The connection is drained here; the stream's own end is for what leaves it.
    stream.leave_to_driver(limits.drain.saturating_add(LEAVE_BEHIND));
    let life = Life::new(
        stream.connection().clone(),
        stream.ending().clone(),
        stream.trusted_for(),
        limits,
        stop,
    );
    let (peer, ending) = (stream.peer().cloned(), stream.ending().clone());
    let service = Requests::new(app, peer, introductions, life.activity().clone(), ending);
    let is_http2 = stream.is_http2();
    let io = TokioIo::new(stream);
    if is_http2 {
        let connection = Box::pin(limits.http2().serve_connection(io, service));
        Box::pin(async move { life.drive(connection).await })
    } else {
        // The box takes what the handshake has left, before hyper asks for its buffers: they come
        // from memory that nobody has touched, and most of them stays so.
        let place = Box::new_uninit();
        let connection = limits.http1().serve_connection(io, service);
        let connection = Box::into_pin(Box::write(place, connection.with_upgrades()));
        Box::pin(async move { life.drive(connection).await })
    }
}
