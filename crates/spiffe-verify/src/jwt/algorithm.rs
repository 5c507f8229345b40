use rustls::crypto::CryptoProvider;
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};

/// The signature algorithms that a JWT-SVID may use (JWT-SVID, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
    Ps256,
    Ps384,
    Ps512,
}

/// The elliptic curves of those algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            _ => return None,
        })
    }

    /// The curve that the key must lie on; none for RSA.
    pub(super) fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es384 => Some(Curve::P384),
            Self::Es512 => Some(Curve::P521),
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                None
            }
        }
    }

    /// The provider's implementation, if it has one.
    pub(super) fn implementation(
        self,
        provider: &CryptoProvider,
    ) -> Option<&'static dyn SignatureVerificationAlgorithm> {
        let all = provider.signature_verification_algorithms.all.iter();
        all.copied().find(|found| {
            found.public_key_alg_id() == self.key_id()
                && found.signature_alg_id() == self.signature_id()
        })
    }

    fn key_id(self) -> AlgorithmIdentifier {
        match self.curve() {
            Some(Curve::P256) => alg_id::ECDSA_P256,
            Some(Curve::P384) => alg_id::ECDSA_P384,
            Some(Curve::P521) => alg_id::ECDSA_P521,
            None => alg_id::RSA_ENCRYPTION,
        }
    }

    fn signature_id(self) -> AlgorithmIdentifier {
        match self {
            Self::Rs256 => alg_id::RSA_PKCS1_SHA256,
            Self::Rs384 => alg_id::RSA_PKCS1_SHA384,
            Self::Rs512 => alg_id::RSA_PKCS1_SHA512,
            Self::Es256 => alg_id::ECDSA_SHA256,
            Self::Es384 => alg_id::ECDSA_SHA384,
            Self::Es512 => alg_id::ECDSA_SHA512,
            Self::Ps256 => alg_id::RSA_PSS_SHA256,
            Self::Ps384 => alg_id::RSA_PSS_SHA384,
            Self::Ps512 => alg_id::RSA_PSS_SHA512,
        }
    }
}

impl Curve {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "P-256" => Self::P256,
            "P-384" => Self::P384,
            "P-521" => Self::P521,
            _ => return None,
        })
    }

    /// The length of a coordinate, and of each half of a signature, in bytes.
    pub(super) fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}
