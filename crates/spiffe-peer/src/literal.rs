use crate::IdPattern;
use crate::parse::MAX_ID_BYTES;

/// The [`IdPattern`] of a literal, whose grammar is checked when the program is compiled.
///
/// ```
/// use spiffe_peer::{parse, pattern};
///
/// let shop = pattern!("spiffe://example.org/ns/shop/sa/{name}");
/// assert!(shop.matches(&parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?));
/// # Ok::<(), parse::InvalidId>(())
/// ```
///
/// ```compile_fail
/// // A wildcard stands for a whole segment.
/// spiffe_peer::pattern!("spiffe://example.org/ns/pay*");
/// ```
#[macro_export]
macro_rules! pattern {
    ($text:literal) => {{
        const _: () = $crate::__private::assert_pattern($text);
        $crate::__private::checked_pattern($text)
    }};
}

/// Stops the compiler where the text is no ID pattern.
#[allow(
    clippy::panic,
    reason = "called in constants alone, where a panic is a compile error"
)]
#[track_caller]
pub const fn assert_pattern(text: &str) {
    if let Err(why) = check(text.as_bytes()) {
        panic!("{}", why);
    }
}

/// The pattern of a text that [`assert_pattern`] accepts.
#[allow(
    clippy::panic,
    reason = "both readers of the grammar agree, which is tested; the text is part of the program"
)]
#[must_use]
pub fn checked_pattern(text: &'static str) -> IdPattern {
    text.parse()
        .unwrap_or_else(|error| panic!("checked at compile time: {error}"))
}

const MAX_SEGMENTS: usize = 64;
const MAX_DOMAIN_BYTES: usize = 255;

const NO_SCHEME: &str = "an ID pattern begins with `spiffe://`";
const NO_TRUST_DOMAIN: &str = "the trust domain is missing";
const BAD_TRUST_DOMAIN: &str =
    "a trust domain is lower-case letters, digits, `.`, `-` and `_`, and has no wildcard";
const LONG_TRUST_DOMAIN: &str = "a trust domain has at most 255 bytes";
const NO_PATH: &str = "it names a trust domain, not a workload: a path is missing";
const EMPTY_SEGMENT: &str = "a segment is empty: no `//`, and no `/` at the end";
const DOT_SEGMENT: &str = "`.` and `..` are no segments";
const PART_OF_SEGMENT: &str =
    "a wildcard stands for a whole segment; write `/*`, `/{name}` or, at the end, `/**`";
const BAD_NAME: &str =
    "a name in braces is letters, digits and `_`, and does not begin with a digit";
const NAME_TWICE: &str = "a name in braces stands once in a pattern";
const BAD_BYTE: &str = "a segment is letters, digits, `.`, `-` and `_`";
const TOO_MANY: &str = "an ID pattern has at most 64 segments";
const TOO_LONG: &str = "an ID has at most 2048 bytes";

/// The grammar of [`IdPattern`] once more, in what a constant can compute.
const fn check(text: &[u8]) -> Result<(), &'static str> {
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
        return Err(NO_SCHEME);
    };
    let (domain, mut rest) = until_slash(rest);
    if domain.is_empty() {
        return Err(NO_TRUST_DOMAIN);
    }
    if domain.len() > MAX_DOMAIN_BYTES {
        return Err(LONG_TRUST_DOMAIN);
    }
    let mut left = domain;
    while let Some((byte, more)) = left.split_first() {
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_') {
            return Err(BAD_TRUST_DOMAIN);
        }
        left = more;
    }
    if rest.is_empty() {
        return Err(NO_PATH);
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
            Err(why) => return Err(why),
        };
        segments += 1;
        rest = further;
    }
    if segments > MAX_SEGMENTS {
        return Err(TOO_MANY);
    }
    if id_bytes > MAX_ID_BYTES {
        return Err(TOO_LONG);
    }
    Ok(())
}

/// How many bytes the segment has, where a wildcard counts as one.
const fn check_segment(segment: &[u8], further: &[u8]) -> Result<usize, &'static str> {
    match segment {
        [] => Err(EMPTY_SEGMENT),
        [b'.'] | [b'.', b'.'] => Err(DOT_SEGMENT),
        [b'{', name @ .., b'}'] if !is_name(name) => Err(BAD_NAME),
        [b'{', .., b'}'] if has_segment(further, segment) => Err(NAME_TWICE),
        [b'*'] | [b'{', .., b'}'] => Ok(1),
        literal => match check_literal(literal) {
            Ok(()) => Ok(literal.len()),
            Err(why) => Err(why),
        },
    }
}

const fn check_literal(mut bytes: &[u8]) -> Result<(), &'static str> {
    while let Some((byte, more)) = bytes.split_first() {
        match byte {
            b'*' | b'{' | b'}' => return Err(PART_OF_SEGMENT),
            b'-' | b'.' | b'_' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return Err(BAD_BYTE),
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
mod tests {
    use super::*;

    const PIECES: [&str; 24] = [
        "spiffe://",
        "/",
        "/",
        "/",
        "/",
        "*",
        "**",
        "{a}",
        "{b}",
        "{",
        "}",
        "{1}",
        "{}",
        "td",
        "a",
        "B",
        ".",
        "..",
        "-",
        "_",
        "%",
        "é",
        "0",
        "//",
    ];

    #[track_caller]
    fn agree(text: &str) -> bool {
        let here = check(text.as_bytes());
        let there = text.parse::<IdPattern>();
        assert_eq!(here.is_ok(), there.is_ok(), "{text:?}: {here:?}, {there:?}");
        here.is_ok()
    }

    #[test]
    fn both_readers_of_the_grammar_accept_the_same() {
        // A fixed sequence: what fails once fails always.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut accepted = 0;
        for round in 0..200_000_u32 {
            let mut text = String::new();
            match round % 8 {
                0 => {}
                1 | 2 => text.push_str("spiffe://"),
                _ => text.push_str("spiffe://td/"),
            }
            for _ in 0..round % 9 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push_str(PIECES[usize::try_from(state >> 33).unwrap() % PIECES.len()]);
            }
            accepted += u32::from(agree(&text));
        }
        assert!(accepted > 1_000, "{accepted} texts were patterns");
    }

    #[test]
    fn both_readers_of_the_grammar_end_at_the_same_lengths() {
        for (segments, good) in [(MAX_SEGMENTS, true), (MAX_SEGMENTS + 1, false)] {
            assert_eq!(
                agree(&format!("spiffe://td{}", "/a".repeat(segments))),
                good
            );
            assert_eq!(
                agree(&format!("spiffe://td{}/**", "/*".repeat(segments))),
                good
            );
        }
        let path = MAX_ID_BYTES - "spiffe://td/".len();
        for (bytes, good) in [(path, true), (path + 1, false)] {
            assert_eq!(agree(&format!("spiffe://td/{}", "a".repeat(bytes))), good);
            assert_eq!(
                agree(&format!("spiffe://td/{}/**", "a".repeat(bytes))),
                good
            );
        }
        assert!(agree(&format!(
            "spiffe://td/{{{}}}",
            "a".repeat(MAX_ID_BYTES)
        )));
        for (bytes, good) in [(MAX_DOMAIN_BYTES, true), (MAX_DOMAIN_BYTES + 1, false)] {
            assert_eq!(agree(&format!("spiffe://{}/x", "a".repeat(bytes))), good);
        }
    }
}
