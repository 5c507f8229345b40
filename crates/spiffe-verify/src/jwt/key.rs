use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::Encode as _;
use der::asn1::{SequenceOf, UintRef};
use rustls::crypto::CryptoProvider;

use super::JwtFault;
use super::algorithm::{Algorithm, Curve};
use super::bundle::Jwk;

/// RSA keys below 2048 bits are refused, and the providers know none above 8192.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// No public exponent in use is longer: 65537 has three bytes.
const MAX_EXPONENT_BYTES: usize = 8;

/// A public key of a bundle, in the form that the crypto providers take.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The content of the bit string in a SubjectPublicKeyInfo.
    public: Vec<u8>,
    /// None for RSA.
    curve: Option<Curve>,
    /// The one algorithm that the bundle allows for the key, if it says so.
    only: Option<Algorithm>,
}

impl Key {
    /// The key in a JWK; none where it is of an unknown kind, or malformed.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let only = match &jwk.alg {
            Some(name) => Some(Algorithm::from_name(name)?),
            None => None,
        };
        let (public, curve) = match jwk.kty.as_str() {
            "EC" => {
                let curve = Curve::from_name(jwk.crv.as_deref()?)?;
                (elliptic(curve, jwk)?, Some(curve))
            }
            "RSA" => (rsa(jwk)?, None),
            _ => return None,
        };
        Some(Self {
            public,
            curve,
            only,
        })
    }

    /// Verifies a signature in the form of JSON Web Signature.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        provider: &CryptoProvider,
    ) -> Result<(), JwtFault> {
        if algorithm.curve() != self.curve || self.only.is_some_and(|only| only != algorithm) {
            return Err(JwtFault::KeyMismatch);
        }
        let Some(implementation) = algorithm.implementation(provider) else {
            return Err(JwtFault::UnsupportedByProvider);
        };
        let verified = match self.curve {
            None => implementation.verify_signature(&self.public, message, signature),
            Some(curve) => {
                let signature = asn1(curve, signature).ok_or(JwtFault::Signature)?;
                implementation.verify_signature(&self.public, message, &signature)
            }
        };
        verified.map_err(|_| JwtFault::Signature)
    }
}

/// The uncompressed point.
fn elliptic(curve: Curve, jwk: &Jwk) -> Option<Vec<u8>> {
    let (x, y) = (bytes(jwk.x.as_deref()?)?, bytes(jwk.y.as_deref()?)?);
    if x.len() != curve.field_bytes() || y.len() != curve.field_bytes() {
        return None;
    }
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

/// An RSAPublicKey of PKCS#1.
fn rsa(jwk: &Jwk) -> Option<Vec<u8>> {
    let (modulus, exponent) = (bytes(jwk.n.as_deref()?)?, bytes(jwk.e.as_deref()?)?);
    let digits = UintRef::new(&modulus).ok()?.as_bytes();
    let bits =
        digits.len().checked_mul(8)? - usize::try_from(digits.first()?.leading_zeros()).ok()?;
    // An exponent of one would make every message its own signature.
    let exponent_is_sound = exponent.len() <= MAX_EXPONENT_BYTES
        && exponent.last().is_some_and(|last| last % 2 == 1)
        && UintRef::new(&exponent).ok()?.as_bytes() != [1];
    if !RSA_BITS.contains(&bits) || !exponent_is_sound {
        return None;
    }
    two_integers(&modulus, &exponent)
}

/// The ASN.1 form of an ECDSA signature, whose JSON form is its two numbers side by side.
fn asn1(curve: Curve, signature: &[u8]) -> Option<Vec<u8>> {
    if signature.len() != 2 * curve.field_bytes() {
        return None;
    }
    let (r, s) = signature.split_at_checked(curve.field_bytes())?;
    two_integers(r, s)
}

fn two_integers(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    let mut sequence = SequenceOf::<UintRef<'_>, 2>::new();
    sequence.add(UintRef::new(first).ok()?).ok()?;
    sequence.add(UintRef::new(second).ok()?).ok()?;
    sequence.to_der().ok()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
