use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use spiffe_peer::{Connection, Fingerprint};
use spiffe_source::Source;
use spiffe_verify::VerifiedChain;
use std::time::SystemTime;

use crate::config::{ALPN, own_certificate, versions};
use crate::error::TlsError;
use crate::live::{Live, Revision};
use crate::trust::TrustWatch;

/// The client side of TLS towards servers of the web: they prove a name to authorities of the web,
/// and have no SPIFFE identity. The own SVID is shown to those who ask for a certificate.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source, roots: rustls::RootCertStore) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = spiffe_tls::WebClientTls::new(source, roots)?;
/// assert!(tls.current().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WebClientTls(Arc<Live<WebClientRevision>>);

/// One revision of a [`WebClientTls`].
///
/// ```
/// # use std::sync::Arc;
/// fn calling(revision: &spiffe_tls::WebClientRevision) -> Arc<rustls::ClientConfig> {
///     revision.config().clone()
/// }
/// ```
#[derive(Debug)]
pub struct WebClientRevision {
    config: Arc<ClientConfig>,
    own_end: SystemTime,
    own_fingerprint: Fingerprint,
}

impl WebClientTls {
    /// With the identity of `source`, and these authorities of the web. Runs on the current tokio
    /// runtime until the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where there is no root, or the provider cannot do what is needed.
    pub fn new(source: Source, roots: impl Into<Arc<RootCertStore>>) -> Result<Self, TlsError> {
        let provider = source.provider().clone();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .map_err(|error| TlsError::from(rustls::Error::General(error.to_string())))?;
        let build = move |_: &Source, snapshot: &Arc<spiffe_source::Snapshot>| {
            let Some(svid) = snapshot.svid() else {
                return Ok(None);
            };
            let own = SingleCertAndKey::from(own_certificate(svid, &provider)?);
            let config = config(&provider, verifier.clone(), own)?;
            Ok(Some(WebClientRevision {
                config: Arc::new(config),
                own_end: svid.verified().not_after(),
                own_fingerprint: svid.verified().peer().fingerprint,
            }))
        };
        Ok(Self(Live::follow(source, build)?))
    }

    /// The revision for a handshake that begins now; none while there is no identity.
    #[must_use]
    pub fn current(&self) -> Option<Arc<WebClientRevision>> {
        self.0.current()
    }

    /// Waits until servers are shown another SVID than this one, or none; at once if it is so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same.
    pub async fn replaced(&self, own: Fingerprint) {
        let shows_another = |revision: &WebClientRevision| revision.own_fingerprint != own;
        self.0.until(shows_another).await;
    }

    /// Watches over a connection: it ends when the own identity is withdrawn.
    pub fn watch(&self, connection: Connection) -> TrustWatch {
        TrustWatch::start(&self.0, None, connection)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
    own: SingleCertAndKey,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(false))?
        .with_webpki_verifier(verifier)
        .with_client_cert_resolver(Arc::new(own));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    config.enable_early_data = false;
    // What a server of the web has proved is checked with each handshake.
    config.resumption = Resumption::disabled();
    Ok(config)
}

impl WebClientRevision {
    /// The configuration for a handshake under this revision.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// When the own SVID ends that servers of this revision are shown.
    #[must_use]
    pub fn own_end(&self) -> SystemTime {
        self.own_end
    }

    /// The fingerprint of the own SVID that servers of this revision are shown.
    #[must_use]
    pub fn own_fingerprint(&self) -> Fingerprint {
        self.own_fingerprint
    }
}

impl Revision for WebClientRevision {
    fn still_trusts(&self, _chain: &VerifiedChain) -> bool {
        // Its servers have no chain of ours; see `Live::vouches`.
        false
    }
}
