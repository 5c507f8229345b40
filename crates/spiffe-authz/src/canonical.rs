//! Whether a request can be read in one way only.
//!
//! A rule that speaks of paths holds only where the rule, the router, a proxy in front and the
//! handler read the same path. So a request that any of them could read in a second way is refused
//! before a rule is looked at:
//!
//! 1. The path begins with `/` (so `*` and the target of `CONNECT` are refused), and no segment is
//!    empty, so it has no trailing `/` either; `/` itself is fine.
//! 2. No segment is `.` or `..`, raw or encoded.
//! 3. No `\`, `;`, `#`, space or control character is in it as it stands; no `/`, `\`, `;` or NUL is
//!    in it encoded.
//! 4. Every `%` begins an escape, and the decoded path is UTF-8.
//! 5. Decoding once more (and again, up to four times in all) uncovers nothing of the above. A path
//!    that is still encoded after that is refused.
//! 6. There is one authority: one `host` value at most, free of `,` and `@`, with one port of digits at
//!    most, and equal to the authority of the request target if that has one. Case plays no part.
//!
//! The method is a token by its type. The query is not looked at.
//!
//! The guarded router of [`spiffe_authz::axum`](crate::axum) does this by itself.
//!
//! ```
//! use http::Request;
//! use spiffe_authz::canonical;
//!
//! let fine = Request::get("/orders/42?full=yes").body(()).unwrap();
//! assert!(canonical::check(&fine).is_ok());
//!
//! let trick = Request::get("/public/%2e%2e/admin").body(()).unwrap();
//! assert_eq!(canonical::check(&trick).unwrap_err().to_string(), "the path has a dot segment");
//! ```

use std::borrow::Cow;
use std::fmt;

use http::uri::Authority;
use http::{HeaderMap, Request};
use percent_encoding::percent_decode_str;

use self::authority::one_authority;

mod authority;
#[cfg(test)]
mod tests;

/// How often a path may be decoded until nothing is left to decode.
const MAX_DECODINGS: usize = 4;

/// Checks that the request can be read in one way only.
///
/// # Errors
///
/// [`NotCanonical`] where it cannot; the request is to be answered 400.
pub fn check<B>(request: &Request<B>) -> Result<(), NotCanonical> {
    check_path(request.uri().path())?;
    let target = request.uri().authority().map(Authority::as_str);
    one_authority(target, request.headers()).map(drop)
}

/// A request target that can be read in one way only.
#[derive(Debug)]
pub(crate) struct Canonical<'a> {
    /// Decoded, without the query.
    pub(crate) path: Cow<'a, str>,
    /// The one authority, as it was written.
    pub(crate) authority: Option<&'a [u8]>,
}

impl Canonical<'_> {
    /// The host of the authority, in lower case and without its port and the dot of the root.
    pub(crate) fn host(&self) -> Option<String> {
        let authority = std::str::from_utf8(self.authority?).ok()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| host.to_ascii_lowercase())
    }
}

/// Reads a request target in the one way that there is. A query after the path plays no part.
#[inline]
pub(crate) fn read<'a>(
    target: &'a str,
    authority: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Canonical<'a>, NotCanonical> {
    let path = if is_plain(target.as_bytes()) {
        Cow::Borrowed(target)
    } else {
        let path = path_of(target);
        check_path(path)?;
        percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| NotCanonical(Kind::NotUtf8))?
    };
    Ok(Canonical {
        path,
        authority: one_authority(authority, headers)?,
    })
}

/// A request target without its query.
pub(crate) fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Checks a path alone, without its query.
///
/// # Errors
///
/// [`NotCanonical`] where the path can be read in more than one way.
pub fn check_path(path: &str) -> Result<(), NotCanonical> {
    if is_plain(path.as_bytes()) {
        return Ok(());
    }
    let segments = path
        .strip_prefix('/')
        .ok_or(NotCanonical(Kind::NotOriginForm))?;
    if segments.is_empty() {
        return Ok(());
    }
    segments.split('/').try_for_each(check_segment)
}

/// Demands that the path of a request says no letter in disguise.
///
/// A router takes `/%61dmin` for another path than `/admin`, and the handler of a capture reads both
/// as one. Where the router chooses the rule, a rule beside a capture could be passed by so. In a
/// policy file, which is compared decoded, the two are one path.
///
/// # Errors
///
/// [`NotCanonical`] where a character is encoded that needs no encoding (RFC 3986, section 2.3).
#[cfg(feature = "axum")]
pub(crate) fn check_undisguised(path: &str) -> Result<(), NotCanonical> {
    let disguised = path.split('%').skip(1).any(|piece| {
        let digits = piece
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        digits.is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
        })
    });
    if disguised {
        Err(NotCanonical(Kind::Disguised))
    } else {
        Ok(())
    }
}

/// Whether a path is canonical by its bytes alone, as almost every one is. What is not is looked at closer.
///
/// Not inlined: in the middle of a decision it takes a sixth of its time more.
#[inline(never)]
fn is_plain(path: &[u8]) -> bool {
    let ([b'/', .., end], Some(last)) = (path, path.last_chunk()) else {
        return is_plain_in_short(path);
    };
    if *end == b'/' {
        return false;
    }
    let mut left = path;
    while let Some((one, other)) = left.get(..=2 * STEP).and_then(ends) {
        if !go_on(one, other) {
            return false;
        }
        left = left.get(2 * STEP..).unwrap_or_default();
    }
    // They overlap: some bytes are looked at twice.
    go_on(left.first_chunk().unwrap_or(last), last)
}

/// The same of what is shorter than a step, or does not even begin with a slash.
#[cold]
fn is_plain_in_short(path: &[u8]) -> bool {
    let mut filled = [b'a'; STEP + 1];
    match (path, filled.get_mut(..path.len())) {
        ([b'/'], _) => true,
        ([b'/', .., b'/'], _) => false,
        ([b'/', ..], Some(start)) => {
            start.copy_from_slice(path);
            go_on(&filled, &filled)
        }
        _ => false,
    }
}

/// So many bytes are looked at at once, of which the compiler makes vectors.
const STEP: usize = 16;

/// What a step looks at: its bytes, and the one before them.
type Step = [u8; STEP + 1];

fn ends(bytes: &[u8]) -> Option<(&Step, &Step)> {
    Some((bytes.first_chunk()?, bytes.last_chunk()?))
}

/// Whether in both steps every byte goes on from the one before it: a slash that another slash or a dot
/// follows is looked at closer.
///
/// Not inlined: what the compiler knows of single bytes keeps it from making vectors of all.
#[inline(never)]
fn go_on(one: &Step, other: &Step) -> bool {
    let ([one_before @ .., _], [_, one @ ..]) = (one, one);
    let ([other_before @ .., _], [_, other @ ..]) = (other, other);
    let pairs = one_before.iter().zip(one);
    let other_pairs = other_before.iter().zip(other);
    pairs.zip(other_pairs).fold(true, |all, (one, other)| {
        all & goes_on(one) & goes_on(other)
    })
}

#[inline]
fn goes_on((before, byte): (&u8, &u8)) -> bool {
    is_common(*byte) & !((*before == b'/') & (byte | 1 == b'/'))
}

/// Whether a byte is what most of a path is made of: a letter, a digit or one of `-./:_`.
#[inline]
fn is_common(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'-') <= b':' - b'-')
        | (byte == b'_')
}

/// Whether a decoded segment can be part of a canonical path at all.
pub(crate) fn may_be_a_decoded_segment(segment: &str) -> bool {
    !segment.is_empty()
        && !matches!(segment, "." | "..")
        && !segment.contains(['/', '\\', ';'])
        && !segment.contains(char::is_control)
}

fn check_segment(segment: &str) -> Result<(), NotCanonical> {
    if segment.is_empty() {
        return Err(NotCanonical(Kind::EmptySegment));
    }
    refuse_dots(segment)?;
    let mut escaped = false;
    for byte in segment.bytes() {
        match byte {
            b'\\' | b';' | b'#' | b'?' | b' ' => return Err(NotCanonical(Kind::Character)),
            b'%' => escaped = true,
            _ if byte.is_ascii_control() => return Err(NotCanonical(Kind::Character)),
            _ => {}
        }
    }
    if !segment.is_ascii() && segment.contains(char::is_control) {
        return Err(NotCanonical(Kind::Character));
    }
    if escaped {
        check_escaped(segment)
    } else {
        Ok(())
    }
}

fn check_escaped(segment: &str) -> Result<(), NotCanonical> {
    let mut pieces = segment.split('%').skip(1);
    if !pieces.all(begins_with_two_digits) {
        return Err(NotCanonical(Kind::MalformedEscape));
    }
    let mut text = segment.to_owned();
    for _ in 0..MAX_DECODINGS {
        let decoded = match Cow::from(percent_decode_str(&text)) {
            Cow::Borrowed(_) => return Ok(()),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map_err(|_| NotCanonical(Kind::NotUtf8))?
            }
        };
        refuse_dots(&decoded)?;
        if decoded.contains(['/', '\\', ';', '\0']) {
            return Err(NotCanonical(Kind::EncodedCharacter));
        }
        text = decoded;
    }
    let settled = !text.split('%').skip(1).any(begins_with_two_digits);
    if settled {
        Ok(())
    } else {
        Err(NotCanonical(Kind::EncodedTooOften))
    }
}

fn begins_with_two_digits(text: &str) -> bool {
    let mut bytes = text.bytes();
    let mut digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
    digit() && digit()
}

fn refuse_dots(segment: &str) -> Result<(), NotCanonical> {
    if matches!(segment, "." | "..") {
        Err(NotCanonical(Kind::DotSegment))
    } else {
        Ok(())
    }
}

/// Why a request is not canonical.
///
/// It carries nothing of the request, so that it can be logged as it is.
///
/// ```
/// let error = spiffe_authz::canonical::check_path("//admin").unwrap_err();
/// assert_eq!(error.reason(), "the path has an empty segment");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotCanonical(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    NotOriginForm,
    EmptySegment,
    DotSegment,
    Character,
    EncodedCharacter,
    MalformedEscape,
    NotUtf8,
    EncodedTooOften,
    #[cfg(feature = "axum")]
    Disguised,
    #[cfg(feature = "axum")]
    OtherwiseSpelled,
    TwoAuthorities,
    Authority,
}

impl NotCanonical {
    /// A path that a route has in another spelling.
    #[cfg(feature = "axum")]
    pub(crate) fn otherwise_spelled() -> Self {
        Self(Kind::OtherwiseSpelled)
    }

    /// The reason in words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.0 {
            Kind::NotOriginForm => "the path does not begin with a slash",
            Kind::EmptySegment => "the path has an empty segment",
            Kind::DotSegment => "the path has a dot segment",
            Kind::Character => "the path has a character that must not stand in it",
            Kind::EncodedCharacter => "the path has a character that must not be encoded in it",
            Kind::MalformedEscape => "the path has a malformed escape",
            Kind::NotUtf8 => "the decoded path is not UTF-8",
            Kind::EncodedTooOften => "the path is encoded several times",
            #[cfg(feature = "axum")]
            Kind::Disguised => "the path encodes a character that needs no encoding",
            #[cfg(feature = "axum")]
            Kind::OtherwiseSpelled => "the path spells a route in another way than the route does",
            Kind::TwoAuthorities => "the request names two authorities",
            Kind::Authority => "the authority is not one host and port",
        }
    }
}

impl fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for NotCanonical {}
