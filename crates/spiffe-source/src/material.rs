use std::collections::BTreeMap;
use std::fmt;
use std::mem::take;

use prost::bytes::Bytes;
use spiffe_peer::TrustDomain;
use zeroize::Zeroizing;

use crate::files::pem::{self, InvalidPem};

/// Everything that a [`Feed`](crate::Feed) knows of X.509 at one moment: the own SVIDs and the
/// bundles of foreign trust domains. None of it has been verified yet.
///
/// It is always the full set. What it leaves out is taken back: a bundle that is not in it is no
/// longer trusted (SPIFFE Workload API, section 4.4).
///
/// ```
/// use spiffe_source::{Material, SvidMaterial};
///
/// # fn example(chain: Vec<u8>, key: Vec<u8>, bundle: Vec<u8>, partner: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let partner_domain = spiffe_peer::parse::trust_domain("partner.example")?;
/// let material = Material::new(SvidMaterial::from_der(chain, key, bundle))
///     .foreign_bundle(&partner_domain, partner);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Material {
    pub(crate) svids: Vec<SvidMaterial>,
    /// By the SPIFFE ID of the trust domain, as the Workload API writes it.
    pub(crate) foreign: BTreeMap<String, Bytes>,
    /// Why bundles of foreign trust domains that should be here are not.
    pub(crate) problems: Vec<String>,
}

impl Material {
    /// Material with one own SVID.
    #[must_use]
    pub fn new(svid: SvidMaterial) -> Self {
        Self {
            svids: vec![svid],
            foreign: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// A further own SVID. Which one is used, the source's picker says; without one, the first.
    #[must_use]
    pub fn svid(mut self, svid: SvidMaterial) -> Self {
        self.svids.push(svid);
        self
    }

    /// The bundle of a foreign trust domain: its authorities' certificates, DER, one after the
    /// other. It counts only where the source was told to trust that domain.
    #[must_use]
    pub fn foreign_bundle(mut self, trust_domain: &TrustDomain, der: impl Into<Vec<u8>>) -> Self {
        let der = Bytes::from(der.into());
        self.foreign.insert(trust_domain.id_string(), der);
        self
    }

    /// The bundle of a foreign trust domain in PEM: its authorities' certificates and nothing else.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] where there is no certificate, or anything but whole ones.
    pub fn foreign_bundle_pem(
        self,
        trust_domain: &TrustDomain,
        pem: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidPem> {
        let mut der = pem::certificates(pem.as_ref()).map_err(InvalidPem::of("the bundle"))?;
        Ok(self.foreign_bundle(trust_domain, take(&mut *der)))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("svids", &self.svids)
            .field("foreign", &self.foreign.keys())
            .finish_non_exhaustive()
    }
}

/// An own X.509-SVID with its key and the bundle of its trust domain, as they come.
///
/// ```
/// let svid = spiffe_source::SvidMaterial::from_der(vec![0x30], vec![0x30], vec![0x30])
///     .hint("internal");
/// assert!(format!("{svid:?}").contains("internal"));
/// ```
#[derive(Clone)]
pub struct SvidMaterial {
    /// Whose it is said to be; the certificate has to agree.
    pub(crate) claimed_id: Option<String>,
    pub(crate) chain: Bytes,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) bundle: Bytes,
    pub(crate) hint: Option<String>,
    /// Why a part of it could not even be read.
    pub(crate) problem: Option<String>,
}

impl SvidMaterial {
    /// `chain` and `bundle` are certificates one after the other, the chain's leaf first; `key` is
    /// an unencrypted PKCS#8 key.
    #[must_use]
    pub fn from_der(
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
        bundle: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            claimed_id: None,
            chain: Bytes::from(chain.into()),
            key: Zeroizing::new(key.into()),
            bundle: Bytes::from(bundle.into()),
            hint: None,
            problem: None,
        }
    }

    /// From PEM: the certificates of the chain, leaf first, and of the bundle, and the one key in
    /// unencrypted PKCS#8. Words may stand between them, but nothing else.
    ///
    /// ```
    /// use spiffe_source::SvidMaterial;
    ///
    /// # fn example(chain: &str, bundle: &str) {
    /// let legacy = "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n";
    /// if let Err(error) = SvidMaterial::from_pem(chain, legacy, bundle) {
    ///     assert!(error.is_key_format());
    ///     eprintln!("{error}"); // says how to convert it
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] where a part is absent, not whole, or holds anything else.
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        bundle: impl AsRef<[u8]>,
    ) -> Result<Self, InvalidPem> {
        let mut chain =
            pem::certificates(chain.as_ref()).map_err(InvalidPem::of("the certificate chain"))?;
        let key = pem::key(key.as_ref()).map_err(InvalidPem::of("the private key"))?;
        let mut bundle =
            pem::certificates(bundle.as_ref()).map_err(InvalidPem::of("the bundle"))?;
        let svid = Self::from_der(take(&mut *chain), Vec::new(), take(&mut *bundle));
        Ok(Self { key, ..svid })
    }

    /// What the operator calls this SVID, to tell several apart.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Debug for SvidMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidMaterial")
            .field("claimed_id", &self.claimed_id)
            .field("hint", &self.hint)
            .finish_non_exhaustive()
    }
}
