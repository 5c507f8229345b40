use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use spiffe_peer::Connection;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::error::ServeError;
use crate::listener::Listener;
use crate::stream::Stream;
use crate::with_peer::WithPeer;

type BoxError = Box<dyn StdError + Send + Sync>;

const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(10);
/// What a task may take beyond the deadline that it keeps itself.
const LEAVE_BEHIND: Duration = Duration::from_secs(1);
const LONGEST_LEAD: Duration = Duration::from_secs(30);
/// How often a quiet HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Serves a Tower service on a listener: HTTP/1.1 and HTTP/2, as the handshake has settled.
///
/// Every request carries the [`PeerIdentity`](crate::PeerIdentity) of its connection. A connection closes shortly before
/// the identity of either end does, when the peer is no longer trusted, or when somebody calls
/// [`PeerIdentity::close`](crate::PeerIdentity::close); what is in flight then has the time of [`Serve::drain_within`] to finish.
/// Upgraded connections (WebSocket) are not served. Awaiting the answer runs the server.
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
pub fn serve<S>(listener: Listener, app: S) -> Serve<S> {
    Serve {
        listener,
        app,
        shutdown: Box::pin(std::future::pending()),
        drain: DRAIN,
        header_timeout: HEADER_TIMEOUT,
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
pub struct Serve<S> {
    listener: Listener,
    app: S,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    drain: Duration,
    header_timeout: Duration,
}

impl<S> Serve<S> {
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
    /// identity ends; 10 s by default.
    pub fn drain_within(mut self, deadline: Duration) -> Self {
        self.drain = deadline;
        self
    }

    /// How long a client may take for its first request and, over HTTP/1.1, for the head of each
    /// request and between two; 30 s by default.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

impl<S, B> IntoFuture for Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
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

impl<S, B> Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(mut self) -> Result<(), ServeError> {
        let connections = TaskTracker::new();
        let stop = CancellationToken::new();
        let cut = Arc::new(AtomicUsize::new(0));
        let serve = |(stream, address), app: &S, drain, header_timeout| {
            let connection =
                serve_connection(stream, app.clone(), drain, header_timeout, stop.clone());
            let (stop, cut) = (stop.clone(), cut.clone());
            connections.spawn(async move {
                match connection.await {
                    Ok(End::Peaceful) => {}
                    Ok(End::Cut) => {
                        tracing::debug!(target: "spiffe_acceptor", { peer.address = %address }, "what was in flight took too long: connection cut");
                        if stop.is_cancelled() {
                            cut.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(target: "spiffe_acceptor", { peer.address = %address, error }, "connection ended with an error");
                    }
                }
            });
        };
        loop {
            tokio::select! {
                accepted = self.listener.accept() => serve(accepted, &self.app, self.drain, self.header_timeout),
                () = &mut self.shutdown => break,
            }
        }
        // Who has finished the handshake may have sent a request already.
        while let Some(accepted) = self.listener.finished() {
            serve(accepted, &self.app, self.drain, self.header_timeout);
        }
        drop(self.listener);
        stop.cancel();
        connections.close();
        // Each connection keeps the deadline itself; one that does not is left behind.
        let _ =
            tokio::time::timeout(self.drain.saturating_add(LEAVE_BEHIND), connections.wait()).await;
        match cut.load(Ordering::Relaxed) + connections.len() {
            0 => Ok(()),
            cut => Err(ServeError {
                cut,
                after: self.drain,
            }),
        }
    }
}

/// How a connection ended.
enum End {
    Peaceful,
    Cut,
}

async fn serve_connection<S, B>(
    stream: Stream<TcpStream>,
    app: S,
    drain: Duration,
    header_timeout: Duration,
    stop: CancellationToken,
) -> Result<End, BoxError>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<BoxError>,
{
    let life = Life {
        retire_after: retirement(stream.trusted_for()),
        connection: stream.connection().clone(),
        begun: Arc::default(),
        first_request: header_timeout,
        stop,
        drain,
    };
    let app = Noting {
        inner: WithPeer::new(app, stream.peer().clone()),
        begun: life.begun.clone(),
    };
    let service = TowerToHyperService::new(app);
    if stream.is_http2() {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER_BYTES)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        life.drive(builder.serve_connection(TokioIo::new(stream), service))
            .await
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout);
        life.drive(builder.serve_connection(TokioIo::new(stream), service))
            .await
    }
}

/// When to ask a peer to come back on a new connection, so that no request meets the end of either
/// identity: after nine tenths of what is left, and at the latest half a minute before.
fn retirement(expires_in: Duration) -> Duration {
    expires_in.saturating_sub((expires_in / 10).min(LONGEST_LEAD))
}

/// What ends a connection before its peer closes it.
struct Life {
    retire_after: Duration,
    connection: Connection,
    begun: Arc<AtomicBool>,
    first_request: Duration,
    stop: CancellationToken,
    drain: Duration,
}

impl Life {
    async fn drive<C>(self, connection: C) -> Result<End, BoxError>
    where
        C: GracefulConnection,
        C::Error: Into<BoxError>,
    {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // What has arrived is read before an end is looked for.
            biased;
            finished = connection.as_mut() => return ended(finished),
            () = self.stop.cancelled() => {}
            () = self.connection.close_requested() => {}
            () = tokio::time::sleep(self.retire_after) => {}
            () = self.idle_from_the_start() => {}
        }
        connection.as_mut().graceful_shutdown();
        // Nothing is in flight where nothing has begun; hyper would wait for the peer's preface.
        let first = self.drain.min(LEAVE_BEHIND);
        match tokio::time::timeout(first, connection.as_mut()).await {
            Ok(finished) => return ended(finished),
            Err(_) if !self.begun.load(Ordering::Relaxed) => return Ok(End::Peaceful),
            Err(_) => {}
        }
        match tokio::time::timeout(self.drain - first, connection).await {
            Ok(finished) => ended(finished),
            Err(_) => Ok(End::Cut),
        }
    }
}

impl Life {
    /// Resolves when no request has come in the time that there is for the first one.
    async fn idle_from_the_start(&self) {
        tokio::time::sleep(self.first_request).await;
        if self.begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

/// Notes that there has been a request.
#[derive(Clone)]
struct Noting<S> {
    inner: S,
    begun: Arc<AtomicBool>,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        self.begun.store(true, Ordering::Relaxed);
        self.inner.call(request)
    }
}

fn ended<E: Into<BoxError>>(finished: Result<(), E>) -> Result<End, BoxError> {
    finished.map(|()| End::Peaceful).map_err(Into::into)
}
