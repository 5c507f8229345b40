use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::Uri;
use http_body::Body;
use spiffe_peer::{Connection, PeerIdentity};
use spiffe_source::Source;
use spiffe_tls::{ClientRevision, ClientTls, ExpectedServer, InvalidExpectation};
use tower_service::Service;

use crate::dial::{Protocol, Target, name_or_address, shake_hands};
use crate::error::{ConnectError, ConnectFailure, ConnectorError, ConnectorFailure};
use crate::guarded::Guarded;
use crate::http_client::HttpClient;
use crate::life::{Life, Retirement};
use crate::servers::ServersByAuthority;
use crate::settings::{Settings, setters};
use crate::stream::Stream;

/// Opens connections to one expected server, or to those of a map: a Tower service from a URI to a
/// stream, always TLS.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use spiffe_connector::{Connector, ExpectedServer};
///
/// let connector = Connector::new(source.clone(), "spiffe://example.org/service/orders")?
///     .dial_timeout(Duration::from_secs(2))
///     .retire_after(Duration::from_secs(30));
/// let client = connector.http_client::<http_body_util::Empty<hyper::body::Bytes>>();
/// # let _ = client;
///
/// // A whole trust domain has to be named.
/// let anybody_of_ours = Connector::new(source.clone(), ExpectedServer::member_of("example.org")?)?;
/// # let _ = anybody_of_ours;
/// assert!(Connector::new(source, "orders.internal").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    tls: ClientTls,
    servers: Option<Arc<ServersByAuthority>>,
    only: Option<Protocol>,
    settings: Settings,
}

impl Connector {
    /// A connector with the identity and the trust of `source`, to the server that is expected: a
    /// SPIFFE ID, an ID pattern, an `IdMatcher`, or an [`ExpectedServer`]. Needs a tokio runtime.
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
        Self::with(source, expected, None)
    }

    /// A connector to several servers: who is expected depends on what is dialled. What is not in the
    /// map is not dialled.
    ///
    /// ```no_run
    /// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
    /// use spiffe_connector::{Connector, ServersByAuthority};
    ///
    /// let connector = Connector::by_authority(source, ServersByAuthority::new([
    ///     ("orders.internal:8443", "spiffe://example.org/service/orders"),
    ///     ("stock.internal:8443", "spiffe://example.org/service/stock"),
    /// ])?)?;
    /// let error = connector.connect(&"https://elsewhere/".parse()?).await.unwrap_err();
    /// assert!(error.is_nobody_expected());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectorError`] where the crypto provider cannot do what is needed.
    pub fn by_authority(
        source: Source,
        servers: ServersByAuthority,
    ) -> Result<Self, ConnectorError> {
        Self::with(source, servers.all(), Some(Arc::new(servers)))
    }

    fn with(
        source: Source,
        expected: ExpectedServer,
        servers: Option<Arc<ServersByAuthority>>,
    ) -> Result<Self, ConnectorError> {
        let tls = ClientTls::new(source, expected).map_err(ConnectorFailure::Tls)?;
        Ok(Self {
            tls,
            servers,
            only: None,
            settings: Settings::default(),
        })
    }

    setters!();

    /// An HTTP client on this connector: HTTP/2 where the server speaks it, otherwise HTTP/1.1. The
    /// extensions of a response hold the server's [`PeerIdentity`].
    #[must_use]
    pub fn http_client<B>(&self) -> HttpClient<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        HttpClient::new(self.clone(), &self.settings)
    }

    #[cfg(any(feature = "tonic", feature = "reqwest"))]
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn tls(&self) -> &ClientTls {
        &self.tls
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn servers(&self) -> Option<&ServersByAuthority> {
        self.servers.as_deref()
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn only(&self) -> Option<Protocol> {
        self.only
    }

    /// Offers HTTP/1.1 alone in the handshake.
    ///
    /// ```no_run
    /// # fn example(source: spiffe_source::Source) -> Result<(), spiffe_connector::ConnectorError> {
    /// use spiffe_connector::Connector;
    ///
    /// let old = Connector::new(source, "spiffe://example.org/service/legacy")?.http1_only();
    /// # let _ = old;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn http1_only(mut self) -> Self {
        self.only = Some(Protocol::Http1);
        self
    }

    /// Offers HTTP/2 alone in the handshake: a server that does not speak it gets no request.
    #[must_use]
    pub fn http2_only(mut self) -> Self {
        self.only = Some(Protocol::Http2);
        self
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
        let target = Target::of(uri)?;
        let connected = self.connect_to(&target).await;
        connected.map_err(|failure| target.failed(failure))
    }

    async fn connect_to(&self, target: &Target) -> Result<Stream, ConnectFailure> {
        let expected = match &self.servers {
            Some(servers) => Some(servers.at(target).ok_or(ConnectFailure::NobodyExpected)?),
            None => None,
        };
        let revision = self.revision(expected)?;
        let tcp = target.dial(&self.settings).await?;
        let name = name_or_address(target, &tcp)?;
        let config = revision.config();
        let tls = shake_hands(config, name, tcp, self.only, &self.settings).await?;
        // Trust that went while the server took its time is gone: the latest revision has the last word.
        let chain = self
            .revision(expected)?
            .identify(tls.get_ref().1.peer_certificates(), SystemTime::now())
            .map_err(ConnectFailure::Peer)?;
        let connection = Connection::new();
        let peer = PeerIdentity::assume_verified(chain.peer().clone(), connection.clone());
        let life = Life::new();
        let replaced = {
            let (tls, own) = (self.tls.clone(), revision.own_fingerprint());
            async move { tls.replaced(own).await }
        };
        let retirement = Retirement::plan(
            life.clone(),
            connection.clone(),
            &self.settings,
            [revision.own_end(), chain.not_after()],
            replaced,
        );
        let expiry = Some(peer.expires_in());
        let watch = self.tls.watch(chain, connection.clone());
        let guarded = Guarded::new(tls, &connection, expiry, life, retirement, watch);
        Ok(Stream::new(guarded, peer))
    }

    /// The revision that holds now, for the server that is expected where there are several.
    fn revision(
        &self,
        expected: Option<&ExpectedServer>,
    ) -> Result<Arc<ClientRevision>, ConnectFailure> {
        let revision = self.tls.current().ok_or(ConnectFailure::NoIdentity)?;
        Ok(match expected {
            Some(expected) => revision.narrowed_to(expected),
            None => revision,
        })
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
