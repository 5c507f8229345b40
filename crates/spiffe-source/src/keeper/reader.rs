//! From unverified material to what may be put in force, each part on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe_peer::{SpiffeId, TrustDomain, parse};
use spiffe_verify::{JwtBundle, Purpose, X509Bundle, X509Verifier, split_der};

use crate::material::{Material, SvidMaterial};
use crate::picker::{Candidate, Picker};
use crate::snapshot::Svid;

/// The most SVIDs that one process may have.
const MAX_SVIDS: usize = 128;

/// The most bytes of a hint (SPIFFE Workload API, section 8).
const MAX_HINT_BYTES: usize = 1024;

/// Reads material, and verifies it as a peer would.
pub(crate) struct Reader {
    provider: Arc<CryptoProvider>,
    verifier: X509Verifier,
    federated: BTreeSet<TrustDomain>,
    picker: Picker,
}

/// The own SVIDs, the one in use first, and the bundle of its trust domain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    pub(crate) svids: Vec<Arc<Svid>>,
    pub(crate) bundle: Option<Arc<X509Bundle>>,
}

impl Own {
    /// The own trust domain, as soon as there is an identity.
    pub(crate) fn trust_domain(&self) -> Option<&TrustDomain> {
        self.svids
            .first()
            .map(|svid| svid.spiffe_id().trust_domain())
    }
}

/// An own part that cannot be put in force.
#[derive(Debug)]
pub(crate) struct Unusable {
    why: String,
    /// What in it can be used, and is not the one to use.
    further: Vec<Arc<Svid>>,
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self {
            why,
            further: Vec::new(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

pub(crate) type X509Bundles = BTreeMap<TrustDomain, Arc<X509Bundle>>;
pub(crate) type JwtBundles = BTreeMap<TrustDomain, Arc<JwtBundle>>;

impl Reader {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        federated: BTreeSet<TrustDomain>,
        picker: Picker,
    ) -> Self {
        let verifier = X509Verifier::new(&provider);
        Self {
            provider,
            verifier,
            federated,
            picker,
        }
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// The trust domains that the operator has named.
    pub(crate) fn named(&self) -> impl Iterator<Item = &TrustDomain> {
        self.federated.iter()
    }

    /// Reads the own part.
    ///
    /// # Errors
    ///
    /// Why it cannot be put in force.
    pub(crate) fn own(
        &self,
        material: &Material,
        now: SystemTime,
        problems: &mut Vec<String>,
    ) -> Result<Own, Unusable> {
        if material.svids.is_empty() {
            return Err(Unusable::from("the answer holds none".to_owned()));
        }
        if material.svids.len() > MAX_SVIDS {
            let why = format!("the answer holds more than {MAX_SVIDS}");
            return Err(Unusable::from(why));
        }
        let mut bundles = Vec::with_capacity(material.svids.len());
        let mut read = Vec::with_capacity(material.svids.len());
        for svid in &material.svids {
            let (svid_read, bundle) = self.read(svid, now).map_or_else(
                |problem| (Err(problem), None),
                |(svid, bundle)| (Ok(Arc::new(svid)), Some(Arc::new(bundle))),
            );
            bundles.push(bundle);
            read.push(Candidate {
                id: svid_read
                    .as_ref()
                    .map(|svid| svid.spiffe_id().to_string())
                    .ok()
                    .or_else(|| svid.claimed_id.clone()),
                hint: svid.hint.clone(),
                svid: svid_read,
            });
        }
        let picked = self.picker.pick(&read).and_then(|place| {
            let svid = read.get(place).map(|candidate| candidate.svid.clone());
            Ok((
                place,
                svid.unwrap_or_else(|| Err("there is none".to_owned()))?,
            ))
        });
        let mut further = read.into_iter().map(|candidate| candidate.svid);
        match picked {
            Ok((place, in_use)) => {
                let before: Vec<_> = further.by_ref().take(place).collect();
                let others = before.into_iter().chain(further.skip(1));
                let svids = beside(in_use, others, problems);
                let bundle = bundles.get_mut(place).and_then(Option::take);
                Ok(Own { svids, bundle })
            }
            Err(why) => {
                let further = further.filter_map(Result::ok).collect();
                Err(Unusable { why, further })
            }
        }
    }

    /// Reads an SVID and holds it against everything that a peer will hold it against.
    fn read(&self, material: &SvidMaterial, now: SystemTime) -> Result<(Svid, X509Bundle), String> {
        if let Some(problem) = &material.problem {
            return Err(problem.clone());
        }
        let chain: Vec<_> = split_der(&material.chain)?
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
        let claimed = match &material.claimed_id {
            Some(id) => Some(parse::workload_id(id).map_err(|error| error.to_string())?),
            None => None,
        };
        let domain = match &claimed {
            Some(id) => id.trust_domain().clone(),
            None => self.domain_of(&chain)?,
        };
        let bundle =
            X509Bundle::from_der(domain, &material.bundle).map_err(|error| error.to_string())?;
        let verified = self
            .verifier
            .verify(&chain, Purpose::Both, |_| Some(&bundle), now)
            .map_err(|error| error.to_string())?;
        if let Some(claimed) = claimed.filter(|claimed| claimed != verified.spiffe_id()) {
            return Err(format!(
                "the certificate is for {}, the answer says {claimed}",
                verified.spiffe_id()
            ));
        }
        self.check_key(&material.key, verified.public_key(), verified.spiffe_id())?;
        let hint = material.hint.clone().filter(|hint| !hint.is_empty());
        if hint
            .as_ref()
            .is_some_and(|hint| hint.len() > MAX_HINT_BYTES)
        {
            return Err(format!("its hint has more than {MAX_HINT_BYTES} bytes"));
        }
        let key = material.key.clone();
        Ok((Svid::new(verified, chain, key, hint), bundle))
    }

    /// The trust domain that the leaf names, where nothing else does.
    fn domain_of(&self, chain: &[Vec<u8>]) -> Result<TrustDomain, String> {
        let mut domain = None;
        let answer = self.verifier.verify(
            chain,
            Purpose::Server,
            |named| {
                domain = Some(named.clone());
                None
            },
            SystemTime::UNIX_EPOCH,
        );
        domain.ok_or_else(|| match answer {
            Err(error) => error.to_string(),
            Ok(_) => "the leaf names no trust domain".to_owned(),
        })
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

    /// The own material that stays in force beside an unusable own part: the SVID in use, with what
    /// else the update gives. A readable own bundle counts even then: it may have lost an authority.
    ///
    /// None where the update can be read, and no longer has the identity in use: it is taken back
    /// (SPIFFE Workload API, sections 4.4 and 5.2.1).
    pub(crate) fn kept(
        &self,
        before: &Own,
        material: &Material,
        unusable: &Unusable,
    ) -> Option<Own> {
        let Some(in_use) = before.svids.first() else {
            return Some(Own::default());
        };
        let id = in_use.spiffe_id();
        // What cannot be read may be the one in use.
        let all_read = unusable.further.len() == material.svids.len();
        let is_given = unusable.further.iter().any(|svid| svid.spiffe_id() == id);
        if all_read && !is_given && !material.svids.is_empty() {
            return None;
        }
        let domain = id.trust_domain();
        let is_own = |svid: &&SvidMaterial| match &svid.claimed_id {
            Some(id) => parse::workload_id(id).is_ok_and(|id| id.trust_domain() == domain),
            None => split_der(&svid.chain)
                .map(|chain| chain.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
                .and_then(|chain| self.domain_of(&chain))
                .is_ok_and(|named| named == *domain),
        };
        let fresh = material
            .svids
            .iter()
            .take(MAX_SVIDS)
            .filter(is_own)
            .find_map(|svid| X509Bundle::from_der(domain.clone(), &svid.bundle).ok());
        let others = unusable
            .further
            .iter()
            .filter(|svid| svid.spiffe_id() != id);
        Some(Own {
            svids: beside(in_use.clone(), others.cloned().map(Ok), &mut Vec::new()),
            bundle: fresh.map(Arc::new).or_else(|| before.bundle.clone()),
        })
    }

    /// The X.509 bundles of the foreign domains that the operator has named, where the material has
    /// them.
    pub(crate) fn foreign(
        &self,
        before: &X509Bundles,
        material: &Material,
        own: Option<&TrustDomain>,
        problems: &mut Vec<String>,
    ) -> X509Bundles {
        if let Some(own) = own.filter(|own| material.foreign.contains_key(&own.id_string())) {
            problems.push(format!(
                "{own} is the own trust domain: its entry among the federated bundles is ignored"
            ));
        }
        problems.extend(material.problems.iter().cloned());
        let nobody_s = |id: &&String| parse::trust_domain_id(id).is_err();
        if let Some(id) = material.foreign.keys().find(nobody_s) {
            let id: String = id.chars().take(80).flat_map(char::escape_debug).collect();
            problems.push(format!(
                "the bundle under `{id}` is ignored: that is not the ID of a trust domain"
            ));
        }
        // Only what the operator has named is looked at, however much the feed brings.
        let mut bundles = BTreeMap::new();
        for domain in self.federated.iter().filter(|domain| own != Some(*domain)) {
            let Some(der) = material.foreign.get(&domain.id_string()) else {
                continue;
            };
            // Nothing is parsed twice: most updates change no foreign bundle.
            if let Some(known) = before.get(domain).filter(|known| known.is_made_of(der)) {
                bundles.insert(domain.clone(), known.clone());
                continue;
            }
            match X509Bundle::from_der(domain.clone(), der) {
                Ok(bundle) => {
                    bundles.insert(domain.clone(), Arc::new(bundle));
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        bundles
    }

    /// The JWT bundles of the own trust domains and of those that the operator has named.
    pub(crate) fn jwt_bundles(
        &self,
        before: &JwtBundles,
        raw: &BTreeMap<TrustDomain, Vec<u8>>,
        own: &Own,
        problems: &mut Vec<String>,
    ) -> JwtBundles {
        let mut bundles = BTreeMap::new();
        for (domain, jwks) in raw.iter().filter(|(domain, _)| self.trusts(domain, own)) {
            match JwtBundle::parse(domain.clone(), jwks) {
                Ok(bundle) => {
                    bundles.insert(domain.clone(), unless_equal(before.get(domain), bundle));
                }
                Err(error) => {
                    problems.push(format!("JWT bundle of {domain}: {error}"));
                    // What belongs to the own identity stays in force, as its X.509 part does.
                    if let Some(known) = before
                        .get(domain)
                        .filter(|_| own.trust_domain() == Some(domain))
                    {
                        bundles.insert(domain.clone(), known.clone());
                    }
                }
            }
        }
        bundles
    }

    pub(crate) fn trusts(&self, domain: &TrustDomain, own: &Own) -> bool {
        self.federated.contains(domain) || own.trust_domain() == Some(domain)
    }
}

/// The SVID in use with the others behind it. Of several with one hint the first has it (SPIFFE
/// Workload API, section 8).
fn beside(
    in_use: Arc<Svid>,
    others: impl Iterator<Item = Result<Arc<Svid>, String>>,
    problems: &mut Vec<String>,
) -> Vec<Arc<Svid>> {
    let mut svids = vec![in_use];
    for svid in others {
        match svid {
            Ok(svid)
                if svid
                    .hint()
                    .is_some_and(|hint| svids.iter().any(|other| other.hint() == Some(hint))) =>
            {
                let hint = svid.hint().unwrap_or_default();
                problems.push(format!("the hint `{}` stands twice", hint.escape_debug()));
            }
            Ok(svid) => svids.push(svid),
            Err(problem) => problems.push(format!("further SVID: {problem}")),
        }
    }
    svids
}

/// An equal bundle stays the same one, so that nothing is built again for it.
fn unless_equal<T: PartialEq>(known: Option<&Arc<T>>, read: T) -> Arc<T> {
    known
        .filter(|known| ***known == read)
        .cloned()
        .unwrap_or_else(|| Arc::new(read))
}
