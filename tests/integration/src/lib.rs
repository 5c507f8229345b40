//! What the tests share: an agent, a server and callers, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests"
)]

pub mod client;
pub mod figures;
pub mod frames;
pub mod grpc;
pub mod handed;
pub mod hostile;
pub mod place;
pub mod scripted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use spiffe_acceptor::{Acceptor, Listener, ServeError, serve};
use spiffe_authz::axum::{GuardedService, Router, get};
use spiffe_connector::{CallError, Connector, HttpClient};
use spiffe_devkit::{Agent, AgentBuilder, Entry, TrustDomainSpec};
use spiffe_peer::PeerIdentity;
use spiffe_source::{Snapshot, Source};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The server's ID.
pub const SERVER: &str = "spiffe://example.org/service/orders";
/// A caller with a rule.
pub const ALLOWED: &str = "spiffe://example.org/service/payment-processor";
/// A caller without one.
pub const OTHER: &str = "spiffe://example.org/service/reporting";
/// A caller of another trust domain.
pub const FOREIGN: &str = "spiffe://partner.test/service/payment-processor";

/// An agent with the sockets `server`, `allowed`, `other`, `foreign` and `stranger`; the last has no
/// entry. `partner.test` and `example.org` have each other's bundles.
pub fn agent() -> AgentBuilder {
    let entry = |id: &str, socket: &str| Entry::new(id).unwrap().on(socket);
    Agent::builder()
        .trust_domain(
            TrustDomainSpec::new("example.org")
                .unwrap()
                .federates_with("partner.test"),
        )
        .trust_domain(
            TrustDomainSpec::new("partner.test")
                .unwrap()
                .federates_with("example.org"),
        )
        .unix("server")
        .unix("allowed")
        .unix("other")
        .unix("foreign")
        .unix("stranger")
        .entry(entry(SERVER, "server").dns("localhost"))
        .entry(entry(ALLOWED, "allowed"))
        .entry(entry(OTHER, "other"))
        .entry(entry(FOREIGN, "foreign"))
}

/// The source of one of the agent's sockets.
pub async fn source(agent: &Agent, socket: &str, trusted: &[&str]) -> Source {
    let mut source =
        Source::workload_api().endpoint(agent.endpoint(socket).expect("a listener of that name"));
    for domain in trusted {
        source = source.trust(*domain);
    }
    with_tokens(source.connect().await.unwrap()).await
}

/// An agent with the sockets `server` and `allowed`, whose SVIDs for callers live for so long.
pub fn agent_of_brief_callers(ttl: std::time::Duration) -> AgentBuilder {
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("server")
        .unix("allowed")
        .entry(Entry::new(SERVER).unwrap().on("server").dns("localhost"))
        .entry(Entry::new(ALLOWED).unwrap().on("allowed").ttl(ttl))
}

/// A listener with the identity of the server, and its port.
pub async fn listen(agent: &Agent) -> (Listener, u16) {
    let source = source(agent, "server", &[]).await;
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Waits for the JWT bundles, which come on a stream of their own and make a revision of their own.
pub async fn with_tokens(source: Source) -> Source {
    settled(&source, |snapshot| snapshot.jwt_bundles().len() > 0).await;
    source
}

/// Waits until a source says what is waited for.
pub async fn settled(source: &Source, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut source = source.clone();
    let settles = async {
        loop {
            let snapshot = source.snapshot();
            if what(&snapshot) {
                return snapshot;
            }
            source.changed().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), settles)
        .await
        .expect("the source never says what is waited for")
}

/// A server that tells callers who they are.
pub struct Server {
    /// Its port on the loopback address.
    pub port: u16,
    /// Its source.
    pub source: Source,
    handled: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Starts a server that trusts `trusted` beside its own trust domain.
    pub async fn start(agent: &Agent, trusted: &[&str]) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let app = app(&handled);
        let source = source(agent, "server", trusted).await;
        let listener = Acceptor::builder(source.clone())
            .bind("127.0.0.1:0")
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Self {
            port,
            source,
            handled,
            stop,
            task: tokio::spawn(server.into_future()),
        }
    }

    /// How many requests have reached a handler.
    #[must_use]
    pub fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }

    /// Drains and ends it.
    ///
    /// # Errors
    ///
    /// Where connections had to be cut.
    pub async fn stop(self) -> Result<(), ServeError> {
        let _ = self.stop.send(());
        self.task.await.unwrap()
    }
}

/// `GET /` for the allowed caller, `GET /anyone` for whoever has an SVID,
/// and `GET /headers`, which answers the names of the headers that it was given.
fn app(handled: &Arc<AtomicUsize>) -> GuardedService {
    let count = |handled: &Arc<AtomicUsize>| {
        let handled = handled.clone();
        move || {
            handled.fetch_add(1, Ordering::SeqCst);
        }
    };
    let (counted, also_counted, counted_too) = (count(handled), count(handled), count(handled));
    let whoami = async move |peer: PeerIdentity| {
        counted();
        peer.to_string()
    };
    let anyone = async move |peer: PeerIdentity| {
        also_counted();
        peer.to_string()
    };
    let headers = async move |headers: HeaderMap| {
        counted_too();
        headers
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    Router::new()
        .route("/", get(whoami).allow(ALLOWED))
        .route(
            "/anyone",
            get(anyone).authenticated("a test asks who it is"),
        )
        .route(
            "/headers",
            get(headers).authenticated("a test asks what arrives"),
        )
        .build()
        .unwrap()
}

/// A client of [`Server`].
pub struct Caller {
    /// Its source.
    pub source: Source,
    /// Makes the connections.
    pub connector: Connector,
    client: HttpClient<Full<Bytes>>,
    port: u16,
}

impl Caller {
    /// A caller with the identity of a socket, which expects the server.
    pub async fn new(agent: &Agent, socket: &str, trusted: &[&str], server: &Server) -> Self {
        let source = source(agent, socket, trusted).await;
        let connector = Connector::new(source.clone(), SERVER).unwrap();
        Self {
            source,
            client: connector.http_client(),
            connector,
            port: server.port,
        }
    }

    /// Shakes hands anew with the next request.
    pub fn forget_connections(&mut self) {
        self.client = self.connector.http_client();
    }

    /// Sends a request to a path.
    pub async fn send(
        &self,
        request: http::request::Builder,
        path: &str,
    ) -> Result<Response<Bytes>, CallError> {
        let request = request
            .uri(format!("https://127.0.0.1:{}{path}", self.port))
            .body(Full::default())
            .unwrap();
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(
            parts,
            body.collect().await.unwrap().to_bytes(),
        ))
    }

    /// `GET` of a path: status and body.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, String), CallError> {
        let response = self.send(Request::builder(), path).await?;
        Ok((
            response.status(),
            String::from_utf8(response.into_body().to_vec()).unwrap(),
        ))
    }
}

/// The programs in the README compile.
#[doc = include_str!("../../../README.md")]
#[cfg(doctest)]
pub struct Readme;
