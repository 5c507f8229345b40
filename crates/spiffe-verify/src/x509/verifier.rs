use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use spiffe_peer::{AuthMethod, Fingerprint, SpiffeId, TrustDomain, VerifiedPeer};
use webpki::{
    Cert, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath,
};

use super::bounds::Budget;
use super::bundle::X509Bundle;
use super::certificate::Certificate;
use super::error::{X509Error, X509Fault};
use super::known::{KnownIssuers, VerifiedIssuers};
use super::verified::{VerifiedCertificate, VerifiedChain};

/// The most intermediates between a leaf and its root.
pub const MAX_INTERMEDIATES: usize = 4;

/// The most bytes that the certificates of a chain may have together.
pub const MAX_CHAIN_BYTES: usize = 48 * 1024;

/// The end of a connection at which a chain is presented.
///
/// ```
/// // A server verifies what clients present.
/// let purpose = spiffe_verify::Purpose::Client;
/// # let _ = purpose;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The chain is a client's.
    Client,
    /// The chain is a server's.
    Server,
    /// The chain is one's own, to be presented at either end.
    Both,
}

/// Where a certificate names extended key usages, those of the purpose are among them (X509-SVID,
/// section 4.4).
struct Usage(Purpose);

const CLIENT_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];
const SERVER_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 1];

impl ExtendedKeyUsageValidator for Usage {
    /// Compares usages as they are written: `webpki` decodes several spellings to one number.
    fn validate(&self, named: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let wanted: &[(KeyUsage, &[u8])] = match self.0 {
            Purpose::Client => &[(KeyUsage::client_auth(), CLIENT_AUTH)],
            Purpose::Server => &[(KeyUsage::server_auth(), SERVER_AUTH)],
            Purpose::Both => &[
                (KeyUsage::client_auth(), CLIENT_AUTH),
                (KeyUsage::server_auth(), SERVER_AUTH),
            ],
        };
        let present = named.collect::<Result<Vec<_>, webpki::Error>>()?;
        let lacks = |oid: &[u8]| !present.is_empty() && !present.contains(&KeyPurposeId::new(oid));
        match wanted.iter().find(|(_, oid)| lacks(oid)) {
            None => Ok(()),
            Some((required, _)) => Err(webpki::Error::RequiredEkuNotFoundContext(
                RequiredEkuNotFoundContext {
                    required: *required,
                    present: present.iter().map(KeyPurposeId::to_decoded_oid).collect(),
                },
            )),
        }
    }
}

/// A chain whose leaf has been read.
pub(super) struct Presented<'a> {
    pub(super) leaf: &'a Certificate<'a>,
    pub(super) leaf_der: &'a CertificateDer<'a>,
    pub(super) issuers_der: &'a [CertificateDer<'a>],
    pub(super) purpose: Purpose,
    pub(super) now: SystemTime,
}

/// Verifies X.509-SVIDs: the shape of the chain first, then what the leaf says, then signatures
/// (X509-SVID, section 5).
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_verify::{Purpose, X509Bundle, X509Error, X509Verifier, VerifiedChain};
///
/// fn who(verifier: &X509Verifier, chain: &[Vec<u8>], own: &X509Bundle) -> Result<VerifiedChain, X509Error> {
///     // The bundle of the ID's own trust domain, and no other.
///     let bundle = |domain: &_| (domain == own.trust_domain()).then_some(own);
///     verifier.verify(chain, Purpose::Client, bundle, SystemTime::now())
/// }
/// ```
#[derive(Clone)]
pub struct X509Verifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl X509Verifier {
    /// A verifier that accepts the signature algorithms of `provider`.
    #[must_use]
    pub fn new(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// Verifies a chain, leaf first, against the bundle of the trust domain that its ID names.
    ///
    /// `bundle` is asked once, with that trust domain; it answers `None` for a domain that is not
    /// trusted. That the peer holds the leaf's key is shown by its handshake, not here.
    ///
    /// # Errors
    ///
    /// [`X509Error`] with the first rule that the chain breaks. Nothing is signature-checked before
    /// the shape of the chain is known to be cheap to verify.
    pub fn verify<'b>(
        &self,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        bundle: impl FnOnce(&TrustDomain) -> Option<&'b X509Bundle>,
        now: SystemTime,
    ) -> Result<VerifiedChain, X509Error> {
        self.verify_and_learn(chain, purpose, bundle, now, None)
    }

    /// The same verdict, sooner where the issuers have been met before; see [`KnownIssuers`].
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn verify_under<'b>(
        &self,
        known: &KnownIssuers,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        bundle: impl FnOnce(&TrustDomain) -> Option<&'b X509Bundle>,
        now: SystemTime,
    ) -> Result<VerifiedChain, X509Error> {
        self.verify_and_learn(chain, purpose, bundle, now, Some(known))
    }

    fn verify_and_learn<'b>(
        &self,
        chain: &[impl AsRef<[u8]>],
        purpose: Purpose,
        bundle: impl FnOnce(&TrustDomain) -> Option<&'b X509Bundle>,
        now: SystemTime,
        known: Option<&KnownIssuers>,
    ) -> Result<VerifiedChain, X509Error> {
        let (leaf_der, issuers_der) = chain
            .split_first()
            .ok_or_else(|| X509Error::new(X509Fault::NoCertificate))?;
        check_size(chain)?;
        let leaf_der = CertificateDer::from(leaf_der.as_ref());
        let issuers_der: Vec<_> = issuers_der
            .iter()
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let mut budget = Budget::of_a_chain();
        let leaf = Certificate::parse(&leaf_der, &mut budget)?;
        let id = leaf.spiffe_id(&mut budget)?;
        let bundle =
            bundle(id.trust_domain()).filter(|bundle| bundle.trust_domain() == id.trust_domain());
        let presented = Presented {
            leaf: &leaf,
            leaf_der: &leaf_der,
            issuers_der: &issuers_der,
            purpose,
            now,
        };
        // What the shorter way refuses goes the whole way, which says why.
        let vouched = known
            .zip(bundle)
            .and_then(|(known, bundle)| self.under_known(known, &presented, bundle));
        let vouched = match vouched {
            Some(vouched) => Ok(vouched),
            None => self.under_bundle(known, &presented, bundle, budget),
        };
        vouched
            .and_then(|issuers| chain_of(&presented, id.clone(), &issuers))
            .map_err(|error| error.claimed_by(&id))
    }

    /// Only the leaf's own signature is checked: that of its issuers holds in this revision.
    fn under_known(
        &self,
        known: &KnownIssuers,
        presented: &Presented<'_>,
        bundle: &X509Bundle,
    ) -> Option<Arc<VerifiedIssuers>> {
        let known = known.vouching_for(presented, bundle)?;
        presented.leaf.check_leaf().ok()?;
        let issuer = presented.issuers_der.first()?;
        let anchor = webpki::anchor_from_trusted_cert(issuer).ok()?;
        self.find_path(presented, &[], &[anchor], |_| ()).ok()?;
        Some(known.verified().clone())
    }

    fn under_bundle(
        &self,
        known: Option<&KnownIssuers>,
        presented: &Presented<'_>,
        bundle: Option<&X509Bundle>,
        mut budget: Budget,
    ) -> Result<Arc<VerifiedIssuers>, X509Error> {
        // What is cheap to see comes first.
        presented.leaf.check_leaf()?;
        let issuers = presented
            .issuers_der
            .iter()
            .map(|der| Certificate::parse(der, &mut budget))
            .collect::<Result<Vec<_>, _>>()?;
        check_order(presented.leaf, &issuers)?;
        if !issuers.iter().all(Certificate::is_authority) {
            return Err(X509Error::new(X509Fault::IssuerNotAuthority));
        }
        let bundle = bundle.ok_or_else(|| X509Error::new(X509Fault::UnknownTrustDomain))?;
        let anchors = bundle.anchors_at(presented.now);
        let issuers_der = presented.issuers_der;
        let (authority, leads_through_all) =
            self.find_path(presented, issuers_der, &anchors, |path| {
                let used = path.intermediate_certificates().map(Cert::der);
                let constrained = path.anchor().name_constraints.is_some();
                (
                    bundle.authority_of(path.anchor()),
                    used.eq(issuers_der.iter().cloned()) && !constrained,
                )
            })?;
        let validity =
            |authority| Some((authority, bundle.validity_of(&authority, presented.now)?));
        let (authority, validity) = authority
            .and_then(validity)
            .ok_or_else(|| X509Error::new(X509Fault::UnknownAuthority))?;
        let verified = Arc::new(VerifiedIssuers::new(&issuers, authority, validity));
        if let Some(known) = known
            && leads_through_all
        {
            known.learn(presented, &issuers, bundle, validity, &verified);
        }
        Ok(verified)
    }

    /// Path validation (RFC 5280).
    fn find_path<T>(
        &self,
        presented: &Presented<'_>,
        issuers: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        read: impl FnOnce(&VerifiedPath<'_>) -> T,
    ) -> Result<T, X509Error> {
        let time = UnixTime::since_unix_epoch(
            presented
                .now
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or(Duration::ZERO),
        );
        let leaf = EndEntityCert::try_from(presented.leaf_der).map_err(path_error)?;
        let path = leaf
            .verify_for_usage(
                self.algorithms.all,
                anchors,
                issuers,
                time,
                Usage(presented.purpose),
                None,
                None,
            )
            .map_err(path_error)?;
        Ok(read(&path))
    }
}

fn chain_of(
    presented: &Presented<'_>,
    id: SpiffeId,
    issuers: &VerifiedIssuers,
) -> Result<VerifiedChain, X509Error> {
    let (leaf, now) = (presented.leaf, presented.now);
    let not_before = leaf.not_before().max(issuers.not_before);
    let not_after = leaf.not_after().min(issuers.not_after);
    if now >= not_after {
        return Err(X509Error::new(X509Fault::Expired));
    }
    if now < not_before {
        return Err(X509Error::new(X509Fault::NotYetValid));
    }
    let public_key = leaf.public_key();
    let peer = VerifiedPeer {
        spiffe_id: id,
        not_after,
        fingerprint: Fingerprint::from_sha256(Sha256::digest(presented.leaf_der).into()),
        method: AuthMethod::MtlsX509Svid,
    };
    Ok(VerifiedChain {
        peer: peer.into(),
        leaf: VerifiedCertificate::new(leaf.serial(), public_key),
        intermediates: issuers.certificates.clone(),
        public_key: public_key.to_owned(),
        not_before,
        authority: issuers.authority,
    })
}

impl fmt::Debug for X509Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Verifier").finish_non_exhaustive()
    }
}

fn check_size(chain: &[impl AsRef<[u8]>]) -> Result<(), X509Error> {
    if chain.len() > 1 + MAX_INTERMEDIATES {
        return Err(X509Error::with_detail(
            X509Fault::ChainTooLong,
            format_args!("more than {MAX_INTERMEDIATES} intermediates"),
        ));
    }
    let bytes: usize = chain.iter().map(|der| der.as_ref().len()).sum();
    if bytes > MAX_CHAIN_BYTES {
        return Err(X509Error::with_detail(
            X509Fault::ChainTooLong,
            format_args!("more than {MAX_CHAIN_BYTES} bytes"),
        ));
    }
    Ok(())
}

/// Makes path building linear: `webpki` would try every path through issuers of one name.
fn check_order(leaf: &Certificate<'_>, issuers: &[Certificate<'_>]) -> Result<(), X509Error> {
    let mut below = leaf;
    for (index, issuer) in issuers.iter().enumerate() {
        let repeats = issuers
            .iter()
            .take(index)
            .any(|earlier| earlier.subject() == issuer.subject());
        if below.issuer() != issuer.subject() || repeats {
            return Err(X509Error::new(X509Fault::ChainOrder));
        }
        below = issuer;
    }
    Ok(())
}

fn path_error(error: webpki::Error) -> X509Error {
    use webpki::Error as E;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what webpki learns to refuse later is refused here too"
    )]
    let fault = match error {
        E::CertExpired { .. } => X509Fault::Expired,
        E::CertNotValidYet { .. } => X509Fault::NotYetValid,
        E::UnknownIssuer => X509Fault::UnknownAuthority,
        E::InvalidSignatureForPublicKey
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => X509Fault::BadSignature,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => X509Fault::ExtendedKeyUsage,
        E::CaUsedAsEndEntity => X509Fault::LeafIsAuthority,
        E::EndEntityUsedAsCa => X509Fault::IssuerNotAuthority,
        E::BadDer
        | E::BadDerTime
        | E::TrailingData(_)
        | E::ExtensionValueInvalid
        | E::MalformedExtensions => X509Fault::Malformed,
        _ => X509Fault::Refused,
    };
    X509Error::with_detail(fault, error)
}
