//! Certificates and keys in PEM (RFC 7468), read so strictly that a piece of a block is an error. A
//! text that ends between two blocks is whole, though: nothing tells it from a smaller set.

use std::error::Error;
use std::fmt;

use base64ct::{Base64, Encoding as _};
use spiffe_verify::split_der;
use zeroize::Zeroizing;

const CERTIFICATE: &str = "CERTIFICATE";
const PKCS8_KEY: &str = "PRIVATE KEY";

/// What a key file may hold that another program can turn into PKCS#8.
const OTHER_KEYS: [&str; 4] = [
    "EC PARAMETERS",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
];

const MAX_LABEL: usize = 64;

/// The certificates of a text, one after the other in DER.
///
/// # Errors
///
/// [`Fault`] where there is none, or anything beside certificates.
pub(crate) fn certificates(pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let blocks = blocks(pem)?;
    if blocks.is_empty() {
        return Err(Fault::NoCertificate);
    }
    let mut all = Zeroizing::new(Vec::new());
    for block in blocks {
        if block.label != CERTIFICATE {
            return Err(Fault::NotACertificate(block.label.to_owned(), block.begins));
        }
        let der = block.decode()?;
        if !split_der(&der).is_ok_and(|values| values.len() == 1) {
            return Err(Fault::NotDer(block.begins));
        }
        all.extend_from_slice(&der);
    }
    Ok(all)
}

/// The one PKCS#8 key of a text, in DER.
///
/// # Errors
///
/// [`Fault`] where it is absent, of another format, or not alone.
pub(crate) fn key(pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let blocks = blocks(pem)?;
    if let [only] = blocks.as_slice()
        && only.label == PKCS8_KEY
    {
        return only.decode();
    }
    let other = |block: &&Block<'_>| OTHER_KEYS.contains(&block.label);
    Err(match blocks.iter().find(other) {
        Some(other) => Fault::KeyFormat(other.label.to_owned()),
        None if blocks.is_empty() => Fault::NoKey,
        None => Fault::NotOneKey,
    })
}

/// What stands between a line that begins and the line that ends it.
struct Block<'p> {
    label: &'p str,
    begins: usize,
    lines: Vec<&'p [u8]>,
}

impl Block<'_> {
    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        // Of its final size at once: a buffer that grows leaves copies of a key behind.
        let length = self.lines.iter().map(|line| line.len()).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        for line in &self.lines {
            text.extend_from_slice(line);
        }
        let mut der = Zeroizing::new(vec![0; length]);
        let decoded = Base64::decode(text.as_slice(), &mut der)
            .map_err(|_| Fault::Base64(self.begins))?
            .len();
        der.truncate(decoded);
        Ok(der)
    }
}

/// The blocks of a text. What stands between them may be words, but nothing that looks like a piece
/// of a block.
fn blocks(pem: &[u8]) -> Result<Vec<Block<'_>>, Fault> {
    let mut ended = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (line, number) in pem.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err(Fault::NotText(number));
        }
        if !line.starts_with(b"-") {
            if let Some(block) = &mut open {
                block.lines.push(line);
            }
            continue;
        }
        open = match (
            open.take(),
            label(line, b"-----BEGIN "),
            label(line, b"-----END "),
        ) {
            (None, Some(label), _) => Some(Block {
                label,
                begins: number,
                lines: Vec::new(),
            }),
            (Some(block), None, Some(label)) if label == block.label => {
                ended.push(block);
                None
            }
            (Some(block), Some(_), _) => return Err(Fault::NoEnd(block.begins)),
            _ => return Err(Fault::Boundary(number)),
        };
    }
    match open {
        Some(block) => Err(Fault::NoEnd(block.begins)),
        None => Ok(ended),
    }
}

fn label<'p>(line: &'p [u8], boundary: &[u8]) -> Option<&'p str> {
    let label = line.strip_prefix(boundary)?.strip_suffix(b"-----")?;
    let label = std::str::from_utf8(label).ok()?;
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    (label.len() <= MAX_LABEL && label.chars().all(is_plain)).then_some(label)
}

/// What is wrong with a text. It never tells what stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    NotText(usize),
    Boundary(usize),
    NoEnd(usize),
    Base64(usize),
    NotDer(usize),
    NoCertificate,
    NotACertificate(String, usize),
    NoKey,
    NotOneKey,
    KeyFormat(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(line) => write!(f, "line {line} is no text"),
            Self::Boundary(line) => {
                write!(
                    f,
                    "line {line} neither begins nor ends a block as it should"
                )
            }
            Self::NoEnd(line) => write!(f, "the block of line {line} does not end"),
            Self::Base64(line) => write!(f, "the block of line {line} is not Base64"),
            Self::NotDer(line) => write!(f, "the block of line {line} is not one DER value"),
            Self::NoCertificate => f.write_str("it holds no certificate"),
            Self::NotACertificate(label, line) => write!(
                f,
                "line {line} begins a `{label}`, where only certificates may stand"
            ),
            Self::NoKey => f.write_str("it holds no private key"),
            Self::NotOneKey => {
                f.write_str("it holds something else than one `PRIVATE KEY` and nothing beside it")
            }
            Self::KeyFormat(label) => write!(
                f,
                "it holds a `{label}`, and an unencrypted PKCS#8 `PRIVATE KEY` is needed: convert \
                 it with `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW`, or let cert-manager \
                 write it with `privateKey.encoding: PKCS8`"
            ),
        }
    }
}

/// PEM that gives no material. It never shows what stands in it.
///
/// ```
/// use spiffe_source::SvidMaterial;
///
/// let error = SvidMaterial::from_pem("", "", "").unwrap_err();
/// assert_eq!(error.to_string(), "the certificate chain: it holds no certificate");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPem {
    part: &'static str,
    fault: Fault,
}

impl InvalidPem {
    pub(crate) fn of(part: &'static str) -> impl Fn(Fault) -> Self {
        move |fault| Self { part, fault }
    }

    /// Whether it is a private key in another format than unencrypted PKCS#8, which can be
    /// converted; the message says how.
    #[must_use]
    pub fn is_key_format(&self) -> bool {
        matches!(self.fault, Fault::KeyFormat(_))
    }
}

impl fmt::Display for InvalidPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.fault)
    }
}

impl Error for InvalidPem {}

#[cfg(test)]
mod tests;
