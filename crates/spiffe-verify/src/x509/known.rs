use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use rustls_pki_types::CertificateDer;
use spiffe_peer::TrustDomain;

use super::bundle::{AuthorityId, Validity, X509Bundle};
use super::certificate::Certificate;
use super::verified::VerifiedCertificate;
use super::verifier::{Presented, Purpose};

/// An agent or server of SPIRE has one intermediate, so that a trust domain has tens of them.
const REMEMBERED: usize = 256;

/// Issuers that have been verified, so that a leaf under them costs one signature: in a trust domain
/// all leaves share a few intermediates.
///
/// It changes no verdict. Remembered are issuers that a verified path has led through, one after
/// the other, by the exact bytes of all of them, together with the trust domain and the purpose; and
/// only where no name constraints speak of the leaf. Everything that is said of a leaf is checked for
/// each leaf. One belongs to one set of bundles: make a new one for each revision.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_verify::{KnownIssuers, Purpose, VerifiedChain, X509Bundle, X509Error, X509Verifier};
///
/// struct Revision { bundle: X509Bundle, verifier: X509Verifier, known: KnownIssuers }
///
/// impl Revision {
///     fn who(&self, chain: &[Vec<u8>]) -> Result<VerifiedChain, X509Error> {
///         let bundle = |_: &_| Some(&self.bundle);
///         self.verifier.verify_under(&self.known, chain, Purpose::Client, bundle, SystemTime::now())
///     }
/// }
/// ```
pub struct KnownIssuers(Cache<Issuers, Arc<Known>>);

impl Default for KnownIssuers {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

/// The issuers of a leaf, up to and with the root.
pub(super) struct VerifiedIssuers {
    pub(super) certificates: Arc<[VerifiedCertificate]>,
    pub(super) authority: AuthorityId,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

pub(super) struct Known {
    trust_domain: TrustDomain,
    purpose: Purpose,
    subjects: Vec<Box<[u8]>>,
    /// The authority's, when this was learnt.
    root: Validity,
    verified: Arc<VerifiedIssuers>,
}

impl VerifiedIssuers {
    pub(super) fn new(issuers: &[Certificate<'_>], authority: AuthorityId, root: Validity) -> Self {
        let certificates = issuers
            .iter()
            .map(|issuer| VerifiedCertificate::new(issuer.serial(), issuer.public_key()))
            .collect();
        let begins = issuers.iter().map(Certificate::not_before);
        let ends = issuers.iter().map(Certificate::not_after);
        Self {
            certificates,
            authority,
            not_before: begins.fold(root.0, Ord::max),
            not_after: ends.fold(root.1, Ord::min),
        }
    }
}

impl KnownIssuers {
    pub(super) fn vouching_for(
        &self,
        presented: &Presented<'_>,
        bundle: &X509Bundle,
    ) -> Option<Arc<Known>> {
        let known = self.0.get(&Sequence(presented.issuers_der))?;
        let verified = &known.verified;
        let fits = known.purpose == presented.purpose
            && known.trust_domain == *bundle.trust_domain()
            && known.subjects().next() == Some(presented.leaf.issuer())
            // Path validation knows loops; one signature alone shows none.
            && known.subjects().all(|subject| subject != presented.leaf.subject())
            && (verified.not_before..verified.not_after).contains(&presented.now)
            && bundle.validity_of(&verified.authority, presented.now) == Some(known.root);
        fits.then_some(known)
    }

    pub(super) fn learn(
        &self,
        presented: &Presented<'_>,
        issuers: &[Certificate<'_>],
        bundle: &X509Bundle,
        root: Validity,
        verified: &Arc<VerifiedIssuers>,
    ) {
        if issuers.is_empty() || issuers.iter().any(Certificate::constrains_names) {
            return;
        }
        let known = Known {
            trust_domain: bundle.trust_domain().clone(),
            purpose: presented.purpose,
            subjects: issuers
                .iter()
                .map(|issuer| issuer.subject().into())
                .collect(),
            root,
            verified: verified.clone(),
        };
        let exact = presented.issuers_der.iter().map(|der| der.as_ref().into());
        self.0.insert(Issuers(exact.collect()), Arc::new(known));
    }
}

impl Known {
    fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.subjects.iter().map(AsRef::as_ref)
    }

    pub(super) fn verified(&self) -> &Arc<VerifiedIssuers> {
        &self.verified
    }
}

impl fmt::Debug for KnownIssuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownIssuers")
            .field("len", &self.0.len())
            .finish_non_exhaustive()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Issuers(Box<[Box<[u8]>]>);

/// Issuers as they were presented: looked up without copying them.
struct Sequence<'a>(&'a [CertificateDer<'a>]);

impl Hash for Sequence<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a slice of byte slices is hashed.
        self.0.len().hash(state);
        self.0.iter().for_each(|der| der.as_ref().hash(state));
    }
}

impl Equivalent<Issuers> for Sequence<'_> {
    fn equivalent(&self, issuers: &Issuers) -> bool {
        self.0
            .iter()
            .map(AsRef::as_ref)
            .eq(issuers.0.iter().map(AsRef::as_ref))
    }
}
