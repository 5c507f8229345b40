use std::time::SystemTime;

use der::asn1::{BitStringRef, IntRef, ObjectIdentifier};
use der::{Tag, TagNumber};
use spiffe_peer::{SpiffeId, parse};

use super::bounds::Budget;
use super::error::{X509Error, X509Fault};
use super::fields::{self, Values};
use super::general_name;

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");

/// Each is compared with each. Public authorities need about ten.
const MAX_EXTENSIONS: usize = 64;

/// Other names beside the ID mean nothing, but each costs work: a documented bound for both.
const MAX_NAMES: usize = 256;
const MAX_NAMES_KIB: usize = 16;

/// Of a serial number, without the zero that DER puts before some (RFC 5280, section 4.1.2.2).
const MAX_SERIAL_BYTES: usize = 20;

/// Version 3, as it is written: version 1 is 0 (RFC 5280, section 4.1.2.1).
const VERSION_3: u8 = 2;

const DIGITAL_SIGNATURE: usize = 0;
const KEY_CERT_SIGN: usize = 5;
const CRL_SIGN: usize = 6;

/// One certificate, read strictly: whatever could be read in two ways, or says one thing twice, is
/// refused.
pub(super) struct Certificate<'a> {
    signed: Signed<'a>,
    is_ca: Option<bool>,
    key_usage: Option<BitStringRef<'a>>,
    names: Option<&'a [u8]>,
    constrains_names: bool,
}

/// What an issuer signs.
struct Signed<'a> {
    serial: IntRef<'a>,
    issuer: &'a [u8],
    not_before: SystemTime,
    not_after: SystemTime,
    subject: &'a [u8],
    public_key: &'a [u8],
    extensions: &'a [u8],
}

fn malformed(error: der::Error) -> X509Error {
    X509Error::with_detail(X509Fault::Malformed, error)
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a [u8], budget: &mut Budget) -> Result<Self, X509Error> {
        budget.check(der)?;
        let signed = fields::all(der, |whole| {
            whole.list(|parts| {
                let signed = parts.list(Signed::read)?;
                fields::algorithm(parts)?;
                parts.next::<BitStringRef<'_>>()?;
                Ok(signed)
            })
        });
        let mut certificate = Self {
            signed: signed.map_err(malformed)?,
            is_ca: None,
            key_usage: None,
            names: None,
            constrains_names: false,
        };
        certificate.check_serial()?;
        certificate.read_extensions()?;
        Ok(certificate)
    }

    /// Deny-lists name serial numbers by their bytes: -1 and 255 would be one.
    fn check_serial(&self) -> Result<(), X509Error> {
        let is_negative = (self.signed.serial.as_bytes().first()).is_some_and(|byte| *byte > 0x7f);
        if is_negative {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                "a serial number is negative",
            ));
        }
        if self.serial_bytes().len() > MAX_SERIAL_BYTES {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("a serial number has more than {MAX_SERIAL_BYTES} bytes"),
            ));
        }
        Ok(())
    }

    fn read_extensions(&mut self) -> Result<(), X509Error> {
        let mut extensions = Values(self.signed.extensions);
        let mut ids = Vec::with_capacity(16);
        while !extensions.are_read() {
            let (id, value) = fields::extension(&mut extensions).map_err(malformed)?;
            if ids.contains(&id) {
                return Err(X509Error::with_detail(
                    X509Fault::Malformed,
                    "an extension stands twice",
                ));
            }
            if ids.len() == MAX_EXTENSIONS {
                return Err(X509Error::with_detail(
                    X509Fault::Malformed,
                    format_args!("more than {MAX_EXTENSIONS} extensions"),
                ));
            }
            ids.push(id);
            match id {
                BASIC_CONSTRAINTS => {
                    self.is_ca =
                        Some(fields::all(value, fields::basic_constraints).map_err(malformed)?);
                }
                KEY_USAGE => {
                    self.key_usage =
                        Some(fields::all(value, fields::key_usage).map_err(malformed)?);
                }
                SUBJECT_ALT_NAME => self.names = Some(value),
                NAME_CONSTRAINTS => self.constrains_names = true,
                // Path validation refuses those that are critical and that it does not know.
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn subject(&self) -> &'a [u8] {
        self.signed.subject
    }

    pub(super) fn issuer(&self) -> &'a [u8] {
        self.signed.issuer
    }

    pub(super) fn not_before(&self) -> SystemTime {
        self.signed.not_before
    }

    pub(super) fn not_after(&self) -> SystemTime {
        self.signed.not_after
    }

    /// Without the zero that DER puts before a number whose first bit is set.
    fn serial_bytes(&self) -> &'a [u8] {
        match self.signed.serial.as_bytes() {
            [0, number @ ..] if !number.is_empty() => number,
            bytes => bytes,
        }
    }

    /// The serial number in lower-case hexadecimal digits, as logs and deny-lists write it: two for
    /// each byte.
    pub(super) fn serial(&self) -> String {
        let bytes = self.serial_bytes();
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            let both = [byte >> 4, byte & 0xf].map(u32::from);
            digits.extend(both.iter().filter_map(|digit| char::from_digit(*digit, 16)));
        }
        digits
    }

    /// A whole SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> &'a [u8] {
        self.signed.public_key
    }

    /// An issuer says so, and may sign certificates (X509-SVID, sections 4.1 and 4.3).
    /// `webpki` checks the first, not the second.
    pub(super) fn is_authority(&self) -> bool {
        self.is_ca == Some(true) && self.may(KEY_CERT_SIGN)
    }

    /// A root stands in a bundle because somebody put it there: a root without keyUsage is taken.
    pub(super) fn is_root(&self) -> bool {
        self.is_ca == Some(true) && (self.key_usage.is_none() || self.may(KEY_CERT_SIGN))
    }

    /// Whether keyUsage is there and names this use.
    fn may(&self, usage: usize) -> bool {
        let named = self.key_usage.and_then(|named| named.bits().nth(usage));
        named == Some(true)
    }

    pub(super) fn constrains_names(&self) -> bool {
        self.constrains_names
    }

    /// What a leaf must and must not say of itself (X509-SVID, sections 4.1 and 4.3).
    pub(super) fn check_leaf(&self) -> Result<(), X509Error> {
        if self.is_ca != Some(false) {
            return Err(X509Error::new(X509Fault::LeafIsAuthority));
        }
        let fits = self.may(DIGITAL_SIGNATURE) && !self.may(KEY_CERT_SIGN) && !self.may(CRL_SIGN);
        if fits {
            Ok(())
        } else {
            Err(X509Error::new(X509Fault::LeafKeyUsage))
        }
    }

    /// The one SPIFFE ID of a leaf: exactly one URI among its names, and that an ID with a path
    /// (X509-SVID, sections 2 and 3.1). Names of other kinds are never identity.
    pub(super) fn spiffe_id(&self, budget: &mut Budget) -> Result<SpiffeId, X509Error> {
        let value = self
            .names
            .ok_or_else(|| X509Error::new(X509Fault::NoSpiffeId))?;
        if value.len() > MAX_NAMES_KIB * 1024 {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {MAX_NAMES_KIB} KiB of names"),
            ));
        }
        budget.check(value)?;
        let (mut names, mut uris) = (0, Vec::new());
        fields::all(value, |value| {
            value.list(|list| {
                while !list.are_read() {
                    uris.extend(general_name::uri(list)?);
                    names += 1;
                }
                Ok(())
            })
        })
        .map_err(malformed)?;
        if names > MAX_NAMES {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {MAX_NAMES} names"),
            ));
        }
        match *uris {
            [] => Err(X509Error::new(X509Fault::NoSpiffeId)),
            [_, _, ..] => Err(X509Error::new(X509Fault::SeveralUris)),
            [uri] => parse::workload_id(uri)
                .map_err(|error| X509Error::with_detail(X509Fault::BadSpiffeId, error)),
        }
    }
}

impl<'a> Signed<'a> {
    /// Without the unique identifiers that version 2 had: path validation knows none either.
    fn read(values: &mut Values<'a>) -> der::Result<Self> {
        let version = values.tagged_option(TagNumber::N0)?;
        let version = version
            .map(|version| version.decode_as::<u8>())
            .transpose()?;
        if version.is_some_and(|version| version > VERSION_3) {
            return Err(Tag::Integer.value_error());
        }
        let serial = values.next::<IntRef<'a>>()?;
        fields::algorithm(values)?;
        let issuer = fields::name(values)?;
        let (not_before, not_after) =
            values.list(|validity| Ok((fields::time(validity)?, fields::time(validity)?)))?;
        let subject = fields::name(values)?;
        let public_key = fields::public_key(values)?;
        let extensions = fields::extensions(values)?;
        Ok(Self {
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            extensions,
        })
    }
}
