use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use spiffe_source::{Snapshot, Source};
use spiffe_verify::{Purpose, VerifiedChain};

use super::Settings;
use super::verifier::ServerVerifier;
use crate::config::{ALPN, own_certificate, versions};
use crate::error::TlsError;
use crate::expected::ExpectedServer;
use crate::live::Revision;
use crate::peers::Peers;
use crate::untrusted::UntrustedServer;

/// The most servers whose sessions one revision remembers.
const REMEMBERED_SERVERS: usize = 256;

/// The client side of one revision.
///
/// ```
/// # use std::sync::Arc;
/// fn calling(revision: &spiffe_tls::ClientRevision) -> (u64, Arc<rustls::ClientConfig>) {
///     (revision.revision(), revision.config().clone())
/// }
/// ```
#[derive(Debug)]
pub struct ClientRevision {
    peers: Arc<Peers>,
    expected: ExpectedServer,
    config: Arc<ClientConfig>,
}

impl ClientRevision {
    pub(super) fn build(
        source: &Source,
        snapshot: &Arc<Snapshot>,
        settings: &Settings,
    ) -> Result<Option<Self>, TlsError> {
        let Some(svid) = snapshot.svid() else {
            return Ok(None);
        };
        let provider = source.provider();
        let peers = Arc::new(Peers::new(
            snapshot.clone(),
            provider,
            Purpose::Server,
            None,
        ));
        let verifier = ServerVerifier {
            peers: peers.clone(),
            expected: settings.expected.clone(),
        };
        let own = SingleCertAndKey::from(own_certificate(svid, provider)?);
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions(settings.tls12))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(own));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        config.enable_early_data = false;
        config.resumption = if settings.resumption {
            Resumption::in_memory_sessions(REMEMBERED_SERVERS)
        } else {
            Resumption::disabled()
        };
        #[cfg(feature = "tls12")]
        {
            config.require_ems = true;
        }
        Ok(Some(Self {
            peers,
            expected: settings.expected.clone(),
            config: Arc::new(config),
        }))
    }

    /// The number of the revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.peers.revision()
    }

    /// The configuration for a handshake under this revision. After the handshake the server has to be
    /// [identified](Self::identify): rustls verifies nobody whose session it resumes.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Says who the server of a finished handshake is, from the chain that rustls kept of it. The
    /// chain is verified under this revision and held against `now` and against what is expected,
    /// whether the session was resumed or not; after the handshake that has just verified it, this is
    /// a look-up.
    ///
    /// # Errors
    ///
    /// [`UntrustedServer`] where there is no chain, it is not valid, the deny-list names it, or the
    /// server is not the expected one.
    pub fn identify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Result<Arc<VerifiedChain>, UntrustedServer> {
        let chain = self.peers.identify(chain, now)?;
        self.expected.check(chain.spiffe_id())?;
        Ok(chain)
    }
}

impl Revision for ClientRevision {
    fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        self.peers.still_trusts(chain)
    }
}
