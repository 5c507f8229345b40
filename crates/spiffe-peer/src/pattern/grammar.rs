//! The grammar of ID patterns. Its one reader is constant, so that it judges a text at run time and a
//! literal when the program is compiled.

use std::borrow::Cow;

use super::IdPattern;
use crate::parse::MAX_ID_BYTES;

/// The most segments a pattern may have.
pub(super) const MAX_SEGMENTS: usize = 64;
const MAX_DOMAIN_BYTES: usize = 255;

/// A text that follows the grammar.
#[derive(Debug, Clone, Copy)]
pub struct CheckedPattern<'a>(&'a str);

impl<'a> CheckedPattern<'a> {
    pub(super) const fn read(text: &'a str) -> Result<Self, Flaw> {
        match check(text.as_bytes()) {
            Ok(()) => Ok(Self(text)),
            Err(flaw) => Err(flaw),
        }
    }

    pub(super) fn to_pattern(self) -> IdPattern {
        IdPattern(Cow::Owned(self.0.to_owned()))
    }
}

impl CheckedPattern<'static> {
    /// # Errors
    ///
    /// What the compiler says where the literal is no ID pattern.
    pub const fn of_literal(text: &'static str) -> Result<Self, &'static str> {
        match Self::read(text) {
            Ok(checked) => Ok(checked),
            Err(flaw) => Err(flaw.message()),
        }
    }

    /// The pattern, which borrows the literal.
    #[must_use]
    pub const fn pattern(self) -> IdPattern {
        IdPattern(Cow::Borrowed(self.0))
    }
}

/// Why a text is no ID pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    NoScheme,
    NoTrustDomain,
    LongTrustDomain,
    WildcardInTrustDomain,
    BadTrustDomain,
    NoPath,
    EmptySegment,
    DotSegment,
    PartOfSegment,
    BadName,
    NameTwice,
    BadByte,
    TooManySegments,
    TooLong,
}

impl Flaw {
    /// What the compiler says.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::NoScheme => "an ID pattern begins with `spiffe://`",
            Self::NoTrustDomain => "the trust domain is missing",
            Self::LongTrustDomain => "a trust domain has at most 255 bytes",
            Self::WildcardInTrustDomain | Self::BadTrustDomain => {
                "a trust domain is lower-case letters, digits, `.`, `-` and `_`, and has no wildcard"
            }
            Self::NoPath => "it names a trust domain, not a workload: a path is missing",
            Self::EmptySegment => "a segment is empty: no `//`, and no `/` at the end",
            Self::DotSegment => "`.` and `..` are no segments",
            Self::PartOfSegment => {
                "a wildcard stands for a whole segment; write `/*`, `/{name}` or, at the end, `/**`"
            }
            Self::BadName => {
                "a name in braces is letters, digits and `_`, and does not begin with a digit"
            }
            Self::NameTwice => "a name in braces stands once in a pattern",
            Self::BadByte => "a segment is letters, digits, `.`, `-` and `_`",
            Self::TooManySegments => "an ID pattern has at most 64 segments",
            Self::TooLong => "an ID has at most 2048 bytes",
        }
    }
}

const fn check(text: &[u8]) -> Result<(), Flaw> {
    let [
        b's',
        b'p',
        b'i',
        b'f',
        b'f',
        b'e',
        b':',
        b'/',
        b'/',
        rest @ ..,
    ] = text
    else {
        return Err(Flaw::NoScheme);
    };
    let (domain, mut rest) = until_slash(rest);
    if let Err(flaw) = check_domain(domain) {
        return Err(flaw);
    }
    if rest.is_empty() {
        return Err(Flaw::NoPath);
    }
    let mut id_bytes = "spiffe://".len() + domain.len();
    let mut segments = 0;
    // Every round begins at a slash.
    while let Some((_, path)) = rest.split_first() {
        let (segment, further) = until_slash(path);
        if matches!(segment, [b'*', b'*']) && further.is_empty() {
            break;
        }
        id_bytes += match check_segment(segment, further) {
            Ok(bytes) => 1 + bytes,
            Err(flaw) => return Err(flaw),
        };
        segments += 1;
        if segments > MAX_SEGMENTS {
            return Err(Flaw::TooManySegments);
        }
        rest = further;
    }
    if id_bytes > MAX_ID_BYTES {
        return Err(Flaw::TooLong);
    }
    Ok(())
}

const fn check_domain(domain: &[u8]) -> Result<(), Flaw> {
    if domain.is_empty() {
        return Err(Flaw::NoTrustDomain);
    }
    let mut left = domain;
    while let Some((byte, more)) = left.split_first() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {}
            b'*' | b'{' => return Err(Flaw::WildcardInTrustDomain),
            _ => return Err(Flaw::BadTrustDomain),
        }
        left = more;
    }
    if domain.len() > MAX_DOMAIN_BYTES {
        return Err(Flaw::LongTrustDomain);
    }
    Ok(())
}

/// How many bytes the segment has, where a wildcard counts as one.
const fn check_segment(segment: &[u8], further: &[u8]) -> Result<usize, Flaw> {
    match segment {
        [] => Err(Flaw::EmptySegment),
        [b'.'] | [b'.', b'.'] => Err(Flaw::DotSegment),
        [b'{', name @ .., b'}'] if !is_name(name) => Err(Flaw::BadName),
        [b'{', .., b'}'] if has_segment(further, segment) => Err(Flaw::NameTwice),
        [b'*'] | [b'{', .., b'}'] => Ok(1),
        literal => match check_literal(literal) {
            Ok(()) => Ok(literal.len()),
            Err(flaw) => Err(flaw),
        },
    }
}

const fn check_literal(mut bytes: &[u8]) -> Result<(), Flaw> {
    while let Some((byte, more)) = bytes.split_first() {
        match byte {
            b'*' | b'{' | b'}' => return Err(Flaw::PartOfSegment),
            b'-' | b'.' | b'_' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return Err(Flaw::BadByte),
        }
        bytes = more;
    }
    Ok(())
}

const fn is_name(mut bytes: &[u8]) -> bool {
    if matches!(bytes, [] | [b'0'..=b'9', ..]) {
        return false;
    }
    while let Some((byte, more)) = bytes.split_first() {
        if !byte.is_ascii_alphanumeric() && *byte != b'_' {
            return false;
        }
        bytes = more;
    }
    true
}

const fn has_segment(mut path: &[u8], wanted: &[u8]) -> bool {
    while let Some((_, rest)) = path.split_first() {
        let (segment, further) = until_slash(rest);
        if same(segment, wanted) {
            return true;
        }
        path = further;
    }
    false
}

const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let (Some((a, more)), Some((b, others))) = (one.split_first(), other.split_first()) {
        if *a != *b {
            return false;
        }
        one = more;
        other = others;
    }
    one.is_empty() && other.is_empty()
}

/// What stands before the first slash, and the rest from that slash on.
const fn until_slash(text: &[u8]) -> (&[u8], &[u8]) {
    let mut before = 0;
    let mut left = text;
    while let Some((byte, more)) = left.split_first() {
        if *byte == b'/' {
            break;
        }
        before += 1;
        left = more;
    }
    text.split_at(before)
}

#[cfg(test)]
mod tests;
