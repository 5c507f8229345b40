use std::error::Error;
use std::fmt;

use spiffe_peer::InvalidPattern;
use spiffe_peer::parse::InvalidId;

use super::list::{MAX_ENTRIES, MAX_PATTERNS};

/// An entry, or a file, that is no [`DenyList`](crate::DenyList).
///
/// ```
/// use spiffe_source::DenyList;
///
/// let error = "serial:0a1b\nserial:soon\nend\n".parse::<DenyList>().unwrap_err();
/// assert_eq!(error.line(), Some(2));
/// assert!(error.to_string().contains("`soon` is no serial number"));
///
/// // A file that has been cut off is no list, however well it reads.
/// assert!("serial:0a1b\n".parse::<DenyList>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDenyList {
    line: Option<usize>,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    Id(InvalidId),
    Pattern(InvalidPattern),
    Serial(String),
    DecimalSerial(String),
    /// Decimal or hexadecimal?
    DoubtfulSerial(String),
    Key(String),
    /// What was written is not shown: a wrong file may hold secrets.
    NoEntry,
    TooManyEntries,
    TooManyPatterns,
    NotText,
    AfterEnd,
    NoEnd,
    BadEnd,
    OtherDigest,
}

impl InvalidDenyList {
    pub(super) fn at(line: usize, why: Why) -> Self {
        Self {
            line: Some(line),
            why,
        }
    }

    /// The line at which the text stops being a list, from 1; none for a single entry.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl From<Why> for InvalidDenyList {
    fn from(why: Why) -> Self {
        Self { line: None, why }
    }
}

impl fmt::Display for InvalidDenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        match &self.why {
            Why::Id(error) => error.fmt(f),
            Why::Pattern(error) => error.fmt(f),
            Why::Serial(text) => write!(
                f,
                "`{text}` is no serial number: write hexadecimal digits, `0a1b`, `0a:1b` or `0x0a1b`"
            ),
            Why::DecimalSerial(text) => write!(
                f,
                "`{text}` is no decimal serial number: write the digits 0 to 9 of a number of at most 21 bytes"
            ),
            Why::DoubtfulSerial(text) => write!(
                f,
                "`{text}` may be a decimal or a hexadecimal number: write `serial-decimal:` before a decimal one, and a hexadecimal one with colons or with `0x` before it"
            ),
            Why::Key(text) => write!(
                f,
                "`{text}` is no SHA-256 digest: write 64 hexadecimal digits, with a colon after each second or without any"
            ),
            Why::NoEntry => f.write_str(
                "an entry begins with `spiffe://`, `serial:`, `serial-decimal:` or `key-sha256:`",
            ),
            Why::TooManyEntries => write!(f, "a deny-list has at most {MAX_ENTRIES} entries"),
            Why::TooManyPatterns => write!(f, "a deny-list has at most {MAX_PATTERNS} patterns"),
            Why::NotText => f.write_str("it is not UTF-8"),
            Why::AfterEnd => f.write_str("nothing may follow `end`; write new entries before it"),
            Why::NoEnd => {
                f.write_str("the last line has to be `end`, to show that none after it is lost")
            }
            Why::BadEnd => f.write_str("the last line is `end`, or `end sha256:` and a digest"),
            Why::OtherDigest => f.write_str(
                "the lines before `end` have another SHA-256 digest: they were not written, or not read, as a whole",
            ),
        }
    }
}

impl Error for InvalidDenyList {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no source")]
        match &self.why {
            Why::Id(error) => Some(error),
            Why::Pattern(error) => Some(error),
            _ => None,
        }
    }
}

/// What an error shows of a text.
pub(super) fn shortened(text: &str) -> String {
    spiffe_peer::parse::shortened(text, 100)
}
