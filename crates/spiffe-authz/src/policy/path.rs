//! The path of an action, segment by segment.

use std::fmt;
use std::str::FromStr;

use crate::canonical;

/// The most segments a pattern may have.
const MAX_SEGMENTS: usize = 64;

/// The longest name of a header, a capture or a literal path that a policy may hold, in bytes.
const MAX_BYTES: usize = 8192;

/// A set of canonical, decoded paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PathPattern {
    pub(crate) segments: Vec<Segment>,
    /// Whether any number of further segments may follow.
    pub(crate) open_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Literal(String),
    /// `*`
    One,
    /// `{name}`
    Capture(String),
}

impl PathPattern {
    /// The names of what it captures, in the order of the path.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) | Segment::One => None,
        })
    }
}

impl FromStr for PathPattern {
    type Err = InvalidPathPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES {
            return Err(InvalidPathPattern::TooLong);
        }
        let (body, open_ended) = match text.strip_suffix("/**") {
            Some(body) => (body, true),
            None => (text, false),
        };
        let path = match (body.strip_prefix('/'), open_ended) {
            (None, true) if body.is_empty() => None,
            (None, _) => return Err(InvalidPathPattern::NoSlash),
            (Some(""), false) => None,
            (Some(path), _) => Some(path),
        };
        let mut segments = Vec::new();
        for part in path.into_iter().flat_map(|path| path.split('/')) {
            let segment = segment(part)?;
            if let Segment::Capture(name) = &segment
                && segments.contains(&segment)
            {
                return Err(InvalidPathPattern::NameTwice(name.clone()));
            }
            segments.push(segment);
            if segments.len() > MAX_SEGMENTS {
                return Err(InvalidPathPattern::TooManySegments);
            }
        }
        Ok(Self {
            segments,
            open_ended,
        })
    }
}

fn segment(part: &str) -> Result<Segment, InvalidPathPattern> {
    if part == "*" {
        return Ok(Segment::One);
    }
    if let Some(name) = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return capture_name(name).map(|()| Segment::Capture(name.to_owned()));
    }
    if part.contains(['*', '{', '}']) {
        return Err(InvalidPathPattern::PartOfSegment);
    }
    if part.contains('%') {
        return Err(InvalidPathPattern::Escape);
    }
    if canonical::may_be_a_decoded_segment(part) {
        Ok(Segment::Literal(part.to_owned()))
    } else {
        Err(InvalidPathPattern::NeverCanonical(part.to_owned()))
    }
}

/// Whether a name can be captured: an identifier of CEL that CEL does not reserve.
pub(crate) fn capture_name(name: &str) -> Result<(), InvalidPathPattern> {
    let mut bytes = name.bytes();
    let is_name = bytes
        .next()
        .is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if !is_name {
        Err(InvalidPathPattern::BadName(name.to_owned()))
    } else if RESERVED.contains(&name) {
        Err(InvalidPathPattern::Reserved(name.to_owned()))
    } else {
        Ok(())
    }
}

/// What CEL does not take for a name (its language definition, "Syntax").
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Why a text is no [`PathPattern`], and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidPathPattern {
    TooLong,
    NoSlash,
    TooManySegments,
    PartOfSegment,
    BadName(String),
    Reserved(String),
    NameTwice(String),
    Escape,
    NeverCanonical(String),
}

impl fmt::Display for InvalidPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the path has more than {MAX_BYTES} bytes"),
            Self::NoSlash => f.write_str("a path begins with `/`"),
            Self::TooManySegments => write!(f, "the path has more than {MAX_SEGMENTS} segments"),
            Self::PartOfSegment => f.write_str(
                "a wildcard stands for a whole segment; write `/*`, `/{name}` or, at the end, `/**`",
            ),
            Self::BadName(name) => write!(
                f,
                "`{{{name}}}` is no capture: a name is letters, digits and `_`, and does not begin with a digit"
            ),
            Self::Reserved(name) => {
                write!(f, "`{{{name}}}` is no capture: CEL reserves the word `{name}`; choose another")
            }
            Self::NameTwice(name) => write!(f, "`{{{name}}}` stands twice in the path; give the second another name"),
            Self::Escape => f.write_str("a pattern is compared decoded: write the character itself in place of `%`"),
            Self::NeverCanonical(part) if part.is_empty() => {
                f.write_str("the path has an empty segment, which no request may have; a path has no trailing `/`")
            }
            Self::NeverCanonical(part) => write!(
                f,
                "no request that is let through has a segment `{}`: `.`, `..`, `\\`, `;` and control characters are refused before any rule",
                part.escape_debug()
            ),
        }
    }
}
