//! Authorities and SVIDs with fixed keys: the same bytes in every run, since Ed25519 signs without
//! chance, so that an input that breaks a target breaks it again.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use ring::signature::Ed25519KeyPair;

use crate::der::{Edit, Node, Splice, tlv};

/// The own trust domain of the first SVIDs.
pub const OWN: &str = "example.org";
/// A foreign trust domain that the operator has named.
pub const NAMED: &str = "partner.test";
/// A foreign trust domain that nobody has named.
pub const UNNAMED: &str = "stranger.test";

/// When everything here is valid.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A certificate with its key.
pub struct Minted {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its key, PKCS#8.
    pub key: Vec<u8>,
    /// The seed of the issuer's key, which signs an edited certificate again.
    issuer: u8,
}

/// A trust domain: its root, an intermediate, and an SVID under it.
pub struct Domain {
    /// Of the root.
    pub root: Minted,
    /// Below the root.
    pub intermediate: Minted,
    /// Below the intermediate.
    pub leaf: Minted,
    /// The ID in the leaf.
    pub spiffe_id: String,
}

/// The own trust domain, the named one and the other.
pub static DOMAINS: LazyLock<[Domain; 3]> = LazyLock::new(|| {
    [
        Domain::mint(OWN, 0xa1),
        Domain::mint(NAMED, 0xb1),
        Domain::mint(UNNAMED, 0xc1),
    ]
});

/// A key that fits no certificate.
#[must_use]
pub fn stray_key() -> Vec<u8> {
    pkcs8(0xe1)
}

impl Domain {
    fn mint(name: &str, seed: u8) -> Self {
        let (root_seed, intermediate_seed, leaf_seed) = (seed, seed + 1, seed + 2);
        let mut params = authority(name, "root", root_seed);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = key_pair(root_seed);
        let root = params.self_signed(&key).unwrap().der().to_vec();
        let root_issuer = Issuer::new(params, key);

        let mut params = authority(name, "intermediate", intermediate_seed);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let key = key_pair(intermediate_seed);
        let intermediate = params.signed_by(&key, &root_issuer).unwrap();
        let issuer = Issuer::new(params, key);

        let spiffe_id = format!("spiffe://{name}/service/orders");
        let mut params = dated(leaf_seed);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![
            SanType::URI(spiffe_id.as_str().try_into().unwrap()),
            SanType::DnsName("orders.local".try_into().unwrap()),
        ];
        let leaf = params.signed_by(&key_pair(leaf_seed), &issuer).unwrap();

        let minted = |der, seed, issuer| Minted {
            der,
            key: pkcs8(seed),
            issuer,
        };
        Self {
            root: minted(root, root_seed, root_seed),
            intermediate: minted(intermediate.der().to_vec(), intermediate_seed, root_seed),
            leaf: minted(leaf.der().to_vec(), leaf_seed, intermediate_seed),
            spiffe_id,
        }
    }

    /// Leaf and intermediate, as the Workload API carries them.
    #[must_use]
    pub fn chain(&self) -> Vec<u8> {
        [&*self.leaf.der, &*self.intermediate.der].concat()
    }
}

fn authority(name: &str, role: &str, seed: u8) -> CertificateParams {
    let mut params = dated(seed);
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{name} {role}"));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{name}").try_into().unwrap())];
    params
}

fn dated(seed: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&[0x10, seed]));
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "fuzz");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    params
}

/// Bytes that stand nowhere else, so that a secret that has leaked is told from what only looks like
/// it.
fn secret(seed: u8) -> [u8; 32] {
    std::array::from_fn(|index| {
        seed.wrapping_mul(31)
            .wrapping_add((index as u8).wrapping_mul(73))
            | 0x80
    })
}

fn pkcs8(seed: u8) -> Vec<u8> {
    let head = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    [&head[..], &secret(seed)].concat()
}

fn key_pair(seed: u8) -> KeyPair {
    KeyPair::try_from(pkcs8(seed)).unwrap()
}

/// How a certificate is spoilt.
#[derive(Debug, Default, Arbitrary)]
pub struct Spoilt<'a> {
    /// What happens to the signed part, before it is signed again.
    signed: Vec<Edit<'a>>,
    /// What happens to the whole afterwards.
    whole: Vec<Edit<'a>>,
    /// What happens to its bytes at last.
    bytes: Option<Splice<'a>>,
}

impl Minted {
    /// The certificate after all that.
    #[must_use]
    pub fn spoil(&self, how: &Spoilt<'_>) -> Vec<u8> {
        let mut der = self.der.clone();
        if !how.signed.is_empty() {
            let whole = Node::parse(&der);
            let [signed, algorithm, _] = whole.members() else {
                panic!("a certificate has three members");
            };
            let mut signed = signed.clone();
            for edit in how.signed.iter().take(8) {
                signed.edit(edit);
            }
            let signed = signed.encode();
            let key = Ed25519KeyPair::from_seed_unchecked(&secret(self.issuer)).unwrap();
            let signature = [&[0], key.sign(&signed).as_ref()].concat();
            der = tlv(
                0x30,
                &[signed, algorithm.encode(), tlv(0x03, &signature)].concat(),
            );
        }
        if !how.whole.is_empty() {
            let mut whole = Node::parse(&der);
            for edit in how.whole.iter().take(4) {
                whole.edit(edit);
            }
            der = whole.encode();
        }
        if let Some(splice) = &how.bytes {
            splice.apply(&mut der);
        }
        der
    }
}

/// The text, masked: the fuzzer watches comparisons, and would write down itself what it reads there.
#[must_use]
pub fn masked(text: &str) -> String {
    let mask = |c: char| match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => char::from(byte ^ 1),
        Ok(_) | Err(_) => c,
    };
    text.chars().map(mask).collect()
}

/// What of a key must not be seen anywhere, in the ways in which bytes are written, masked.
#[must_use]
pub fn masked_secrets() -> Vec<String> {
    let mut written = Vec::new();
    for seed in DOMAINS
        .iter()
        .flat_map(|domain| [&domain.leaf, &domain.intermediate, &domain.root])
        .map(|minted| &minted.key)
        .chain([&stray_key()])
    {
        let secret = &seed[16..28];
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        written.push(hex.to_uppercase());
        written.push(hex);
        let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
        written.push(decimal.join(", "));
        written.push(secret.escape_ascii().to_string());
    }
    written.iter().map(|text| masked(text)).collect()
}
