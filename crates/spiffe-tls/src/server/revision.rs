use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use spiffe_source::{Snapshot, Source};
use spiffe_verify::{Purpose, VerifiedChain, X509Error};

use super::Settings;
use super::verifier::ClientVerifier;
use crate::config::{ALPN, own_certificate, versions};
use crate::error::TlsError;
use crate::live::Revision;
use crate::peers::Peers;
use crate::sessions::Sessions;

/// The server side of one revision.
///
/// ```
/// # use std::sync::Arc;
/// fn serving(revision: &spiffe_tls::ServerRevision) -> (u64, Arc<rustls::ServerConfig>) {
///     (revision.revision(), revision.config().clone())
/// }
/// ```
pub struct ServerRevision {
    peers: Arc<Peers>,
    config: Arc<ServerConfig>,
    own_end: Option<SystemTime>,
    own_key: Vec<u8>,
    anonymous_clients: bool,
}

impl ServerRevision {
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
            Purpose::Client,
            settings.admission.clone(),
        ));
        let certificate: Arc<dyn ResolvesServerCert> = match &settings.certificate {
            Some(certificate) => certificate.clone(),
            None => Arc::new(SingleCertAndKey::from(own_certificate(svid, provider)?)),
        };
        let verifier = ClientVerifier {
            peers: peers.clone(),
            mandatory: !settings.anonymous_clients,
        };
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions(settings.tls12))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(certificate);
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        config.ignore_client_order = true;
        config.max_early_data_size = 0;
        #[cfg(feature = "tls12")]
        {
            config.require_ems = true;
        }
        if settings.resumption {
            config.session_storage = Arc::new(Sessions::new());
            config.send_tls13_tickets = 1;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Some(Self {
            peers,
            config: Arc::new(config),
            own_end: settings
                .certificate
                .is_none()
                .then(|| svid.verified().not_after()),
            own_key: svid.verified().public_key().to_vec(),
            anonymous_clients: settings.anonymous_clients,
        }))
    }

    /// The number of the revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.peers.revision()
    }

    /// When the own SVID ends that peers of this revision are shown: they do not trust their
    /// connections longer. None where they are shown another certificate.
    #[must_use]
    pub fn own_end(&self) -> Option<SystemTime> {
        self.own_end
    }

    /// Whether a peer holds the key of the own SVID. It may be another instance that shares files, or
    /// somebody who has the key and should not.
    #[must_use]
    pub fn is_own(&self, chain: &VerifiedChain) -> bool {
        chain.public_key() == self.own_key
    }

    /// The configuration for a handshake under this revision. After the handshake the peer has to be
    /// [identified](Self::identify): rustls verifies nobody who resumes a session.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Says who the peer of a finished handshake is, from the chain that rustls kept of it. The
    /// chain is verified under this revision and held against `now`, whether the session was resumed
    /// or not; after the handshake that has just verified it, this is a look-up.
    ///
    /// `None` is a client without a certificate, where such are taken.
    ///
    /// # Errors
    ///
    /// [`X509Error`] where there is no chain though one is demanded, it is not valid, the deny-list
    /// names it, or the peer is not admitted.
    pub fn identify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Result<Option<Arc<VerifiedChain>>, X509Error> {
        if chain.is_none() && self.anonymous_clients {
            return Ok(None);
        }
        self.peers.identify(chain, now).map(Some)
    }
}

impl Revision for ServerRevision {
    fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        self.peers.still_trusts(chain)
    }
}

impl fmt::Debug for ServerRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRevision")
            .field("peers", &self.peers)
            .field("own_end", &self.own_end)
            .finish_non_exhaustive()
    }
}
