use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use spiffe_peer::{SpiffeId, TrustDomain};
use spiffe_verify::{JwtBundle, VerifiedChain, X509Bundle};
use zeroize::Zeroizing;

use crate::deny::DenyList;

/// One coherent revision of everything that identity needs: the own SVIDs, the bundles of the
/// trust domains that are trusted, and the deny-list. It never changes; a change is a new snapshot with a new revision.
///
/// ```
/// use spiffe_source::Snapshot;
///
/// fn describe(snapshot: &Snapshot) -> String {
///     match snapshot.svid() {
///         Some(svid) => format!("revision {}: {}", snapshot.revision(), svid.spiffe_id()),
///         None => "no identity".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    revision: u64,
    svids: Vec<Arc<Svid>>,
    bundles: BTreeMap<TrustDomain, Arc<X509Bundle>>,
    jwt_bundles: BTreeMap<TrustDomain, Arc<JwtBundle>>,
    deny_list: Arc<DenyList>,
}

impl Snapshot {
    /// What holds before the first update and after a withdrawal: no identity and no trust.
    pub(crate) fn nothing(revision: u64, deny_list: Arc<DenyList>) -> Self {
        Self::new(
            revision,
            Vec::new(),
            BTreeMap::new(),
            BTreeMap::new(),
            deny_list,
        )
    }

    pub(crate) fn new(
        revision: u64,
        svids: Vec<Arc<Svid>>,
        bundles: BTreeMap<TrustDomain, Arc<X509Bundle>>,
        jwt_bundles: BTreeMap<TrustDomain, Arc<JwtBundle>>,
        deny_list: Arc<DenyList>,
    ) -> Self {
        Self {
            revision,
            svids,
            bundles,
            jwt_bundles,
            deny_list,
        }
    }

    /// A number that grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The own SVID that is in use; none after the agent has withdrawn it.
    #[must_use]
    pub fn svid(&self) -> Option<&Arc<Svid>> {
        self.svids.first()
    }

    /// All own SVIDs, the one in use first.
    #[must_use]
    pub fn svids(&self) -> &[Arc<Svid>] {
        &self.svids
    }

    /// When the own SVID in use ends, and this snapshot with it.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        self.svid().map(|svid| svid.verified().not_after())
    }

    /// The bundle that speaks for a trust domain; none where the domain is not trusted.
    #[must_use]
    pub fn bundle(&self, trust_domain: &TrustDomain) -> Option<&X509Bundle> {
        self.bundles.get(trust_domain).map(Arc::as_ref)
    }

    /// The bundles of all trusted domains, the own included.
    pub fn bundles(&self) -> impl ExactSizeIterator<Item = &X509Bundle> {
        self.bundles.values().map(Arc::as_ref)
    }

    /// The keys that sign the JWT-SVIDs of a trust domain; none where the domain is not trusted.
    #[must_use]
    pub fn jwt_bundle(&self, trust_domain: &TrustDomain) -> Option<&JwtBundle> {
        self.jwt_bundles.get(trust_domain).map(Arc::as_ref)
    }

    /// The JWT bundles of all trusted domains, the own included.
    pub fn jwt_bundles(&self) -> impl ExactSizeIterator<Item = &JwtBundle> {
        self.jwt_bundles.values().map(Arc::as_ref)
    }

    /// The domains that are trusted for certificates, tokens or both.
    pub(crate) fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        let for_tokens_alone = self
            .jwt_bundles
            .keys()
            .filter(|domain| !self.bundles.contains_key(*domain));
        self.bundles.keys().chain(for_tokens_alone)
    }

    /// Whom to refuse although its SVID is valid.
    #[must_use]
    pub fn deny_list(&self) -> &DenyList {
        &self.deny_list
    }

    /// What follows this snapshot, if it says something new.
    pub(crate) fn followed_by(&self, mut next: Self) -> Option<Self> {
        let says_the_same = self.svids == next.svids
            && self.bundles == next.bundles
            && self.jwt_bundles == next.jwt_bundles
            && self.deny_list == next.deny_list;
        next.revision = self.revision + 1;
        (!says_the_same).then_some(next)
    }
}

/// An own X.509-SVID: it has been verified against its own bundle, and its key fits.
///
/// ```
/// fn log_line(svid: &spiffe_source::Svid) -> String {
///     format!("{} serial {}", svid.spiffe_id(), svid.verified().serial())
/// }
/// ```
#[derive(PartialEq, Eq)]
pub struct Svid {
    verified: VerifiedChain,
    chain: Vec<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    hint: Option<String>,
}

impl Svid {
    pub(crate) fn new(
        verified: VerifiedChain,
        chain: Vec<Vec<u8>>,
        key: Zeroizing<Vec<u8>>,
        hint: Option<String>,
    ) -> Self {
        Self {
            verified,
            chain,
            key,
            hint,
        }
    }

    /// The ID that the SVID proves.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        self.verified.spiffe_id()
    }

    /// What the verification of the own chain found out: serial, validity, fingerprint.
    #[must_use]
    pub fn verified(&self) -> &VerifiedChain {
        &self.verified
    }

    /// The certificates, DER, leaf first.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.chain.iter().map(Vec::as_slice)
    }

    /// The private key, PKCS#8 DER. A secret: search for this name to see who reads it.
    #[must_use]
    pub fn expose_key(&self) -> &[u8] {
        &self.key
    }

    /// What the operator called this SVID, to tell several apart.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("spiffe_id", &self.spiffe_id().to_string())
            .field("serial", &self.verified.serial())
            .field("not_after", &self.verified.not_after())
            .field("hint", &self.hint)
            .finish_non_exhaustive()
    }
}
