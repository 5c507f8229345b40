//! What a certificate may cost before anything is known about it.

use super::error::{X509Error, X509Fault};

/// `der` sorts the members of a SET one by one, so that a name with thousands of attributes costs
/// their square. Names that people give have one attribute, rarely two.
const MAX_SET: usize = 8;

/// Extensions, names and attributes; several passes compare them with each other.
const MAX_SEQUENCE: usize = 512;

const MAX_DEPTH: usize = 16;

const CONSTRUCTED: u8 = 0x20;
const SET: u8 = 0x31;

/// Refuses what would be dear to decode, in one pass over the bytes. It sees tags and lengths alone:
/// whether they are DER is judged by who decodes them.
pub(super) fn check(der: &[u8]) -> Result<(), X509Error> {
    let (value, _) = split(der)?;
    members(value, 0)
}

struct Value<'a> {
    tag: u8,
    content: &'a [u8],
}

fn members(value: Value<'_>, depth: usize) -> Result<(), X509Error> {
    if value.tag & CONSTRUCTED == 0 {
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        return Err(X509Error::with_detail(
            X509Fault::Malformed,
            format_args!("nested deeper than {MAX_DEPTH}"),
        ));
    }
    let (most, kind) = if value.tag == SET {
        (MAX_SET, "SET")
    } else {
        (MAX_SEQUENCE, "SEQUENCE")
    };
    let mut rest = value.content;
    let mut count = 0;
    while !rest.is_empty() {
        count += 1;
        if count > most {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {most} members of a {kind}"),
            ));
        }
        let (member, after) = split(rest)?;
        members(member, depth + 1)?;
        rest = after;
    }
    Ok(())
}

/// The first value, and what stands behind it. Tags are one byte, lengths definite (X.690, 8.1).
fn split(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), X509Error> {
    let whole = || {
        let (tag, rest) = bytes.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ ..=0x7f => (short, rest),
            long @ 0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(long - 0x80)?;
                let digit = |length, digit: &u8| (length << 8) | usize::from(*digit);
                (digits.iter().fold(0, digit), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Value { tag: *tag, content }, rest))
    };
    whole().ok_or_else(|| X509Error::with_detail(X509Fault::Malformed, "not DER"))
}
