//! From a message of the Workload API to the next snapshot, each part on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe_peer::{SpiffeId, TrustDomain, parse};
use spiffe_verify::{Purpose, X509Bundle, X509Verifier, split_der};
use zeroize::Zeroizing;

use super::messages::{X509Svid, X509SvidResponse};
use crate::snapshot::{Snapshot, Svid};

/// The most SVIDs that one caller may have.
const MAX_SVIDS: usize = 128;

/// The most bytes of a hint (SPIFFE Workload API, section 8).
const MAX_HINT_BYTES: usize = 1024;

/// What an update needs beside itself.
pub(super) struct Reader {
    provider: Arc<CryptoProvider>,
    verifier: X509Verifier,
    federated: BTreeSet<TrustDomain>,
}

/// The next snapshot, and what in the update could not be used.
pub(super) struct Outcome {
    pub(super) snapshot: Snapshot,
    /// Whether the own SVID comes from this update, rather than being kept from an earlier one.
    pub(super) own_is_fresh: bool,
    pub(super) problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(provider: Arc<CryptoProvider>, federated: BTreeSet<TrustDomain>) -> Self {
        let verifier = X509Verifier::new(&provider);
        Self {
            provider,
            verifier,
            federated,
        }
    }

    /// Applies an update to what held before. A broken part breaks only what it touches: the own
    /// material in force stays where the own part is unusable, a foreign domain whose bundle is
    /// unusable is distrusted, and nothing that the update leaves out lives on.
    pub(super) fn apply(
        &self,
        before: &Snapshot,
        update: &X509SvidResponse,
        now: SystemTime,
    ) -> Outcome {
        let mut problems = Vec::new();
        let own = self.own(update, now, &mut problems);
        let own_is_fresh = own.is_ok();
        let (svids, own_bundle) = own.unwrap_or_else(|problem| {
            problems.push(format!("own SVID: {problem}"));
            kept(before, update)
        });
        let mut bundles: BTreeMap<_, _> =
            self.foreign(before, update, own_bundle.as_deref(), &mut problems);
        if let Some(bundle) = own_bundle {
            bundles.insert(bundle.trust_domain().clone(), bundle);
        }
        Outcome {
            snapshot: Snapshot::new(before.revision() + 1, svids, bundles),
            own_is_fresh,
            problems,
        }
    }

    /// The SVID in use is the first (SPIFFE Workload API, section 8). If that one is unusable, no
    /// other takes its place: a process does not change its identity because of a broken message.
    fn own(
        &self,
        update: &X509SvidResponse,
        now: SystemTime,
        problems: &mut Vec<String>,
    ) -> Result<Own, String> {
        let (first, others) = update.svids.split_first().ok_or("the answer holds none")?;
        if others.len() >= MAX_SVIDS {
            return Err(format!("the answer holds more than {MAX_SVIDS}"));
        }
        let (svid, bundle) = self.read(first, now)?;
        let mut svids = vec![Arc::new(svid)];
        for message in others {
            match self.read(message, now) {
                Ok((svid, _))
                    if svid.hint().is_some_and(|hint| {
                        svids.iter().any(|other| other.hint() == Some(hint))
                    }) =>
                {
                    problems.push(format!(
                        "the hint `{}` stands twice: the first SVID has it",
                        svid.hint().unwrap_or_default()
                    ));
                }
                Ok((svid, _)) => svids.push(Arc::new(svid)),
                Err(problem) => problems.push(format!("further SVID: {problem}")),
            }
        }
        Ok((svids, Some(Arc::new(bundle))))
    }

    /// Reads an SVID and holds it against everything that a peer will hold it against.
    fn read(&self, message: &X509Svid, now: SystemTime) -> Result<(Svid, X509Bundle), String> {
        let id = parse::workload_id(&message.spiffe_id).map_err(|error| error.to_string())?;
        let bundle = X509Bundle::from_der(id.trust_domain().clone(), &message.bundle)
            .map_err(|error| error.to_string())?;
        let chain: Vec<_> = split_der(&message.x509_svid)?
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
        let verify = |purpose| {
            self.verifier
                .verify(&chain, purpose, |_| Some(&bundle), now)
                .map_err(|error| error.to_string())
        };
        verify(Purpose::Client)?;
        let verified = verify(Purpose::Server)?;
        if *verified.spiffe_id() != id {
            return Err(format!(
                "the certificate is for {}, the answer says {id}",
                verified.spiffe_id()
            ));
        }
        let key = Zeroizing::new(message.x509_svid_key.to_vec());
        self.check_key(&key, verified.public_key(), &id)?;
        if message.hint.len() > MAX_HINT_BYTES {
            return Err(format!("its hint has more than {MAX_HINT_BYTES} bytes"));
        }
        let hint = Some(message.hint.clone()).filter(|hint| !hint.is_empty());
        Ok((Svid::new(verified, chain, key, hint), bundle))
    }

    fn check_key(&self, key: &[u8], public_key: &[u8], id: &SpiffeId) -> Result<(), String> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)).clone_key();
        let key = self
            .provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| format!("the private key of {id} is unusable: {error}"))?;
        match key.public_key() {
            Some(own) if own.as_ref() == public_key => Ok(()),
            Some(_) => Err(format!(
                "the private key does not fit the certificate of {id}"
            )),
            None => Err(format!(
                "the provider cannot tell whether the private key fits the certificate of {id}"
            )),
        }
    }

    /// The bundles of the foreign domains that the operator has named, where the update has them.
    fn foreign(
        &self,
        before: &Snapshot,
        update: &X509SvidResponse,
        own: Option<&X509Bundle>,
        problems: &mut Vec<String>,
    ) -> BTreeMap<TrustDomain, Arc<X509Bundle>> {
        let given = |domain: &TrustDomain| update.federated_bundles.get(&domain.id_string());
        if let Some(own) = own
            .map(X509Bundle::trust_domain)
            .filter(|own| given(own).is_some())
        {
            problems.push(format!(
                "{own} is the own trust domain: its entry among the federated bundles is ignored"
            ));
        }
        let mut bundles = BTreeMap::new();
        // Only what the operator has named is looked at, however much the agent sends.
        let foreign = self
            .federated
            .iter()
            .filter(|domain| own.is_none_or(|own| own.trust_domain() != *domain));
        for (domain, der) in foreign.filter_map(|domain| Some((domain, given(domain)?))) {
            match X509Bundle::from_der(domain.clone(), der) {
                // An equal bundle stays the same one, so that nothing is built again for it.
                Ok(bundle) => {
                    let known = before
                        .bundle_arc(domain)
                        .filter(|known| ***known == bundle)
                        .cloned();
                    bundles.insert(domain.clone(), known.unwrap_or_else(|| Arc::new(bundle)));
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        bundles
    }
}

type Own = (Vec<Arc<Svid>>, Option<Arc<X509Bundle>>);

/// The own material that stays in force beside an unusable own part. A readable own bundle counts
/// even then: it may have lost an authority.
fn kept(before: &Snapshot, update: &X509SvidResponse) -> Own {
    let Some(svid) = before.svid() else {
        return (Vec::new(), None);
    };
    let domain = svid.spiffe_id().trust_domain();
    let fresh = update
        .svids
        .iter()
        .filter(|message| {
            parse::workload_id(&message.spiffe_id).is_ok_and(|id| id.trust_domain() == domain)
        })
        .find_map(|message| X509Bundle::from_der(domain.clone(), &message.bundle).ok());
    let bundle = fresh
        .map(Arc::new)
        .or_else(|| before.bundle_arc(domain).cloned());
    (before.svids().to_vec(), bundle)
}

#[cfg(test)]
mod tests;
