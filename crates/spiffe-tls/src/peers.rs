use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use spiffe_source::Snapshot;
use spiffe_verify::{KnownIssuers, Purpose, VerifiedChain, X509Error, X509Fault, X509Verifier};

use crate::admission::Admission;

/// The most chains of one revision whose verification is remembered.
const REMEMBERED_CHAINS: usize = 1024;

/// Verifies the peers of one revision. A chain that has been verified is remembered by its exact
/// bytes until its earliest end: the second handshake of a peer pays for its own signature alone, and
/// the first under issuers that are known for theirs and the leaf's.
pub(crate) struct Peers {
    snapshot: Arc<Snapshot>,
    verifier: X509Verifier,
    purpose: Purpose,
    algorithms: WebPkiSupportedAlgorithms,
    admission: Option<Admission>,
    known_issuers: KnownIssuers,
    remembered: Cache<Chain, Arc<VerifiedChain>>,
}

impl Peers {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        provider: &CryptoProvider,
        purpose: Purpose,
        admission: Option<Admission>,
    ) -> Self {
        Self {
            snapshot,
            verifier: X509Verifier::new(provider),
            purpose,
            algorithms: provider.signature_verification_algorithms,
            admission,
            known_issuers: KnownIssuers::default(),
            remembered: Cache::new(REMEMBERED_CHAINS),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.snapshot.revision()
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// Whether what anchored a chain under an earlier revision still does, and nobody denies the
    /// chain. Compares, and verifies nothing: a revision may come while thousands of connections
    /// are open.
    pub(crate) fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        let bundle = self.snapshot.bundle(chain.spiffe_id().trust_domain());
        bundle.is_some_and(|bundle| bundle.still_anchors(chain)) && self.permits(chain).is_ok()
    }

    /// Whose chain this is that rustls kept of a handshake. It may have been kept from an earlier one:
    /// then nothing has been verified yet.
    pub(crate) fn identify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Result<Arc<VerifiedChain>, X509Error> {
        let (leaf, issuers) = chain
            .and_then(<[_]>::split_first)
            .ok_or_else(|| X509Error::from(X509Fault::NoCertificate))?;
        self.verify(leaf, issuers, now)
    }

    /// Whether a chain is an identity now, not on the deny-list, and admitted.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<Arc<VerifiedChain>, X509Error> {
        // A denied chain is remembered like any other: to refuse it a second time is cheap.
        let chain = self.verified(leaf, issuers, now)?;
        self.permits(&chain)?;
        if let Some(admission) = &self.admission {
            admission
                .check(&chain)
                .map_err(|reason| chain.not_admitted(reason))?;
        }
        Ok(chain)
    }

    fn permits(&self, chain: &VerifiedChain) -> Result<(), X509Error> {
        match self.snapshot.deny_list().denies(chain) {
            Some(entry) => Err(chain.denied_by(entry)),
            None => Ok(()),
        }
    }

    /// Verifies a chain now, or remembers that it did.
    fn verified(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<Arc<VerifiedChain>, X509Error> {
        let presented = Presented { leaf, issuers };
        if let Some(known) = self
            .remembered
            .get(&presented)
            .filter(|known| known.is_valid_at(now))
        {
            return Ok(known);
        }
        let chain: Vec<&[u8]> = presented.certificates().collect();
        let verified = self.verifier.verify_under(
            &self.known_issuers,
            &chain,
            self.purpose,
            |domain| self.snapshot.bundle(domain),
            now,
        )?;
        let verified = Arc::new(verified);
        self.remembered.insert(
            Chain(chain.into_iter().map(Box::from).collect()),
            verified.clone(),
        );
        Ok(verified)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("revision", &self.revision())
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

pub(crate) fn system_time(now: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs())
}

#[derive(PartialEq, Eq)]
struct Chain(Vec<Box<[u8]>>);

/// A chain as it lies in a handshake: looked up without copying it.
struct Presented<'a> {
    leaf: &'a CertificateDer<'a>,
    issuers: &'a [CertificateDer<'a>],
}

impl Presented<'_> {
    fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.leaf)
            .chain(self.issuers)
            .map(AsRef::as_ref)
    }
}

impl Hash for Chain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0
            .iter()
            .for_each(|certificate| certificate.as_ref().hash(state));
    }
}

impl Hash for Presented<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificates()
            .for_each(|certificate| certificate.hash(state));
    }
}

impl Equivalent<Chain> for Presented<'_> {
    fn equivalent(&self, chain: &Chain) -> bool {
        self.certificates().eq(chain.0.iter().map(AsRef::as_ref))
    }
}
