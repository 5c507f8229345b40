//! A certificate before it is signed: every field is bytes that can be replaced.

use std::time::{Duration, SystemTime};

use crate::der;
use crate::extension::Extension;
use crate::key::{Key, Scheme};

/// The fields of a certificate, in DER, whatever they hold.
#[derive(Debug, Clone)]
pub struct Template {
    /// `[0] EXPLICIT INTEGER`, or nothing, which says version 1.
    pub version: Vec<u8>,
    /// INTEGER
    pub serial: Vec<u8>,
    /// The algorithm inside; the one of the signature, unless it is set.
    pub inner_algorithm: Option<Vec<u8>>,
    /// The algorithm outside; the one of the signature, unless it is set.
    pub outer_algorithm: Option<Vec<u8>>,
    /// Name; that of the authority that signs, unless it is set.
    pub issuer: Option<Vec<u8>>,
    /// Time
    pub not_before: Vec<u8>,
    /// Time
    pub not_after: Vec<u8>,
    /// Name
    pub subject: Vec<u8>,
    /// SubjectPublicKeyInfo
    pub public_key: Vec<u8>,
    /// What stands between the key and the extensions.
    pub unique_ids: Vec<u8>,
    /// The extensions.
    pub extensions: Vec<Extension>,
    /// The whole field of the extensions, where it is not made of them.
    pub raw_extensions: Option<Vec<u8>>,
    /// What stands after the extensions.
    pub tail: Vec<u8>,
}

impl Template {
    /// A certificate of version 3 without extensions, valid for an hour before and after `now`.
    #[must_use]
    pub fn new(subject: Vec<u8>, key: &Key, now: SystemTime) -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        let mut serial = [0; 15];
        aws_lc_rs::rand::fill(&mut serial).unwrap();
        serial[0] = 0x41;
        Self {
            version: der::explicit(0, [der::integer(&[2])]),
            serial: der::integer(&serial),
            inner_algorithm: None,
            outer_algorithm: None,
            issuer: None,
            not_before: der::time(now - HOUR),
            not_after: der::time(now + HOUR),
            subject,
            public_key: key.public().to_vec(),
            unique_ids: Vec::new(),
            extensions: Vec::new(),
            raw_extensions: None,
            tail: Vec::new(),
        }
    }

    /// Adds an extension, in place of the one of its kind.
    #[must_use]
    pub fn with(mut self, extension: Extension) -> Self {
        match self
            .extensions
            .iter_mut()
            .find(|known| known.oid == extension.oid)
        {
            Some(known) => *known = extension,
            None => self.extensions.push(extension),
        }
        self
    }

    /// Adds an extension, whatever is there.
    #[must_use]
    pub fn and(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Takes an extension away.
    #[must_use]
    pub fn without(mut self, oid: &str) -> Self {
        self.extensions.retain(|known| known.oid != oid);
        self
    }

    /// Changes any field.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Sets both ends of the validity.
    #[must_use]
    pub fn valid(self, from: SystemTime, to: SystemTime) -> Self {
        self.change(|it| (it.not_before, it.not_after) = (der::time(from), der::time(to)))
    }

    /// What is signed.
    #[must_use]
    pub fn to_be_signed(&self, issuer: &[u8], algorithm: &[u8]) -> Vec<u8> {
        let extensions = self.raw_extensions.clone().unwrap_or_else(|| {
            if self.extensions.is_empty() {
                return Vec::new();
            }
            let list = self.extensions.iter().map(Extension::der);
            der::explicit(3, [der::sequence(list)])
        });
        let algorithm = self.inner_algorithm.as_deref().unwrap_or(algorithm);
        der::sequence([
            self.version.as_slice(),
            &self.serial,
            algorithm,
            self.issuer.as_deref().unwrap_or(issuer),
            &der::sequence([&self.not_before, &self.not_after]),
            &self.subject,
            &self.public_key,
            &self.unique_ids,
            &extensions,
            &self.tail,
        ])
    }

    /// Signs it in the name of an issuer.
    #[must_use]
    pub fn sign(&self, issuer: &[u8], key: &Key, scheme: Scheme) -> Vec<u8> {
        let algorithm = key.algorithm(scheme);
        let signed = self.to_be_signed(issuer, &algorithm);
        self.seal(&signed, &algorithm, &key.sign(scheme, &signed))
    }

    /// Puts the certificate together from what was signed and a signature.
    #[must_use]
    pub fn seal(&self, signed: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
        let algorithm = self.outer_algorithm.as_deref().unwrap_or(algorithm);
        der::sequence([signed, algorithm, &der::bits(signature)])
    }
}
