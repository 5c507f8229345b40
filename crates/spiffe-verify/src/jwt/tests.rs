#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

mod bundles;
mod claims;
mod headers;
mod keys;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::Decode as _;
use der::asn1::{SequenceOf, UintRef};
use serde_json::{Value, json};
use spiffe_peer::{TrustDomain, parse};

use super::{JwtBundle, JwtError, JwtFault, JwtSvid, JwtVerifier};

const SUBJECT: &str = "spiffe://example.org/service/orders";
const AUDIENCE: &str = "spiffe://example.org/service/payments";

/// The point in time at which tokens are verified, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// The authorities of example.org, with one key for each kind of algorithm.
struct Authority {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    p521: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority {
    p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
});

impl Authority {
    /// Signs with the key that fits the algorithm.
    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let elliptic = |key: &EcdsaKeyPair| key.sign(&random, message).unwrap().as_ref().to_vec();
        let rsa: &dyn signature::RsaEncoding = match alg {
            "ES256" => return elliptic(&self.p256),
            "ES384" => return elliptic(&self.p384),
            "ES512" => return elliptic(&self.p521),
            "RS256" => &signature::RSA_PKCS1_SHA256,
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            "PS512" => &signature::RSA_PSS_SHA512,
            other => panic!("no key signs with {other}"),
        };
        let mut signed = vec![0; self.rsa.public_modulus_len()];
        self.rsa.sign(rsa, &random, message, &mut signed).unwrap();
        signed
    }

    fn rsa_public_key(&self) -> Vec<u8> {
        self.rsa.public_key().as_der().unwrap().as_ref().to_vec()
    }

    fn jwks(&self) -> Value {
        json!({"keys": [
            elliptic_jwk("p256", "P-256", &self.p256),
            elliptic_jwk("p384", "P-384", &self.p384),
            elliptic_jwk("p521", "P-521", &self.p521),
            rsa_jwk("rsa", self.rsa.public_key().as_ref()),
        ]})
    }
}

fn elliptic_jwk(kid: &str, crv: &str, key: &EcdsaKeyPair) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({"kty": "EC", "use": "jwt-svid", "kid": kid, "crv": crv, "x": encoded(x), "y": encoded(y)})
}

fn rsa_jwk(kid: &str, public_key: &[u8]) -> Value {
    let numbers = SequenceOf::<UintRef<'_>, 2>::from_der(public_key).unwrap();
    let [n, e] = [0, 1].map(|index| encoded(numbers.get(index).unwrap().as_bytes()));
    json!({"kty": "RSA", "use": "jwt-svid", "kid": kid, "n": n, "e": e})
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key_id(alg: &str) -> &'static str {
    match alg {
        "ES256" => "p256",
        "ES384" => "p384",
        "ES512" => "p521",
        _ => "rsa",
    }
}

/// A header that is right for the algorithm.
fn header(alg: &str) -> Value {
    json!({"alg": alg, "kid": key_id(alg), "typ": "JWT"})
}

/// Claims that are right.
fn good_claims() -> Value {
    json!({"sub": SUBJECT, "aud": [AUDIENCE], "exp": NOW + 60, "iat": NOW - 60})
}

/// The good claims with one of them set to another value, or taken away.
fn claims_with(name: &str, value: Option<Value>) -> Value {
    let mut claims = good_claims();
    let members = claims.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    claims
}

/// A token from the texts of its header and its claims, signed with the key that fits `alg`.
fn signed_text(alg: &str, header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        encoded(header.as_bytes()),
        encoded(claims.as_bytes())
    );
    let signature = encoded(&AUTHORITY.sign(alg, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_text(
        header["alg"].as_str().unwrap(),
        &header.to_string(),
        &claims.to_string(),
    )
}

fn good_token() -> String {
    signed(&header("ES256"), &good_claims())
}

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

fn bundle(jwks: &Value) -> JwtBundle {
    JwtBundle::parse(domain("example.org"), jwks.to_string().as_bytes()).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verifier() -> JwtVerifier {
    JwtVerifier::new(crate::default_provider().unwrap(), [AUDIENCE]).unwrap()
}

fn verify_with(bundle: &JwtBundle, token: &str) -> Result<JwtSvid, JwtError> {
    verifier().verify(
        token,
        |of| (of == bundle.trust_domain()).then_some(bundle),
        at(NOW),
    )
}

fn verify(token: &str) -> Result<JwtSvid, JwtError> {
    verify_with(&bundle(&AUTHORITY.jwks()), token)
}

#[track_caller]
fn refused(token: &str, because: JwtFault) {
    assert_eq!(verify(token).unwrap_err().fault(), because);
}
