use std::time::SystemTime;

use der::{Decode, Encode};
use spiffe_peer::{SpiffeId, parse};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};
use x509_cert::name::Name;

use super::bounds::Budget;
use super::error::{X509Error, X509Fault};

const BASIC_CONSTRAINTS: der::oid::ObjectIdentifier =
    der::oid::db::rfc5280::ID_CE_BASIC_CONSTRAINTS;
const KEY_USAGE: der::oid::ObjectIdentifier = der::oid::db::rfc5280::ID_CE_KEY_USAGE;
const NAME_CONSTRAINTS: der::oid::ObjectIdentifier = der::oid::db::rfc5280::ID_CE_NAME_CONSTRAINTS;
const SUBJECT_ALT_NAME: der::oid::ObjectIdentifier = der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;

/// Each is compared with each. Public authorities need about ten.
const MAX_EXTENSIONS: usize = 64;

/// Other names beside the ID mean nothing, but each costs work: a documented bound for both.
const MAX_NAMES: usize = 256;
const MAX_NAMES_BYTES: usize = 16 * 1024;

/// One certificate, decoded strictly: whatever is not DER, or says one thing twice, is refused.
pub(super) struct Certificate {
    tbs: x509_cert::TbsCertificate,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
}

impl Certificate {
    pub(super) fn parse(der: &[u8], budget: &mut Budget) -> Result<Self, X509Error> {
        budget.check(der)?;
        let malformed = |error: der::Error| X509Error::with_detail(X509Fault::Malformed, error);
        let tbs = x509_cert::Certificate::from_der(der)
            .map_err(malformed)?
            .tbs_certificate;
        let extensions = tbs.extensions.as_deref().unwrap_or_default();
        if extensions.len() > MAX_EXTENSIONS {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {MAX_EXTENSIONS} extensions"),
            ));
        }
        for (index, extension) in extensions.iter().enumerate() {
            if extensions
                .iter()
                .take(index)
                .any(|earlier| earlier.extn_id == extension.extn_id)
            {
                return Err(X509Error::with_detail(
                    X509Fault::Malformed,
                    "an extension stands twice",
                ));
            }
        }
        let basic_constraints = extension(extensions, BASIC_CONSTRAINTS)
            .map(BasicConstraints::from_der)
            .transpose()
            .map_err(malformed)?;
        let key_usage = extension(extensions, KEY_USAGE)
            .map(KeyUsage::from_der)
            .transpose()
            .map_err(malformed)?;
        Ok(Self {
            tbs,
            basic_constraints,
            key_usage,
        })
    }

    pub(super) fn subject(&self) -> &Name {
        &self.tbs.subject
    }

    pub(super) fn issuer(&self) -> &Name {
        &self.tbs.issuer
    }

    pub(super) fn not_before(&self) -> SystemTime {
        self.tbs.validity.not_before.to_system_time()
    }

    pub(super) fn not_after(&self) -> SystemTime {
        self.tbs.validity.not_after.to_system_time()
    }

    /// The serial number in lower-case hexadecimal digits, as logs and deny-lists write it: two for
    /// each byte, without the zero that DER puts before a number whose first bit is set.
    pub(super) fn serial(&self) -> String {
        let bytes = match self.tbs.serial_number.as_bytes() {
            [0, number @ ..] if !number.is_empty() => number,
            bytes => bytes,
        };
        bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect()
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, X509Error> {
        self.tbs
            .subject_public_key_info
            .to_der()
            .map_err(|error| X509Error::with_detail(X509Fault::Malformed, error))
    }

    /// An issuer says so, and may sign certificates (X509-SVID, sections 4.1 and 4.3).
    /// `webpki` checks the first, not the second.
    pub(super) fn is_authority(&self) -> bool {
        self.basic_constraints
            .as_ref()
            .is_some_and(|constraints| constraints.ca)
            && self.key_usage.as_ref().is_some_and(KeyUsage::key_cert_sign)
    }

    /// A root stands in a bundle because somebody put it there: a root without keyUsage is taken.
    pub(super) fn is_root(&self) -> bool {
        self.basic_constraints
            .as_ref()
            .is_some_and(|constraints| constraints.ca)
            && self.key_usage.as_ref().is_none_or(KeyUsage::key_cert_sign)
    }

    pub(super) fn constrains_names(&self) -> bool {
        let extensions = self.tbs.extensions.as_deref().unwrap_or_default();
        extension(extensions, NAME_CONSTRAINTS).is_some()
    }

    /// What a leaf must and must not say of itself (X509-SVID, sections 4.1 and 4.3).
    pub(super) fn check_leaf(&self) -> Result<(), X509Error> {
        if self
            .basic_constraints
            .as_ref()
            .is_none_or(|constraints| constraints.ca)
        {
            return Err(X509Error::new(X509Fault::LeafIsAuthority));
        }
        let fits = self.key_usage.as_ref().is_some_and(|usage| {
            usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign()
        });
        if fits {
            Ok(())
        } else {
            Err(X509Error::new(X509Fault::LeafKeyUsage))
        }
    }

    /// The one SPIFFE ID of a leaf: exactly one URI among its names, and that an ID with a path
    /// (X509-SVID, sections 2 and 3.1). Names of other kinds are never identity.
    pub(super) fn spiffe_id(&self, budget: &mut Budget) -> Result<SpiffeId, X509Error> {
        let extensions = self.tbs.extensions.as_deref().unwrap_or_default();
        let value = extension(extensions, SUBJECT_ALT_NAME)
            .ok_or_else(|| X509Error::new(X509Fault::NoSpiffeId))?;
        if value.len() > MAX_NAMES_BYTES {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                "more than 16 KiB of names",
            ));
        }
        budget.check(value)?;
        let SubjectAltName(names) = SubjectAltName::from_der(value)
            .map_err(|error| X509Error::with_detail(X509Fault::Malformed, error))?;
        if names.len() > MAX_NAMES {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                "more than 256 names",
            ));
        }
        let mut uris = names.iter().filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (None, _) => Err(X509Error::new(X509Fault::NoSpiffeId)),
            (Some(_), Some(_)) => Err(X509Error::new(X509Fault::SeveralUris)),
            (Some(uri), None) => parse::workload_id(uri.as_str())
                .map_err(|error| X509Error::with_detail(X509Fault::BadSpiffeId, error)),
        }
    }
}

fn extension(extensions: &[Extension], id: der::oid::ObjectIdentifier) -> Option<&[u8]> {
    extensions
        .iter()
        .find(|extension| extension.extn_id == id)
        .map(|extension| extension.extn_value.as_bytes())
}
