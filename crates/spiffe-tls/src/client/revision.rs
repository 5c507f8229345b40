use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::sign::SingleCertAndKey;
use spiffe_peer::{Fingerprint, SpiffeId};
use spiffe_source::{Snapshot, Source};
use spiffe_verify::{Purpose, VerifiedChain};

use super::Settings;
use super::verifier::ServerVerifier;
use crate::config::{ALPN, own_certificate, versions};
use crate::error::TlsError;
use crate::expected::{ExpectedServer, UnexpectedServer};
use crate::live::Revision;
use crate::peers::Peers;
use crate::untrusted::UntrustedServer;

/// The most servers whose sessions one revision remembers.
const REMEMBERED_SERVERS: usize = 256;

/// The most servers whose sessions are remembered for one expectation among several.
const REMEMBERED_INSTANCES: usize = 16;

/// The most narrower expectations of one revision that are kept ready.
const MAX_NARROWED: usize = 1024;

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
    expected: Expectations,
    config: Arc<ClientConfig>,
    own: Arc<CertifiedKey>,
    own_end: SystemTime,
    own_fingerprint: Fingerprint,
    resumes: bool,
    narrowed: Mutex<Vec<Arc<Self>>>,
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
        let expected = Expectations(vec![settings.expected.clone()]);
        let verifier = ServerVerifier {
            peers: peers.clone(),
            expected: expected.clone(),
        };
        let own = Arc::new(own_certificate(svid, provider)?);
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions(settings.tls12))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.clone())));
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
            expected,
            config: Arc::new(config),
            own,
            own_end: svid.verified().not_after(),
            own_fingerprint: svid.verified().peer().fingerprint,
            resumes: settings.resumption,
            narrowed: Mutex::default(),
        }))
    }

    /// This revision for a connection whose server is known more exactly: it has to meet this
    /// expectation too. What was once narrowed is kept ready until the revision ends.
    #[must_use]
    pub fn narrowed_to(&self, expected: &ExpectedServer) -> Arc<Self> {
        // What is in there is whole between any two statements.
        let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = narrowed
            .iter()
            .find(|one| one.expected.narrowest() == Some(expected));
        if let Some(known) = known {
            return known.clone();
        }
        let narrower = Arc::new(self.narrower(expected));
        if narrowed.len() < MAX_NARROWED {
            narrowed.push(narrower.clone());
        }
        narrower
    }

    fn narrower(&self, expected: &ExpectedServer) -> Self {
        let mut all = self.expected.clone();
        all.0.push(expected.clone());
        let verifier = ServerVerifier {
            peers: self.peers.clone(),
            expected: all.clone(),
        };
        let mut config = ClientConfig::clone(&self.config);
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        // A session that was begun with one server is not offered to another.
        if self.resumes {
            config.resumption = Resumption::in_memory_sessions(REMEMBERED_INSTANCES);
        }
        Self {
            peers: self.peers.clone(),
            expected: all,
            config: Arc::new(config),
            own: self.own.clone(),
            own_end: self.own_end,
            own_fingerprint: self.own_fingerprint,
            resumes: self.resumes,
            narrowed: Mutex::default(),
        }
    }

    /// When the own SVID ends that servers of this revision are shown: they do not trust their
    /// connections longer.
    #[must_use]
    pub fn own_end(&self) -> SystemTime {
        self.own_end
    }

    /// The fingerprint of the own SVID that servers of this revision are shown.
    #[must_use]
    pub fn own_fingerprint(&self) -> Fingerprint {
        self.own_fingerprint
    }

    pub(super) fn own(&self) -> &Arc<CertifiedKey> {
        &self.own
    }

    pub(super) fn verifier(&self) -> ServerVerifier {
        ServerVerifier {
            peers: self.peers.clone(),
            expected: self.expected.clone(),
        }
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

/// All that is expected of a server, the narrowest last.
#[derive(Debug, Clone)]
pub(super) struct Expectations(Vec<ExpectedServer>);

impl Expectations {
    fn narrowest(&self) -> Option<&ExpectedServer> {
        self.0.last()
    }

    /// The narrowest first: it says best who was expected.
    pub(super) fn check(&self, id: &SpiffeId) -> Result<(), UnexpectedServer> {
        self.0.iter().rev().try_for_each(|one| one.check(id))
    }
}

impl Revision for ClientRevision {
    fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        self.peers.still_trusts(chain)
    }
}
