//! The extensions of certificates.

use crate::der;

/// An extension as it will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its name, in dots.
    pub oid: &'static str,
    /// The part between name and value, which DER leaves out where it says no.
    pub critical: Vec<u8>,
    /// What stands in the OCTET STRING.
    pub value: Vec<u8>,
}

/// subjectAltName
pub const SAN: &str = "2.5.29.17";
/// basicConstraints
pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
/// keyUsage
pub const KEY_USAGE: &str = "2.5.29.15";
/// extKeyUsage
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
/// nameConstraints
pub const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// id-kp-serverAuth
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// id-kp-clientAuth
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// id-kp-codeSigning
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// anyExtendedKeyUsage
pub const ANY_USAGE: &str = "2.5.29.37.0";

/// The bits of keyUsage, the first of them the highest.
pub const DIGITAL_SIGNATURE: u8 = 0x80;
/// keyEncipherment
pub const KEY_ENCIPHERMENT: u8 = 0x20;
/// keyAgreement
pub const KEY_AGREEMENT: u8 = 0x08;
/// keyCertSign
pub const KEY_CERT_SIGN: u8 = 0x04;
/// cRLSign
pub const CRL_SIGN: u8 = 0x02;

impl Extension {
    /// An extension that is not critical.
    #[must_use]
    pub fn new(oid: &'static str, value: Vec<u8>) -> Self {
        Self {
            oid,
            critical: Vec::new(),
            value,
        }
    }

    /// The same, critical.
    #[must_use]
    pub fn critical(mut self) -> Self {
        self.critical = der::yes();
        self
    }

    /// The same, with these bytes where `critical` stands.
    #[must_use]
    pub fn critical_as(mut self, raw: Vec<u8>) -> Self {
        self.critical = raw;
        self
    }

    /// As it stands in the certificate.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        der::sequence([
            der::oid(self.oid),
            self.critical.clone(),
            der::octets(&self.value),
        ])
    }
}

/// Subject alternative names.
#[must_use]
pub fn san(names: impl IntoIterator<Item = Vec<u8>>) -> Extension {
    Extension::new(SAN, der::sequence(names))
}

/// A URI among names.
#[must_use]
pub fn uri(uri: impl AsRef<[u8]>) -> Vec<u8> {
    der::tlv(0x86, uri.as_ref())
}

/// A DNS name among names.
#[must_use]
pub fn dns(name: &str) -> Vec<u8> {
    der::tlv(0x82, name.as_bytes())
}

/// A mail address among names.
#[must_use]
pub fn email(address: &str) -> Vec<u8> {
    der::tlv(0x81, address.as_bytes())
}

/// An IP address among names.
#[must_use]
pub fn ip(address: &[u8]) -> Vec<u8> {
    der::tlv(0x87, address)
}

/// Basic constraints of an authority.
#[must_use]
pub fn authority(path_length: Option<u8>) -> Extension {
    let length = path_length
        .map(|length| der::unsigned(&[length]))
        .unwrap_or_default();
    Extension::new(BASIC_CONSTRAINTS, der::sequence([der::yes(), length])).critical()
}

/// Basic constraints of what is no authority.
#[must_use]
pub fn no_authority() -> Extension {
    Extension::new(BASIC_CONSTRAINTS, der::sequence([Vec::new()])).critical()
}

/// Key usage with these bits.
#[must_use]
pub fn key_usage(bits: u8) -> Extension {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
    let value = if bits == 0 {
        der::tlv(3, &[0])
    } else {
        der::tlv(3, &[unused, bits])
    };
    Extension::new(KEY_USAGE, value).critical()
}

/// Extended key usage.
#[must_use]
pub fn extended_key_usage(usages: &[&str]) -> Extension {
    Extension::new(
        EXTENDED_KEY_USAGE,
        der::sequence(usages.iter().map(|usage| der::oid(usage))),
    )
}

/// Name constraints: what is permitted and what is excluded.
#[must_use]
pub fn name_constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Extension {
    let subtrees = |number: u8, names: &[Vec<u8>]| {
        if names.is_empty() {
            return Vec::new();
        }
        der::explicit(number, names.iter().map(|name| der::sequence([name])))
    };
    let value = der::sequence([subtrees(0, permitted), subtrees(1, excluded)]);
    Extension::new(NAME_CONSTRAINTS, value).critical()
}

/// The identifier of a key.
#[must_use]
pub fn key_identifier() -> Extension {
    Extension::new("2.5.29.14", der::octets(&[0x11; 20]))
}

/// An extension that nobody knows.
#[must_use]
pub fn unknown() -> Extension {
    Extension::new("1.3.6.1.4.1.55738.666.1", der::utf8("?"))
}
