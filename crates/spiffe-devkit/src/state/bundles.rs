use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use spiffe_peer::TrustDomain;

use crate::authority::Snapshot;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    X509,
    Jwt,
}

/// Whose bundles the workloads of a trust domain get.
#[derive(Default)]
pub(crate) struct Federation {
    /// Authorities of this agent.
    pub(crate) with: BTreeSet<TrustDomain>,
    /// Bundles that were given by hand, by the key that they are sent under.
    pub(crate) x509: BTreeMap<String, Bytes>,
    pub(crate) jwt: BTreeMap<String, Bytes>,
}

impl Profile {
    pub(super) fn bundle(self, snapshot: &Snapshot) -> Bytes {
        match self {
            Self::X509 => snapshot.x509_bundle(),
            Self::Jwt => snapshot.jwt_bundle(),
        }
    }
}

/// The bundles that callers of these trust domains get beside their own.
pub(super) fn federated(
    federations: &BTreeMap<TrustDomain, Federation>,
    own: &BTreeSet<TrustDomain>,
    snapshots: &BTreeMap<TrustDomain, Arc<Snapshot>>,
    profile: Profile,
) -> BTreeMap<String, Bytes> {
    let mut bundles = BTreeMap::new();
    for federation in own.iter().filter_map(|name| federations.get(name)) {
        for (name, snapshot) in federation
            .with
            .iter()
            .filter_map(|name| snapshots.get_key_value(name))
        {
            if !own.contains(name) {
                bundles.insert(name.id_string(), profile.bundle(snapshot));
            }
        }
        let by_hand = match profile {
            Profile::X509 => &federation.x509,
            Profile::Jwt => &federation.jwt,
        };
        bundles.extend(
            by_hand
                .iter()
                .map(|(key, bundle)| (key.clone(), bundle.clone())),
        );
    }
    bundles
}
