//! The strict parser of SPIFFE IDs and trust domains, used wherever a text becomes an identity.
//!
//! It refuses what the SPIFFE-ID specification (section 2) forbids and, where the specification
//! leaves a choice, what two readers could take for two things: an upper-case scheme or trust
//! domain is refused, never lower-cased, and an ID has at most 2048 bytes.

use std::fmt;

use spiffe::{SpiffeId, TrustDomain};

/// The longest SPIFFE ID that is accepted, in bytes (SPIFFE-ID, section 2.3).
pub const MAX_ID_BYTES: usize = 2048;

pub(crate) const SCHEME: &str = "spiffe://";
/// What an error shows of a text.
pub(crate) const SHOWN: usize = 200;

/// Parses the SPIFFE ID of a workload, which has a path (X509-SVID, section 3.1).
///
/// ```
/// let id = spiffe_peer::parse::workload_id("spiffe://example.org/service/orders")?;
/// assert_eq!(id.path(), "/service/orders");
/// assert!(spiffe_peer::parse::workload_id("spiffe://example.org").is_err());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
///
/// # Errors
///
/// [`InvalidId`] says what is wrong and, where it can, what to write instead.
pub fn workload_id(text: &str) -> Result<SpiffeId, InvalidId> {
    let id = spiffe_id(text)?;
    if id.path().is_empty() {
        let why = "it names a trust domain, not a workload: a path is missing";
        return Err(InvalidId::new(text, why, format!("{text}/service/NAME")));
    }
    Ok(id)
}

/// Parses any SPIFFE ID, also that of a trust domain (`spiffe://example.org`).
///
/// # Errors
///
/// [`InvalidId`] says what is wrong and, where it can, what to write instead.
pub fn spiffe_id(text: &str) -> Result<SpiffeId, InvalidId> {
    read_id(text).map_err(|refused| InvalidId::of(text, refused))
}

/// Parses the name of a trust domain (`example.org`), without scheme and path.
///
/// ```
/// assert!(spiffe_peer::parse::trust_domain("example.org").is_ok());
/// assert!(spiffe_peer::parse::trust_domain("spiffe://example.org").is_err());
/// ```
///
/// # Errors
///
/// [`InvalidId`] says what is wrong and, where it can, what to write instead.
pub fn trust_domain(text: &str) -> Result<TrustDomain, InvalidId> {
    read_trust_domain(text).map_err(|refused| InvalidId::of(text, refused))
}

/// Parses the SPIFFE ID of a trust domain (`spiffe://example.org`), the form of the map keys in the
/// Workload API (SPIFFE Workload API, section 5.2).
///
/// # Errors
///
/// [`InvalidId`] where the text is no SPIFFE ID or has a path.
pub fn trust_domain_id(text: &str) -> Result<TrustDomain, InvalidId> {
    let id = spiffe_id(text)?;
    if !id.path().is_empty() {
        let suggestion = id.trust_domain().id_string();
        return Err(InvalidId::new(
            text,
            "the ID of a trust domain has no path",
            suggestion,
        ));
    }
    Ok(id.trust_domain().clone())
}

/// Judges the path of an ID, from its first `/` on, by the same grammar.
pub(crate) fn path(text: &str) -> Result<(), String> {
    match read_id(&format!("{SCHEME}x{text}")) {
        Ok(_) => Ok(()),
        Err((why, _)) => Err(why),
    }
}

/// Why a text is refused, and what its author may have meant; nobody has tried that yet.
type Refused = (String, Option<String>);

fn read_id(text: &str) -> Result<SpiffeId, Refused> {
    if text.len() > MAX_ID_BYTES {
        return Err((format!("it is longer than {MAX_ID_BYTES} bytes"), None));
    }
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return Err(without_scheme(text));
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let suggestion = format!("{SCHEME}{}{path}", authority.to_ascii_lowercase());
        return Err((
            "a trust domain is written in lower case".into(),
            Some(suggestion),
        ));
    }
    SpiffeId::new(text).map_err(|error| (error.to_string(), None))
}

fn read_trust_domain(text: &str) -> Result<TrustDomain, Refused> {
    if let Some(rest) = text.strip_prefix(SCHEME) {
        let name = rest.split('/').next().unwrap_or_default();
        return Err((
            "the name of a trust domain has no scheme".into(),
            Some(name.to_owned()),
        ));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err((
            "a trust domain is written in lower case".into(),
            Some(text.to_ascii_lowercase()),
        ));
    }
    TrustDomain::new(text).map_err(|error| (error.to_string(), None))
}

fn without_scheme(text: &str) -> Refused {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("spiffe") => (
            "the scheme is written in lower case".into(),
            Some(format!("{SCHEME}{rest}")),
        ),
        Some(_) => ("its scheme is not `spiffe`".into(), None),
        None if text.is_empty() => ("it is empty".into(), None),
        None => (
            "it does not begin with `spiffe://`".into(),
            Some(format!("{SCHEME}{}", text.trim_start_matches('/'))),
        ),
    }
}

/// A text that is no SPIFFE ID, or no trust domain.
///
/// ```
/// let error = spiffe_peer::parse::workload_id("example.org/service/orders").unwrap_err();
/// assert_eq!(error.suggestion(), Some("spiffe://example.org/service/orders"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId {
    text: String,
    why: String,
    suggestion: Option<String>,
}

impl InvalidId {
    fn of(text: &str, (why, suggestion): Refused) -> Self {
        // A suggestion that would be refused as well helps nobody.
        let suggestion =
            suggestion.filter(|text| read_id(text).is_ok() || read_trust_domain(text).is_ok());
        Self {
            text: shortened(text, SHOWN),
            why,
            suggestion,
        }
    }

    fn new(text: &str, why: &str, suggestion: String) -> Self {
        Self::of(text, (why.to_owned(), Some(suggestion)))
    }

    /// What the author probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

/// A text from outside, as it may stand in an error or a log: at most so many of its characters, those
/// that control a terminal escaped, and `…` where there are more.
///
/// ```
/// use spiffe_peer::parse::shortened;
///
/// assert_eq!(shortened("prod", 10), "prod");
/// assert_eq!(shortened("a\u{1b}[2J of something long", 4), r"a\u{1b}[2…");
/// ```
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let mut left = text.chars();
    let shown = left.by_ref().take(most).flat_map(char::escape_debug);
    let mut shown: String = shown.collect();
    if left.next().is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no SPIFFE ID: {}", self.text, self.why)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; write `{suggestion}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests;
