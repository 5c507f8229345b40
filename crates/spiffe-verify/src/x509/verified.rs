use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use spiffe_peer::{Fingerprint, SharedPeer, SpiffeId};

use super::bundle::AuthorityId;
use super::error::{X509Error, X509Fault};

/// What a verified chain says.
///
/// ```
/// fn audit(chain: &spiffe_verify::VerifiedChain) -> String {
///     format!("{} serial {}", chain.spiffe_id(), chain.serial())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChain {
    pub(super) peer: SharedPeer,
    pub(super) leaf: VerifiedCertificate,
    pub(super) intermediates: Arc<[VerifiedCertificate]>,
    pub(super) public_key: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) authority: AuthorityId,
}

impl VerifiedChain {
    /// The ID in the leaf.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.peer.spiffe_id
    }

    pub(super) fn authority(&self) -> &AuthorityId {
        &self.authority
    }

    /// The leaf's serial number, in lower-case hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> &str {
        self.leaf.serial()
    }

    /// What tells the certificates of the chain from others: the leaf's first, then those of its
    /// issuers up to the root, which is not among them.
    pub fn certificates(&self) -> impl Iterator<Item = &VerifiedCertificate> {
        std::iter::once(&self.leaf).chain(self.intermediates.iter())
    }

    /// The leaf's public key, a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// From when on every certificate of the chain is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The earliest end of the chain, root included.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.peer.not_after
    }

    /// Whether a chain that was verified earlier would still be valid at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.peer.not_after
    }

    /// The peer that has shown in a TLS handshake that it holds the leaf's key.
    #[must_use]
    pub fn peer(&self) -> &SharedPeer {
        &self.peer
    }

    /// The error with which this chain is refused although it is valid: `entry` of a deny-list
    /// names it.
    #[must_use]
    pub fn denied_by(&self, entry: impl fmt::Display) -> X509Error {
        X509Error::with_detail(X509Fault::Denied, entry).claimed_by(&self.peer.spiffe_id)
    }

    /// The error with which this chain is refused although it is valid: its peer is not let in.
    #[must_use]
    pub fn not_admitted(&self, reason: impl fmt::Display) -> X509Error {
        X509Error::with_detail(X509Fault::NotAdmitted, reason).claimed_by(&self.peer.spiffe_id)
    }
}

/// What tells one certificate of a verified chain from others.
///
/// ```
/// fn log_line(certificate: &spiffe_verify::VerifiedCertificate) -> String {
///     format!("serial {}, key {}", certificate.serial(), certificate.key_sha256())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    serial: String,
    key: Fingerprint,
}

impl VerifiedCertificate {
    pub(super) fn new(serial: String, public_key: &[u8]) -> Self {
        Self {
            serial,
            key: Fingerprint::from_sha256(Sha256::digest(public_key).into()),
        }
    }

    /// The serial number, in lower-case hexadecimal digits. It is unique among the certificates of
    /// one issuer only.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The SHA-256 digest of the public key, a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn key_sha256(&self) -> Fingerprint {
        self.key
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
        PublicKeyData as _, SanType, SerialNumber,
    };
    use spiffe_peer::parse;

    use super::super::bundle::X509Bundle;
    use super::super::verifier::{Purpose, X509Verifier};
    use super::*;

    const ID: &str = "spiffe://example.org/service/orders";

    fn authority(name: &str, serial: &[u8]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params
    }

    #[test]
    fn a_chain_knows_the_serial_and_the_key_of_each_certificate_but_the_root() {
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let key_sha256 = |key: &KeyPair| {
            Fingerprint::from_sha256(Sha256::digest(key.subject_public_key_info()).into())
        };
        let expected = [key_sha256(&keys[0]), key_sha256(&keys[1])];
        let [leaf_key, issuer_key, root_key] = keys;

        let root = authority("root", &[1]);
        let root_der = root.self_signed(&root_key).unwrap();
        let root = Issuer::new(root, root_key);
        let issuer = authority("issuer", &[0xff, 0x01]);
        let issuer_der = issuer.signed_by(&issuer_key, &root).unwrap();
        let issuer = Issuer::new(issuer, issuer_key);
        let mut leaf = CertificateParams::default();
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.subject_alt_names = vec![SanType::URI(ID.try_into().unwrap())];
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0x1b]));
        let leaf_der = leaf.signed_by(&leaf_key, &issuer).unwrap();

        let domain = parse::trust_domain("example.org").unwrap();
        let bundle = X509Bundle::from_der(domain, root_der.der()).unwrap();
        let verifier = X509Verifier::new(&crate::default_provider().unwrap());
        let chain = [leaf_der.der(), issuer_der.der()];
        let verified = verifier
            .verify(
                &chain,
                Purpose::Client,
                |_| Some(&bundle),
                SystemTime::now(),
            )
            .unwrap();

        let certificates: Vec<_> = verified.certificates().collect();
        let serials = certificates.iter().map(|one| one.serial());
        assert_eq!(serials.collect::<Vec<_>>(), ["0a1b", "ff01"]);
        let keys = certificates.iter().map(|one| one.key_sha256());
        assert_eq!(keys.collect::<Vec<_>>(), expected);
        assert_eq!(verified.serial(), "0a1b");

        let denied = verified.denied_by("serial:0a1b");
        assert_eq!(denied.fault(), X509Fault::Denied);
        assert_eq!(
            denied.to_string(),
            format!(
                "the chain is valid, but the deny-list names it (serial:0a1b); the certificate claims {ID}"
            )
        );
    }
}
