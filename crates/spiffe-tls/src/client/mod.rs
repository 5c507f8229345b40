//! The client side.

mod following;
mod revision;
mod verifier;
mod web;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use spiffe_peer::{Connection, Fingerprint};
use spiffe_source::Source;
use spiffe_verify::VerifiedChain;

use crate::error::TlsError;
use crate::expected::ExpectedServer;
use crate::live::Live;
use crate::trust::TrustWatch;
use following::Following;
pub use revision::ClientRevision;
pub use web::{WebClientRevision, WebClientTls};

/// The client side of TLS, live: presents the own SVID, and takes no server but the expected one.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = spiffe_tls::ClientTls::new(source, "spiffe://example.org/service/orders".parse()?)?;
/// assert!(tls.current().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<Live<ClientRevision>>, Arc<CryptoProvider>);

impl ClientTls {
    /// With every setting at its default; see [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`ClientTlsBuilder::build`].
    pub fn new(source: Source, expected: ExpectedServer) -> Result<Self, TlsError> {
        Self::builder(source, expected).build()
    }

    /// The settings of a client with the identity and the trust of `source`.
    pub fn builder(source: Source, expected: ExpectedServer) -> ClientTlsBuilder {
        ClientTlsBuilder {
            source,
            settings: Settings {
                expected,
                resumption: true,
                tls12: false,
            },
        }
    }

    /// The revision for a handshake that begins now; none while there is no identity. Take it once
    /// for a handshake and keep it until its end.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ClientRevision>> {
        self.0.current()
    }

    /// Waits until servers are shown another SVID than this one, or none; at once if it is so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same.
    pub async fn replaced(&self, own: Fingerprint) {
        let shows_another = |revision: &ClientRevision| revision.own_fingerprint() != own;
        self.0.until(shows_another).await;
    }

    /// A configuration of one's own, for a client that takes one once and for all. It follows the
    /// source: each handshake presents the SVID and trusts the servers of that moment.
    ///
    /// It does not pin a revision, so that a handshake may verify the server under one and present
    /// the SVID of the next. It resumes nothing, and nobody [identifies](ClientRevision::identify)
    /// or [watches](Self::watch) the server after the handshake: what can take a
    /// [revision's](Self::current) configuration for each connection should do so.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn following_config(&self) -> Result<ClientConfig, TlsError> {
        Following::config(self.clone(), None)
    }

    /// The same where the server has to meet an expectation that depends on the host that is
    /// dialled. A host for which `expected` has none is refused in the handshake.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn following_config_by_host(
        &self,
        expected: impl Fn(&str) -> Option<ExpectedServer> + Send + Sync + 'static,
    ) -> Result<ClientConfig, TlsError> {
        Following::config(self.clone(), Some(Arc::new(expected)))
    }

    /// Watches over the trust in the peer of a finished handshake; see [`TrustWatch`].
    pub fn watch(&self, chain: Arc<VerifiedChain>, connection: Connection) -> TrustWatch {
        TrustWatch::start(&self.0, Some(chain), connection)
    }
}

/// The settings of a [`ClientTls`].
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_tls::ClientTls;
///
/// let orders = "spiffe://example.org/service/orders".parse()?;
/// let tls = ClientTls::builder(source, orders).resumption(false).build()?;
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientTlsBuilder {
    source: Source,
    settings: Settings,
}

#[derive(Debug)]
pub(crate) struct Settings {
    expected: ExpectedServer,
    resumption: bool,
    tls12: bool,
}

impl ClientTlsBuilder {
    /// Whether sessions are resumed; on by default. The server of a resumed session is held against
    /// the clock, the deny-list and the expectation like a new one, and sessions end with their
    /// revision, so that one is resumed only where a full handshake would succeed.
    pub fn resumption(mut self, on: bool) -> Self {
        self.settings.resumption = on;
        self
    }

    /// Speaks TLS 1.2 too, with servers that know no better. The certificates of both ends then pass
    /// in the clear.
    #[cfg(feature = "tls12")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls12")))]
    pub fn tls12(mut self) -> Self {
        self.settings.tls12 = true;
        self
    }

    /// Builds the configuration of the current snapshot, and from then on one for each new revision.
    /// Runs on the current tokio runtime until the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let settings = self.settings;
        let build =
            move |source: &_, snapshot: &_| ClientRevision::build(source, snapshot, &settings);
        let provider = self.source.provider().clone();
        Ok(ClientTls(Live::follow(self.source, build)?, provider))
    }
}
