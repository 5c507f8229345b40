use std::fmt;

use spiffe_peer::{Fingerprint, IdPattern, SpiffeId, parse};

use super::error::{Why, shortened};

const SERIAL: &str = "serial:";
const SERIAL_DECIMAL: &str = "serial-decimal:";
const KEY: &str = "key-sha256:";

/// The most bytes that the serial number of a certificate has (RFC 5280, section 4.1.2.2, and one
/// for issuers that forget the sign).
const MAX_SERIAL_BYTES: usize = 21;

/// From how many digits on a number without letters may be a decimal one: those of 64 bits. A random
/// hexadecimal number of that length hardly ever is without letters.
const DOUBTFUL_DIGITS: usize = 20;

/// What stands on a [`DenyList`](crate::DenyList). Its text is the line that a file has for it.
///
/// ```
/// use spiffe_source::DenyEntry;
///
/// fn log_line(entry: &DenyEntry) -> String {
///     format!("refused by the entry {entry}")
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenyEntry(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Id(SpiffeId),
    Pattern(IdPattern),
    Serial(String),
    Key(Fingerprint),
}

impl From<Kind> for DenyEntry {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for DenyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Id(id) => id.fmt(f),
            Kind::Pattern(pattern) => pattern.fmt(f),
            Kind::Serial(serial) if is_doubtful(serial) => write!(f, "{SERIAL}0x{serial}"),
            Kind::Serial(serial) => write!(f, "{SERIAL}{serial}"),
            Kind::Key(key) => write!(f, "{KEY}{key}"),
        }
    }
}

/// Reads an entry as a line of a file has it.
pub(super) fn parse(text: &str) -> Result<Kind, Why> {
    if let Some(digits) = text.strip_prefix(SERIAL) {
        serial(digits).map(Kind::Serial)
    } else if let Some(digits) = text.strip_prefix(SERIAL_DECIMAL) {
        serial_decimal(digits).map(Kind::Serial)
    } else if let Some(digits) = text.strip_prefix(KEY) {
        key(digits).map(Kind::Key)
    } else if !text.starts_with("spiffe://") {
        Err(Why::NoEntry)
    } else if text.contains(['*', '{']) {
        pattern(text)
    } else {
        id(text).map(Kind::Id)
    }
}

pub(super) fn id(text: &str) -> Result<SpiffeId, Why> {
    parse::workload_id(text).map_err(Why::Id)
}

/// A pattern without wildcards is one ID, and is looked up as one.
pub(super) fn pattern(text: &str) -> Result<Kind, Why> {
    match parse::workload_id(text) {
        Ok(id) => Ok(Kind::Id(id)),
        Err(_) => text.parse().map(Kind::Pattern).map_err(Why::Pattern),
    }
}

/// The one form of a serial number, whoever wrote it: two lower-case digits for each byte, from the
/// first that is not zero.
pub(super) fn serial(text: &str) -> Result<String, Why> {
    let refused = || Why::Serial(shortened(text));
    if is_doubtful(text) {
        return Err(Why::DoubtfulSerial(shortened(text)));
    }
    let digits = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.contains(':') => None,
        Some(digits) => hex_digits(digits),
        None => hex_digits(text),
    };
    let digits = digits.ok_or_else(refused)?;
    let number = digits.trim_start_matches('0');
    let bytes = number.len().div_ceil(2).max(1);
    if bytes > MAX_SERIAL_BYTES {
        return Err(refused());
    }
    Ok(format!("{number:0>width$}", width = bytes * 2))
}

/// The same form, from decimal digits.
pub(super) fn serial_decimal(text: &str) -> Result<String, Why> {
    let refused = || Why::DecimalSerial(shortened(text));
    if text.is_empty() {
        return Err(refused());
    }
    let mut number = [0_u8; MAX_SERIAL_BYTES];
    // Those before the first other one would only take time.
    for digit in text.trim_start_matches('0').chars() {
        let mut carry = digit.to_digit(10).ok_or_else(refused)?;
        for byte in number.iter_mut().rev() {
            let [.., high, low] = (u32::from(*byte) * 10 + carry).to_be_bytes();
            *byte = low;
            carry = high.into();
        }
        if carry != 0 {
            return Err(refused());
        }
    }
    let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
    serial(&format!("0x{digits}"))
}

/// Whether a serial number may be meant as a decimal one: then it would name another certificate,
/// and the one that it is about would not be denied.
fn is_doubtful(text: &str) -> bool {
    text.len() >= DOUBTFUL_DIGITS && text.bytes().all(|digit| digit.is_ascii_digit())
}

pub(super) fn key(text: &str) -> Result<Fingerprint, Why> {
    let refused = || Why::Key(shortened(text));
    let digits = hex_digits(text).ok_or_else(refused)?;
    let mut digest = [0; 32];
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !odd.is_empty() {
        return Err(refused());
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        *byte = str::from_utf8(pair)
            .ok()
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(refused)?;
    }
    Ok(Fingerprint::from_sha256(digest))
}

/// Hexadecimal digits in lower case, out of either all in a row or pairs with colons between them.
fn hex_digits(text: &str) -> Option<String> {
    let has_gaps = text.contains(':') && text.split(':').any(|pair| pair.len() != 2);
    let digits: String = text.split(':').collect();
    let are_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    (are_hex && !has_gaps).then(|| digits.to_ascii_lowercase())
}
