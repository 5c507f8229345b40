//! What a certificate may cost before anything is known about it.

use super::error::{X509Error, X509Fault};

/// The attributes of one part of a name: those that people give have one, rarely two.
const MAX_SET: usize = 8;

const MAX_DEPTH: usize = 16;

/// DER values that are looked at for one chain. Each costs a decoder some 0.1 µs; a usual certificate
/// has less than a hundred, and one with as many names as are taken 400.
const MAX_VALUES: usize = 1024;

const CONSTRUCTED: u8 = 0x20;
const SET: u8 = 0x31;

/// What the certificates of one chain may cost together.
pub(super) struct Budget {
    values: usize,
}

impl Budget {
    pub(super) fn of_a_chain() -> Self {
        Self { values: MAX_VALUES }
    }

    /// Refuses what would be dear to decode, in one pass over the bytes. It sees tags and lengths
    /// alone: whether they are DER is judged by who decodes them.
    pub(super) fn check(&mut self, der: &[u8]) -> Result<(), X509Error> {
        let (value, _) = split(der).ok_or_else(no_value)?;
        self.members(value, 0)
    }

    fn members(&mut self, value: Value<'_>, depth: usize) -> Result<(), X509Error> {
        self.values = self.values.checked_sub(1).ok_or_else(|| {
            X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {MAX_VALUES} values in the certificates of a chain"),
            )
        })?;
        if value.tag & CONSTRUCTED == 0 {
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("nested deeper than {MAX_DEPTH}"),
            ));
        }
        let mut rest = value.content;
        let mut count = 0;
        while !rest.is_empty() {
            count += 1;
            if value.tag == SET && count > MAX_SET {
                return Err(X509Error::with_detail(
                    X509Fault::Malformed,
                    format_args!("more than {MAX_SET} members of a SET"),
                ));
            }
            let (member, after) = split(rest).ok_or_else(no_value)?;
            self.members(member, depth + 1)?;
            rest = after;
        }
        Ok(())
    }
}

pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Whether the length is written as DER wants it, in as few bytes as it can be (X.690, section
    /// 10.1).
    pub(super) is_shortest: bool,
}

/// The first value, and what stands behind it. Tags are one byte, lengths definite (X.690, 8.1).
pub(super) fn split(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, is_shortest, rest) = match usize::from(*first) {
        short @ ..=0x7f => (short, true, rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            let digit = |length, digit: &u8| (length << 8) | usize::from(*digit);
            let length = digits.iter().fold(0, digit);
            (length, length > 0x7f && digits.first() != Some(&0), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let value = Value {
        tag: *tag,
        content,
        is_shortest,
    };
    Some((value, rest))
}

fn no_value() -> X509Error {
    X509Error::with_detail(X509Fault::Malformed, "not DER")
}
