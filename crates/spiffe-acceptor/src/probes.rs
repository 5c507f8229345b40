use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use spiffe_source::Source;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{AbortHandle, JoinSet};

use crate::error::{AcceptorError, AcceptorFailure};
use crate::faults::Faults;

/// A probe asks once; what collects metrics does so from one or two places.
const MAX_CONNECTIONS: usize = 32;
/// A kubelet gives a probe one second by default, so whoever takes longer is none.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte of a connection to its last: many metrics over a slow line.
const CONNECTION: Duration = Duration::from_secs(10);
/// The least that hyper takes.
const MAX_BUFFER: usize = 8 * 1024;
const MAX_HEADERS: usize = 32;
/// How long answers may take that are under way when the listener ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The text format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/live`, `/ready` and, if wanted, `/metrics` over plain HTTP/1.1: who asks has no SVID.
///
/// It is for the probes of an orchestrator and for a collector of metrics, and never serves the
/// application. [`spiffe_source::health`] says what the first two answer; they tell neither
/// identities nor errors. Metrics are shown to whoever reaches the address, so keep it on the loopback
/// address or inside the cluster. There are GET and HEAD, every connection answers one request, and of
/// more than 32 the oldest gives way, so that nobody can keep a probe from its answer by holding on.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), spiffe_acceptor::AcceptorError> {
/// use spiffe_acceptor::Probes;
///
/// let probes = Probes::bind("127.0.0.1:9090").await?;
/// tokio::spawn(probes.metrics(|| "orders_total 3\n".to_owned()).run(source));
/// # Ok(())
/// # }
/// ```
pub struct Probes {
    tcp: TcpListener,
    metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Probes {
    /// Listens on a TCP address. Nothing is answered before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`AcceptorError`] where the address cannot be bound.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(address: impl ToSocketAddrs + fmt::Debug) -> Result<Self, AcceptorError> {
        let shown = format!("{address:?}");
        match TcpListener::bind(address).await {
            Ok(tcp) => Ok(Self { tcp, metrics: None }),
            Err(error) => Err(AcceptorFailure::Bind {
                address: shown,
                error,
            }
            .into()),
        }
    }

    /// Answers `/metrics` with what this gives, in the text format of Prometheus. It is called for
    /// each request, and must not block.
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Answers what is asked about `source`, until the future is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and its connections.
    pub async fn run(self, source: Source) {
        self.run_until(source, pending()).await;
    }

    /// Answers what is asked about `source` until `stop` resolves; answers that are under way then have
    /// a second more. Let it run until the server has drained, or the orchestrator takes the process
    /// for dead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and its connections.
    pub async fn run_until(self, source: Source, stop: impl Future<Output = ()>) {
        let app = self.router(source);
        let mut stop = std::pin::pin!(stop);
        let (mut open, mut faults) = (Open::default(), Faults::default());
        loop {
            let is_pausing = faults.is_pausing();
            tokio::select! {
                () = faults.pause(), if is_pausing => {}
                accepted = self.tcp.accept(), if !is_pausing => {
                    if let Some((tcp, _)) = faults.sort_out(accepted) {
                        open.answer(tcp, &app);
                    }
                }
                Some(_) = open.connections.join_next() => {}
                () = &mut stop => break,
            }
        }
        drop(self.tcp);
        let ended = async { while open.connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, ended).await;
    }

    fn router(&self, source: Source) -> Router {
        let health = spiffe_source::health(source);
        match self.metrics.clone() {
            Some(render) => health.route(
                "/metrics",
                get(async move || ([(CONTENT_TYPE, METRICS_TYPE)], render())),
            ),
            None => health,
        }
    }
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes")
            .field("tcp", &self.tcp)
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}

#[derive(Default)]
struct Open {
    connections: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Open {
    fn answer(&mut self, tcp: TcpStream, app: &Router) {
        self.oldest_first
            .retain(|connection| !connection.is_finished());
        while self.oldest_first.len() >= MAX_CONNECTIONS {
            if let Some(oldest) = self.oldest_first.pop_front() {
                oldest.abort();
            }
        }
        let app = TowerToHyperService::new(app.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_BUFFER)
            .max_headers(MAX_HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(tcp), app);
        self.oldest_first
            .push_back(self.connections.spawn(async move {
                let _ = tokio::time::timeout(CONNECTION, connection).await;
            }));
    }
}
