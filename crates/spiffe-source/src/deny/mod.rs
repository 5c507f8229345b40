use std::collections::BTreeSet;

use spiffe_peer::{Fingerprint, IdPattern, SpiffeId};
use spiffe_verify::VerifiedChain;

/// Whom to refuse although its SVID is valid: the answer to a stolen key or a compromised workload
/// until what it was issued has expired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    ids: BTreeSet<String>,
    patterns: Vec<IdPattern>,
    serials: BTreeSet<String>,
    keys: Vec<Fingerprint>,
}

impl DenyList {
    /// Whether the list names this ID, itself or by a pattern.
    #[must_use]
    pub fn denies_id(&self, id: &SpiffeId) -> bool {
        self.ids.contains(&id.to_string())
            || self.patterns.iter().any(|pattern| pattern.matches(id))
    }

    /// Whether the list names the ID of a chain, or a serial number or key of it.
    #[must_use]
    pub fn denies(&self, chain: &VerifiedChain) -> bool {
        self.denies_id(chain.spiffe_id()) || self.serials.contains(chain.serial())
    }
}
