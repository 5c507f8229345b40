use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Uri;
use http_body::Body;
use hyper_util::client::legacy::connect::{Connected, Connection as Pooled};
use spiffe_peer::Connection;
use spiffe_source::Source;
use spiffe_tls::WebClientTls;
use spiffe_tls::rustls::RootCertStore;
use tower_service::Service;

use crate::connector::Connector;
use crate::dial::{Target, shake_hands};
use crate::error::{ConnectError, ConnectFailure, ConnectorError, ConnectorFailure};
use crate::guarded::{Guarded, reads_and_writes};
use crate::http_client::HttpClient;
use crate::life::{Life, Retirement};
use crate::settings::{Settings, setters};

/// Opens connections to servers of the web: they prove the name that is dialled to an authority of
/// the web, and are nobody in SPIFFE. The own SVID is shown to those who ask for a certificate.
///
/// No response has a [`PeerIdentity`](crate::PeerIdentity): a DNS name is never one. A connection ends
/// when the own identity is withdrawn, and is retired like any other.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use spiffe_connector::Connector;
///
/// let client = Connector::web(source)?.http_client::<Empty<Bytes>>();
/// let response = client.get("https://sts.example.com/".parse()?).await?;
/// # drop(response);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WebConnector {
    tls: WebClientTls,
    settings: Settings,
}

impl Connector {
    /// A connector to servers of the web, by the roots that Mozilla trusted when this crate's
    /// dependencies were last updated, with the identity of `source` as client certificate.
    ///
    /// # Errors
    ///
    /// [`ConnectorError`] where the crypto provider cannot do what is needed.
    pub fn web(source: Source) -> Result<WebConnector, ConnectorError> {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::web_with_roots(source, roots)
    }

    /// The same by roots of one's own: those of a company, say.
    ///
    /// # Errors
    ///
    /// [`ConnectorError`] where there is no root, or the crypto provider cannot do what is needed.
    pub fn web_with_roots(
        source: Source,
        roots: RootCertStore,
    ) -> Result<WebConnector, ConnectorError> {
        let tls = WebClientTls::new(source, Arc::new(roots)).map_err(ConnectorFailure::Tls)?;
        Ok(WebConnector {
            tls,
            settings: Settings::default(),
        })
    }
}

impl WebConnector {
    setters!();

    /// An HTTP client on this connector: HTTP/2 where the server speaks it, otherwise HTTP/1.1.
    #[must_use]
    pub fn http_client<B>(&self) -> HttpClient<B, Self>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        HttpClient::new(self.clone(), &self.settings)
    }

    /// Connects to the host and port of `uri`, and has the server prove the host's name.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(&self, uri: &Uri) -> Result<WebStream, ConnectError> {
        let target = Target::of(uri)?;
        let connected = self.connect_to(&target).await;
        connected.map_err(|failure| target.failed(failure))
    }

    async fn connect_to(&self, target: &Target) -> Result<WebStream, ConnectFailure> {
        let name = target.name().ok_or(ConnectFailure::NoHost)?;
        let revision = self.tls.current().ok_or(ConnectFailure::NoIdentity)?;
        let tcp = target.dial(&self.settings).await?;
        let tls = shake_hands(revision.config(), name, tcp, None, &self.settings).await?;
        let connection = Connection::new();
        let life = Life::new();
        let replaced = {
            let (tls, own) = (self.tls.clone(), revision.own_fingerprint());
            async move { tls.replaced(own).await }
        };
        let retirement = Retirement::plan(
            life.clone(),
            connection.clone(),
            &self.settings,
            [revision.own_end()],
            replaced,
        );
        // Withdraws at once where the identity went while the server took its time.
        let watch = self.tls.watch(connection.clone());
        Ok(WebStream {
            guarded: Guarded::new(tls, &connection, None, life, retirement, watch),
        })
    }
}

impl Service<Uri> for WebConnector {
    type Response = WebStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<WebStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await })
    }
}

/// A connection to a server of the web. It ends when the own identity is withdrawn.
///
/// ```no_run
/// # async fn example(connector: spiffe_connector::WebConnector) -> Result<(), Box<dyn std::error::Error>> {
/// let stream: spiffe_connector::WebStream = connector.connect(&"https://sts.example.com/".parse()?).await?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebStream {
    guarded: Guarded,
}

impl Pooled for WebStream {
    fn connected(&self) -> Connected {
        self.guarded.connected()
    }
}

reads_and_writes!(WebStream);
