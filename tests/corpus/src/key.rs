//! Key pairs of every kind, and what they sign.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};

use crate::der;
use crate::rsa::{Hash, Padding, Rsa};

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA over NIST P-256.
    P256,
    /// ECDSA over NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits.
    Rsa2048,
    /// ECDSA over NIST P-521: some crypto providers verify it, others do not.
    P521,
    /// ECDSA over secp256k1, which TLS does not know.
    Secp256k1,
    /// RSA of 1024 bits, which is too short.
    Rsa1024,
}

impl KeyKind {
    /// The kinds with which every case is made that does not ask for one of its own.
    pub const COMMON: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa2048];

    /// A short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa2048",
            Self::P521 => "p521",
            Self::Secp256k1 => "secp256k1",
            Self::Rsa1024 => "rsa1024",
        }
    }
}

/// With which algorithm a certificate is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The one that goes with the key.
    Usual,
    /// RSA with PSS and SHA-256.
    RsaPss,
    /// RSA with SHA-1.
    RsaSha1,
}

/// A key pair. A clone is the same pair.
#[derive(Clone)]
pub struct Key(Arc<Pair>);

struct Pair {
    kind: KeyKind,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
    secret: Secret,
}

enum Secret {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    ShortRsa(Rsa),
}

impl Key {
    /// A pair that [`generate`](Self::generate) never gives, for what many cases share: so many there
    /// are, each with a place.
    #[must_use]
    pub fn shared(kind: KeyKind, place: usize) -> Self {
        match kind {
            KeyKind::Rsa2048 => rsa_keys().reserved[place].clone(),
            _ => Self::generate(kind),
        }
    }

    /// A fresh pair; of RSA one of a few, in turn.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm, curve: &str| {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            let curve = der::sequence([der::oid("1.2.840.10045.2.1"), der::oid(curve)]);
            let public = der::sequence([curve, der::bits(pair.public_key().as_ref())]);
            let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
            (pkcs8, public, Secret::Ecdsa(pair))
        };
        let (pkcs8, public, secret) = match kind {
            KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, "1.2.840.10045.3.1.7"),
            KeyKind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, "1.3.132.0.34"),
            KeyKind::P521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING, "1.3.132.0.35"),
            KeyKind::Secp256k1 => ecdsa(&ECDSA_P256K1_SHA256_ASN1_SIGNING, "1.3.132.0.10"),
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let algorithm = der::sequence([der::oid("1.3.101.112")]);
                let public = der::sequence([algorithm, der::bits(pair.public_key().as_ref())]);
                let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
                (pkcs8, public, Secret::Ed25519(pair))
            }
            KeyKind::Rsa2048 => return next_rsa_key(),
            KeyKind::Rsa1024 => {
                let pair = Rsa::short();
                (
                    Rsa::short_pkcs8(),
                    pair.public_key(),
                    Secret::ShortRsa(pair),
                )
            }
        };
        Self(Arc::new(Pair {
            kind,
            pkcs8,
            public,
            secret,
        }))
    }

    /// What kind of pair it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The private key, unencrypted PKCS #8.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.0.pkcs8
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.0.public
    }

    /// The AlgorithmIdentifier of what [`sign`](Self::sign) signs with.
    #[must_use]
    pub fn algorithm(&self, scheme: Scheme) -> Vec<u8> {
        let null = vec![5, 0];
        match (scheme, self.0.kind) {
            (Scheme::RsaPss, _) => {
                let sha256 = der::sequence([der::oid("2.16.840.1.101.3.4.2.1"), null]);
                let mgf1 = der::sequence([der::oid("1.2.840.113549.1.1.8"), sha256.clone()]);
                der::sequence([
                    der::oid("1.2.840.113549.1.1.10"),
                    der::sequence([
                        der::explicit(0, [sha256]),
                        der::explicit(1, [mgf1]),
                        der::explicit(2, [vec![2, 1, 32]]),
                    ]),
                ])
            }
            (Scheme::RsaSha1, _) => der::sequence([der::oid("1.2.840.113549.1.1.5"), null]),
            (Scheme::Usual, KeyKind::P256 | KeyKind::Secp256k1) => {
                der::sequence([der::oid("1.2.840.10045.4.3.2")])
            }
            (Scheme::Usual, KeyKind::P384) => der::sequence([der::oid("1.2.840.10045.4.3.3")]),
            (Scheme::Usual, KeyKind::P521) => der::sequence([der::oid("1.2.840.10045.4.3.4")]),
            (Scheme::Usual, KeyKind::Ed25519) => der::sequence([der::oid("1.3.101.112")]),
            (Scheme::Usual, KeyKind::Rsa2048 | KeyKind::Rsa1024) => {
                der::sequence([der::oid("1.2.840.113549.1.1.11"), null])
            }
        }
    }

    /// Signs a certificate.
    #[must_use]
    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        match (&self.0.secret, scheme) {
            (_, Scheme::RsaPss) | (Secret::Ecdsa(_) | Secret::Ed25519(_), Scheme::Usual) => {
                self.sign_handshake(message)
            }
            (_, Scheme::RsaSha1) => {
                Rsa::from_pkcs8(self.pkcs8()).sign(Padding::Pkcs1(Hash::Sha1), message)
            }
            (Secret::Rsa(pair), Scheme::Usual) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .unwrap();
                signature
            }
            (Secret::ShortRsa(pair), Scheme::Usual) => {
                pair.sign(Padding::Pkcs1(Hash::Sha256), message)
            }
        }
    }

    /// Signs a handshake of TLS 1.3.
    #[must_use]
    pub fn sign_handshake(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.0.secret {
            Secret::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Secret::ShortRsa(pair) => pair.sign(Padding::Pss, message),
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.0.kind).finish()
    }
}

/// RSA keys are dear to make, so there are these and no more.
struct RsaKeys {
    reserved: Vec<Key>,
    in_turn: Vec<Key>,
}

/// How many keys live as long as a world.
const RESERVED: usize = 7;

/// No case has more further keys, or none between which it could not do with fewer.
const IN_TURN: usize = 8;

fn rsa_keys() -> &'static RsaKeys {
    static KEYS: OnceLock<RsaKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let generate = |_| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let document: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let pkcs8 = document.as_ref().to_vec();
            Key(Arc::new(Pair {
                kind: KeyKind::Rsa2048,
                public: Rsa::from_pkcs8(&pkcs8).public_key(),
                pkcs8,
                secret: Secret::Rsa(Box::new(pair)),
            }))
        };
        RsaKeys {
            reserved: (0..RESERVED).map(generate).collect(),
            in_turn: (0..IN_TURN).map(generate).collect(),
        }
    })
}

fn next_rsa_key() -> Key {
    // A case is made on one thread: so none of its keys comes twice.
    thread_local!(static NEXT: Cell<usize> = const { Cell::new(0) });
    let place = NEXT.replace(NEXT.get() + 1) % IN_TURN;
    rsa_keys().in_turn[place].clone()
}
