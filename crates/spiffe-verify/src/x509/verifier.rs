use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use spiffe_peer::{Fingerprint, TrustDomain};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};

use super::bundle::{AuthorityId, X509Bundle, authority_id};
use super::certificate::Certificate;
use super::error::{X509Error, X509Fault};
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

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, named: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let wanted: &[(KeyUsage, &[usize])] = &[
            (KeyUsage::client_auth(), KeyUsage::CLIENT_AUTH_REPR),
            (KeyUsage::server_auth(), KeyUsage::SERVER_AUTH_REPR),
        ];
        let wanted = match self.0 {
            Purpose::Client => wanted.get(..1),
            Purpose::Server => wanted.get(1..),
            Purpose::Both => Some(wanted),
        };
        let present = named
            .map(|id| Ok(id?.to_decoded_oid()))
            .collect::<Result<Vec<_>, webpki::Error>>()?;
        let lacks = |oid: &[usize]| !present.is_empty() && !present.iter().any(|id| id == oid);
        match wanted
            .unwrap_or_default()
            .iter()
            .find(|(_, oid)| lacks(oid))
        {
            None => Ok(()),
            Some((required, _)) => Err(webpki::Error::RequiredEkuNotFoundContext(
                RequiredEkuNotFoundContext {
                    required: *required,
                    present,
                },
            )),
        }
    }
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
        let (leaf_der, issuers_der) = chain
            .split_first()
            .ok_or_else(|| X509Error::new(X509Fault::NoCertificate))?;
        check_size(chain)?;
        let leaf = Certificate::parse(leaf_der.as_ref())?;
        let id = leaf.spiffe_id()?;
        let claimed = |error: X509Error| error.claimed_by(&id);
        let issuers = issuers_der
            .iter()
            .map(|der| Certificate::parse(der.as_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(claimed)?;
        check_order(&leaf, &issuers).map_err(claimed)?;
        leaf.check_leaf().map_err(claimed)?;
        if !issuers.iter().all(Certificate::is_authority) {
            return Err(claimed(X509Error::new(X509Fault::IssuerNotAuthority)));
        }
        let bundle = bundle(id.trust_domain())
            .ok_or_else(|| claimed(X509Error::new(X509Fault::UnknownTrustDomain)))?;
        if bundle.trust_domain() != id.trust_domain() {
            return Err(claimed(X509Error::new(X509Fault::UnknownTrustDomain)));
        }

        let leaf_der = leaf_der.as_ref();
        let issuers_der: Vec<_> = issuers_der
            .iter()
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let (authority, root_end) = self
            .check_path(leaf_der, &issuers_der, purpose, bundle, now)
            .map_err(claimed)?;
        let not_after = issuers
            .iter()
            .map(Certificate::not_after)
            .chain([leaf.not_after(), root_end])
            .min()
            .unwrap_or(root_end);
        let not_before = issuers
            .iter()
            .map(Certificate::not_before)
            .chain([leaf.not_before()])
            .max()
            .unwrap_or(now);
        if now >= not_after {
            return Err(claimed(X509Error::new(X509Fault::Expired)));
        }
        if now < not_before {
            return Err(claimed(X509Error::new(X509Fault::NotYetValid)));
        }
        let fingerprint = Fingerprint::from_sha256(Sha256::digest(leaf_der).into());
        let public_key = leaf.public_key().map_err(claimed)?;
        Ok(VerifiedChain {
            leaf: VerifiedCertificate::new(leaf.serial(), &public_key),
            intermediates: issuers
                .iter()
                .map(|issuer| {
                    let public_key = issuer.public_key()?;
                    Ok(VerifiedCertificate::new(issuer.serial(), &public_key))
                })
                .collect::<Result<_, _>>()
                .map_err(claimed)?,
            public_key,
            id,
            not_before,
            not_after,
            fingerprint,
            authority,
        })
    }

    /// Path validation (RFC 5280). Answers which authority anchors the path, and when it expires.
    fn check_path(
        &self,
        leaf: &[u8],
        issuers: &[CertificateDer<'_>],
        purpose: Purpose,
        bundle: &X509Bundle,
        now: SystemTime,
    ) -> Result<(AuthorityId, SystemTime), X509Error> {
        let anchors = bundle.anchors_at(now);
        let time = UnixTime::since_unix_epoch(
            now.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or(Duration::ZERO),
        );
        let leaf = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(path_error)?;
        let path = leaf
            .verify_for_usage(
                self.algorithms.all,
                &anchors,
                issuers,
                time,
                Usage(purpose),
                None,
                None,
            )
            .map_err(path_error)?;
        let authority = authority_id(path.anchor());
        let end = bundle
            .end_of(&authority)
            .ok_or_else(|| X509Error::new(X509Fault::UnknownAuthority))?;
        Ok((authority, end))
    }
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
fn check_order(leaf: &Certificate, issuers: &[Certificate]) -> Result<(), X509Error> {
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
