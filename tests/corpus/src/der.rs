//! A writer of DER that also writes what DER forbids: every part is bytes, and nothing is checked.

use std::time::{Duration, SystemTime};

pub use der::asn1::ObjectIdentifier;
use der::{DateTime, Encode};

/// A tag, a length in its shortest form, and the contents.
#[must_use]
pub fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    let shortest: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match *shortest.as_slice() {
        [] => der.push(0),
        [short @ 0..128] => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(shortest.len()).unwrap());
            der.extend(&shortest);
        }
    }
    der.extend_from_slice(body);
    der
}

/// Contents and tag of a value, its length written with one byte more than it needs.
#[must_use]
pub fn with_long_length(der: &[u8]) -> Vec<u8> {
    let (tag, body) = open(der);
    let length: Vec<u8> = (body.len().to_be_bytes())
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    let count = u8::try_from(length.len() + 1).unwrap();
    [[tag, 0x80 | count, 0].as_slice(), &length, body].concat()
}

/// A constructed value in BER's form without length.
#[must_use]
pub fn with_indefinite_length(der: &[u8]) -> Vec<u8> {
    let (tag, body) = open(der);
    [[tag, 0x80].as_slice(), body, &[0, 0]].concat()
}

/// The tag and the contents of a value.
#[must_use]
pub fn open(der: &[u8]) -> (u8, &[u8]) {
    let header = match der[1] {
        short @ 0..128 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let length = &der[2..2 + count];
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + count, length)
        }
    };
    (der[0], &der[header.0..header.0 + header.1])
}

/// The values that stand one after another.
#[must_use]
pub fn values(mut body: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    while !body.is_empty() {
        let inner = open(body).1;
        let end = inner.as_ptr() as usize - body.as_ptr() as usize + inner.len();
        values.push(&body[..end]);
        body = &body[end..];
    }
    values
}

/// SEQUENCE
#[must_use]
pub fn sequence<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    tlv(0x30, &concat(parts))
}

/// SET
#[must_use]
pub fn set<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    tlv(0x31, &concat(parts))
}

fn concat<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    parts
        .into_iter()
        .flat_map(|part| part.as_ref().to_vec())
        .collect()
}

/// A context-specific tag around parts.
#[must_use]
pub fn explicit<P: AsRef<[u8]>>(number: u8, parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    tlv(0xa0 | number, &concat(parts))
}

/// OBJECT IDENTIFIER, from its dotted form.
#[must_use]
pub fn oid(dotted: &str) -> Vec<u8> {
    tlv(6, ObjectIdentifier::new(dotted).unwrap().as_bytes())
}

/// INTEGER with these contents.
#[must_use]
pub fn integer(contents: &[u8]) -> Vec<u8> {
    tlv(2, contents)
}

/// INTEGER that is not negative, from its magnitude.
#[must_use]
pub fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let mut contents: Vec<u8> = magnitude
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    if contents.first().is_none_or(|first| *first >= 0x80) {
        contents.insert(0, 0);
    }
    integer(&contents)
}

/// BIT STRING without unused bits.
#[must_use]
pub fn bits(contents: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], contents].concat())
}

/// OCTET STRING
#[must_use]
pub fn octets(contents: &[u8]) -> Vec<u8> {
    tlv(4, contents)
}

/// BOOLEAN TRUE
#[must_use]
pub fn yes() -> Vec<u8> {
    tlv(1, &[0xff])
}

/// UTF8String
#[must_use]
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(12, text.as_bytes())
}

/// A point in time as certificates write it: UTCTime until 2049, GeneralizedTime after.
#[must_use]
pub fn time(at: SystemTime) -> Vec<u8> {
    let at = whole_seconds(at);
    let date = DateTime::from_system_time(at).unwrap();
    if date.year() < 2050 {
        let utc = der::asn1::UtcTime::from_date_time(date).unwrap();
        utc.to_der().unwrap()
    } else {
        let general = der::asn1::GeneralizedTime::from_date_time(date);
        general.to_der().unwrap()
    }
}

/// The point in time without its fraction of a second.
#[must_use]
pub fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// A name of one organization and one common name.
#[must_use]
pub fn name(organization: &str, common: &str) -> Vec<u8> {
    sequence([
        set([attribute("2.5.4.10", organization)]),
        set([attribute("2.5.4.3", common)]),
    ])
}

/// One attribute of a name.
#[must_use]
pub fn attribute(kind: &str, value: &str) -> Vec<u8> {
    sequence([oid(kind), utf8(value)])
}
