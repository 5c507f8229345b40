use std::fmt;
use std::time::SystemTime;

use der::{Reader, SliceReader};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};
use spiffe_peer::TrustDomain;

use super::bounds::Budget;
use super::certificate::Certificate;
use super::verified::VerifiedChain;

/// The X.509 authorities of one trust domain. It vouches for IDs of that domain alone
/// (SPIFFE Trust Domain and Bundle, section 4).
///
/// ```
/// use spiffe_peer::parse;
/// use spiffe_verify::X509Bundle;
///
/// // An empty bundle trusts nobody, so it is no bundle.
/// let error = X509Bundle::from_der(parse::trust_domain("example.org").unwrap(), b"").unwrap_err();
/// assert!(error.to_string().contains("example.org"));
/// ```
#[derive(Clone)]
pub struct X509Bundle {
    trust_domain: TrustDomain,
    roots: Vec<Root>,
    anchors: Vec<TrustAnchor<'static>>,
}

/// What makes an authority the same one, whichever certificate speaks of it: its name and key.
pub(super) type AuthorityId = [u8; 32];

fn authority_id(anchor: &TrustAnchor<'_>) -> AuthorityId {
    let mut hash = Sha256::new();
    // The length keeps the two apart.
    hash.update(anchor.subject.len().to_be_bytes());
    hash.update(&anchor.subject);
    hash.update(anchor.subject_public_key_info.len().to_be_bytes());
    hash.update(&anchor.subject_public_key_info);
    // Authorities that may not vouch for the same names are not the same.
    if let Some(constraints) = &anchor.name_constraints {
        hash.update(constraints);
    }
    hash.finalize().into()
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) der: Vec<u8>,
    pub(super) authority: AuthorityId,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl X509Bundle {
    /// Reads a bundle as the Workload API carries it: certificates in DER, one after another.
    ///
    /// # Errors
    ///
    /// [`InvalidX509Bundle`] where there is no certificate, or one is malformed or no authority.
    pub fn from_der(
        trust_domain: TrustDomain,
        concatenated: &[u8],
    ) -> Result<Self, InvalidX509Bundle> {
        let certificates = match split_der(concatenated) {
            Ok(certificates) => certificates,
            Err(error) => return Err(InvalidX509Bundle::new(trust_domain, error)),
        };
        let mut roots = Vec::with_capacity(certificates.len());
        let mut anchors = Vec::with_capacity(certificates.len());
        for (index, der) in certificates.into_iter().enumerate() {
            match read_root(der) {
                Ok((root, anchor)) => {
                    roots.push(root);
                    anchors.push(anchor);
                }
                Err(why) => {
                    return Err(InvalidX509Bundle::new(
                        trust_domain,
                        format!("certificate {}: {why}", index + 1),
                    ));
                }
            }
        }
        if roots.is_empty() {
            return Err(InvalidX509Bundle::new(
                trust_domain,
                "it holds no certificate",
            ));
        }
        Ok(Self {
            trust_domain,
            roots,
            anchors,
        })
    }

    /// The trust domain that the authorities speak for.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The authorities' certificates, DER.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.roots.iter().map(|root| root.der.as_slice())
    }

    /// Whether these bytes are the ones that the bundle was read from, so that they need not be read
    /// again.
    #[must_use]
    pub fn is_made_of(&self, concatenated: &[u8]) -> bool {
        let rest = self
            .authorities()
            .try_fold(concatenated, |rest, der| rest.strip_prefix(der));
        rest.is_some_and(<[u8]>::is_empty)
    }

    /// When the last of the authorities expires: from then on the bundle vouches for nobody.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.roots
            .iter()
            .map(|root| root.not_after)
            .max()
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether the authority that anchored a chain still speaks for the trust domain.
    #[must_use]
    pub fn still_anchors(&self, chain: &VerifiedChain) -> bool {
        chain.spiffe_id().trust_domain() == &self.trust_domain
            && self
                .roots
                .iter()
                .any(|root| root.authority == *chain.authority())
    }

    /// The anchors that are valid at `now`, since path validation does not look at a root's dates.
    pub(super) fn anchors_at(
        &self,
        now: SystemTime,
    ) -> std::borrow::Cow<'_, [TrustAnchor<'static>]> {
        if self.roots.iter().all(|root| root.is_valid_at(now)) {
            return (&self.anchors).into();
        }
        self.roots
            .iter()
            .zip(&self.anchors)
            .filter(|(root, _)| root.is_valid_at(now))
            .map(|(_, anchor)| anchor.clone())
            .collect()
    }

    /// Which authority this anchor is.
    pub(super) fn authority_of(&self, anchor: &TrustAnchor<'_>) -> Option<AuthorityId> {
        let mut anchors = self.roots.iter().zip(&self.anchors);
        let (root, _) = anchors.find(|(_, known)| *known == anchor)?;
        Some(root.authority)
    }

    /// The time in which an authority that is valid at `now` vouches for chains. A renewed root may
    /// share name and key with the old one: the widest time counts, since either would have
    /// anchored the chain.
    pub(super) fn validity_of(&self, authority: &AuthorityId, now: SystemTime) -> Option<Validity> {
        self.roots
            .iter()
            .filter(|root| root.authority == *authority && root.is_valid_at(now))
            .map(|root| (root.not_before, root.not_after))
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// First and last moment.
pub(super) type Validity = (SystemTime, SystemTime);

impl Root {
    fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl PartialEq for X509Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.trust_domain == other.trust_domain && self.roots == other.roots
    }
}

impl Eq for X509Bundle {}

impl fmt::Debug for X509Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Bundle")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("authorities", &self.roots.len())
            .field("not_after", &self.not_after())
            .finish()
    }
}

fn read_root(der: &[u8]) -> Result<(Root, TrustAnchor<'static>), String> {
    let certificate =
        Certificate::parse(der, &mut Budget::of_a_chain()).map_err(|error| error.to_string())?;
    if !certificate.is_root() {
        return Err("it is no certificate authority".into());
    }
    let anchor = webpki::anchor_from_trusted_cert(&CertificateDer::from(der))
        .map_err(|error| error.to_string())?
        .to_owned();
    let root = Root {
        authority: authority_id(&anchor),
        der: der.to_owned(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
    };
    Ok((root, anchor))
}

/// Splits certificates that stand one after another, as the Workload API's fields hold them.
///
/// # Errors
///
/// The place where something other than a DER value begins.
pub fn split_der(concatenated: &[u8]) -> Result<Vec<&[u8]>, String> {
    let at = |error: der::Error| format!("not DER: {error}");
    let mut reader = SliceReader::new(concatenated).map_err(at)?;
    let mut values = Vec::new();
    while !reader.is_finished() {
        values.push(reader.tlv_bytes().map_err(at)?);
    }
    Ok(values)
}

/// A bundle that cannot be used: it is empty, malformed, or holds what is no authority.
///
/// ```
/// # use spiffe_peer::parse;
/// # use spiffe_verify::X509Bundle;
/// let error = X509Bundle::from_der(parse::trust_domain("example.org").unwrap(), b"garbage").unwrap_err();
/// assert_eq!(error.trust_domain().as_str(), "example.org");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidX509Bundle {
    trust_domain: TrustDomain,
    why: String,
}

impl InvalidX509Bundle {
    fn new(trust_domain: TrustDomain, why: impl Into<String>) -> Self {
        Self {
            trust_domain,
            why: why.into(),
        }
    }

    /// The trust domain whose bundle it is.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
}

impl fmt::Display for InvalidX509Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the X.509 bundle of {} is unusable: {}",
            self.trust_domain, self.why
        )
    }
}

impl std::error::Error for InvalidX509Bundle {}
