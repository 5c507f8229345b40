//! Signatures with RSA that no library of today makes: short keys and broken hashes.

use aws_lc_rs::digest;
use num_bigint::BigUint;

use crate::der;

/// A private key of 1024 bits that everybody may know: it is here to be refused.
const MODULUS_1024: &str = "c2c37ac44737fba36292a58322c83e3100e2344702526fec7c8714b342bce4237b4eecc9653aa649190ed118e6adc30193a021e9456225b03d91cb0cea20cd483e6d4d3c1a40f25a76a11b375cde9daf058763766690a052d8cfa59a5ad3dea9d2cae396f2095764a4f0f03c28cb8cbf0264b371d790eb1836b44780ff4a0147";
const EXPONENT_1024: &str = "454a6e9eee0788cb3402a047eb53fa6c4cb82d8925d65663785a468f102b4baf23eb8c6a8a4d3763c23a7741b8b01134ba64ba2bd7b77759204e8242f1f9018f1663cf5de711b5030034c09e95941401be143cea8d53a1fffc9907eccdcc44c617b027c2ac9be73aa280ca8764a6472869986557f092e801e3cb7ede78714a41";
const PRIMES_1024: [&str; 5] = [
    "f9d46248917fcc2aa38f42954bb6f10823319cce92d532613e7f62221f3c4967abdc86fbd2517757c106ca1e5208a229f1e20744c2b754b5faeff78e6c57071f",
    "c792ecf3e71869fd2c5bc070fc70b17681d32145bb98d44715514fd5a0cfe6ebabfa9efabae5ba4bf02157c942deb800b338112403621449f2e41fb4213408d9",
    "a4b5e9b67e770b5c71495a54a3fe911b1458f951186d8731a5cac6204907ae3db38949556d6c588a7ab0c7410644bae57c9bd0befcc1721028c95d2581383f71",
    "5ff1403c98f261b1b66b7d7e53bd9172d942b8921f777f4594f7fc1b452ded638acff731ae3bd66dbf49283cb70aff064722430b3f1d1d87d75ed7e6eeb76731",
    "c754db8d994fd6dd84f0b97898981d414dd17a529fa4459c1c6c00cc7cf742c06904b52c44f0d0a457a789b80e85265f64da0d3e7b0d1cf8e06e002ece4f42cd",
];

/// How the hash is wrapped before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// PKCS #1 version 1.5, with the hash that is named.
    Pkcs1(Hash),
    /// PSS with SHA-256, as TLS 1.3 demands it.
    Pss,
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// Broken.
    Sha1,
    /// Sound.
    Sha256,
}

/// A key in its two numbers.
#[derive(Clone)]
pub struct Rsa {
    modulus: BigUint,
    private: BigUint,
}

impl Rsa {
    /// The key of 1024 bits.
    #[must_use]
    pub fn short() -> Self {
        Self {
            modulus: hex(MODULUS_1024),
            private: hex(EXPONENT_1024),
        }
    }

    /// Its PKCS #8 form.
    #[must_use]
    pub fn short_pkcs8() -> Vec<u8> {
        let numbers = [MODULUS_1024, "010001", EXPONENT_1024]
            .into_iter()
            .chain(PRIMES_1024);
        let numbers = numbers.map(|number| der::unsigned(&hex(number).to_bytes_be()));
        let key = der::sequence([vec![2, 1, 0]].into_iter().chain(numbers));
        der::sequence([
            vec![2, 1, 0],
            algorithm("1.2.840.113549.1.1.1"),
            der::octets(&key),
        ])
    }

    /// Reads a key from PKCS #8.
    #[must_use]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Self {
        let parts = der::values(der::open(pkcs8).1);
        let key = der::open(der::open(parts[2]).1).1;
        let number = |der: &[u8]| BigUint::from_bytes_be(der::open(der).1);
        let numbers = der::values(key);
        Self {
            modulus: number(numbers[1]),
            private: number(numbers[3]),
        }
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let key = der::sequence([
            der::unsigned(&self.modulus.to_bytes_be()),
            der::unsigned(&[1, 0, 1]),
        ]);
        der::sequence([algorithm("1.2.840.113549.1.1.1"), der::bits(&key)])
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, padding: Padding, message: &[u8]) -> Vec<u8> {
        let size = self.modulus.bits().div_ceil(8) as usize;
        let padded = match padding {
            Padding::Pkcs1(hash) => pkcs1(hash, message, size),
            Padding::Pss => pss(message, size),
        };
        let signature = BigUint::from_bytes_be(&padded).modpow(&self.private, &self.modulus);
        let signature = signature.to_bytes_be();
        [vec![0; size - signature.len()], signature].concat()
    }
}

impl std::fmt::Debug for Rsa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rsa")
            .field("bits", &self.modulus.bits())
            .finish_non_exhaustive()
    }
}

fn hex(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).unwrap()
}

fn algorithm(oid: &str) -> Vec<u8> {
    der::sequence([der::oid(oid), vec![5, 0]])
}

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2).
fn pkcs1(hash: Hash, message: &[u8], size: usize) -> Vec<u8> {
    let (oid, algorithm) = match hash {
        Hash::Sha1 => ("1.3.14.3.2.26", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha256 => ("2.16.840.1.101.3.4.2.1", &digest::SHA256),
    };
    let digest = digest::digest(algorithm, message);
    let info = der::sequence([self::algorithm(oid), der::octets(digest.as_ref())]);
    let filler = vec![0xff; size - info.len() - 3];
    [vec![0, 1], filler, vec![0], info].concat()
}

/// EMSA-PSS with SHA-256 and a salt of its length (RFC 8017, section 9.1.1). The salt is fixed: the
/// signature is there to be refused.
fn pss(message: &[u8], size: usize) -> Vec<u8> {
    let salt = [0x5a; 32];
    let hash = |parts: &[&[u8]]| {
        digest::digest(&digest::SHA256, &parts.concat())
            .as_ref()
            .to_vec()
    };
    let h = hash(&[&[0; 8], &hash(&[message]), &salt]);
    let mut masked = vec![0; size - 32 - 1 - 32 - 1];
    masked.push(1);
    masked.extend(salt);
    for (count, block) in (0_u32..).zip(masked.chunks_mut(32)) {
        let mask = hash(&[&h, &count.to_be_bytes()]);
        for (byte, mask) in block.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    masked[0] &= 0x7f;
    [masked, h, vec![0xbc]].concat()
}
