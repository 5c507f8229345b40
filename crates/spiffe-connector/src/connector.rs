use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use spiffe_peer::{Connection, PeerIdentity};
use spiffe_source::Source;
use spiffe_tls::rustls::pki_types::ServerName;
use spiffe_tls::{ClientTls, ExpectedServer, InvalidExpectation};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::error::{ConnectError, ConnectFailure, ConnectorError, ConnectorFailure, Stage};
use crate::stream::Stream;

const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_WORD: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const HTTPS_PORT: u16 = 443;

/// Opens connections to one expected server: a Tower service from a URI to a stream, always TLS.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_connector::Connector;
///
/// let connector = Connector::new(source.clone(), "spiffe://example.org/service/orders")?;
/// let client = connector.http_client::<http_body_util::Empty<hyper::body::Bytes>>();
/// # let _ = client;
///
/// assert!(Connector::new(source, "orders.internal").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    tls: ClientTls,
    dial_timeout: Duration,
    handshake_timeout: Duration,
}

impl Connector {
    /// A connector with the identity and the trust of `source`, to the server that is expected: a
    /// SPIFFE ID, an ID pattern, or an [`ExpectedServer`]. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ConnectorError`] where the expectation is none, or the crypto provider cannot do what is
    /// needed.
    pub fn new<E>(source: Source, expected: E) -> Result<Self, ConnectorError>
    where
        E: TryInto<ExpectedServer>,
        E::Error: Into<InvalidExpectation>,
    {
        let expected = expected
            .try_into()
            .map_err(|error| ConnectorFailure::Expectation(error.into()))?;
        let tls = ClientTls::new(source, expected).map_err(ConnectorFailure::Tls)?;
        Ok(Self {
            tls,
            dial_timeout: DIAL_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        })
    }

    /// How long the TCP connection may take, name look-up included; 5 s by default.
    #[must_use]
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial_timeout = timeout;
        self
    }

    /// How long the TLS handshake may take; 5 s by default.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// An HTTP client on this connector: HTTP/2 where the server speaks it, otherwise HTTP/1.1. The
    /// extensions of a response hold the server's [`PeerIdentity`].
    #[must_use]
    pub fn http_client<B>(&self) -> Client<Self, B>
    where
        B: http_body::Body + Send,
        B::Data: Send,
    {
        Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(self.clone())
    }

    /// Connects to the host and port of `uri`, and shakes hands with the expected server. One
    /// revision of the source holds for the whole handshake.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]. Over HTTP/2 it also tells that the server has refused this client; over
    /// HTTP/1.1 that is an error of the first request. [`Failure`](crate::Failure) explains both.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        // Not the authority as it stands: it may hold a password.
        let port = uri.port_u16().unwrap_or(HTTPS_PORT);
        let server = format!("{}:{port}", uri.host().unwrap_or_default());
        let failed = |failure: ConnectFailure| ConnectError::new(server.clone(), failure);
        let host = uri.host().ok_or_else(|| failed(ConnectFailure::NoHost))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let revision = self
            .tls
            .current()
            .ok_or_else(|| failed(ConnectFailure::NoIdentity))?;

        let dial = TcpStream::connect((host, port));
        let tcp = match timeout(self.dial_timeout, dial).await {
            Ok(dialled) => dialled.map_err(|error| failed(ConnectFailure::Dial(error)))?,
            Err(_) => {
                return Err(failed(ConnectFailure::Timeout(
                    Stage::Dial,
                    self.dial_timeout,
                )));
            }
        };
        // Requests are small and complete: waiting to fill a segment only delays them.
        let _ = tcp.set_nodelay(true);
        // The name is a hint for routers on the way. Who the server is, its SVID says.
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            Err(_) => tcp
                .peer_addr()
                .map_err(|error| failed(ConnectFailure::Dial(error)))?
                .ip()
                .into(),
        };
        let handshake = TlsConnector::from(revision.config().clone()).connect(name, tcp);
        let mut tls = match timeout(self.handshake_timeout, handshake).await {
            Ok(finished) => finished.map_err(|error| failed(ConnectFailure::Handshake(error)))?,
            Err(_) => {
                return Err(failed(ConnectFailure::Timeout(
                    Stage::Handshake,
                    self.handshake_timeout,
                )));
            }
        };
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            // In TLS 1.3 the server judges this client after the client's last message. Its first
            // word over HTTP/2 is unasked, so waiting for it tells acceptance from refusal before
            // a request is sent into the void. A server that waits for ours is not held up long.
            if let Ok(Err(error)) = timeout(FIRST_WORD, tls.fill_buf()).await {
                return Err(failed(ConnectFailure::Handshake(error)));
            }
        }
        // Trust that went while the server took its time is gone: the latest revision has the last word.
        let latest = self
            .tls
            .current()
            .ok_or_else(|| failed(ConnectFailure::NoIdentity))?;
        let chain = latest
            .identify(tls.get_ref().1.peer_certificates(), SystemTime::now())
            .map_err(|error| failed(ConnectFailure::Peer(error)))?;
        let connection = Connection::new();
        let peer = PeerIdentity::assume_verified(chain.peer().clone(), connection.clone());
        let watch = self.tls.watch(chain, connection.clone());
        Ok(Stream::new(tls, peer, &connection, watch))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await })
    }
}
