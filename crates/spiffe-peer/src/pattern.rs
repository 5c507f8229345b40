use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use spiffe::SpiffeId;

use crate::parse::{self, InvalidId};

mod grammar;

pub use grammar::CheckedPattern;
use grammar::{Flaw, MAX_SEGMENTS};

const OPEN_END: &str = "/**";

/// A set of workload IDs in one trust domain, described segment by segment.
///
/// A segment is a literal, `*` for one whole segment, or `{name}` for one whole segment with a name;
/// `/**` at the end stands for any number of further segments, none included. A wildcard is never
/// part of a segment, so that `payment*` cannot come to mean `payments-evil`, and a trust domain has
/// none. A pattern without wildcards is one ID.
///
/// ```
/// use spiffe_peer::{IdPattern, parse};
///
/// let payments: IdPattern = "spiffe://example.org/ns/payments/**".parse()?;
/// assert!(payments.matches(&parse::workload_id("spiffe://example.org/ns/payments/sa/api")?));
/// assert!(!payments.matches(&parse::workload_id("spiffe://example.org/ns/payments-evil/sa/api")?));
/// assert!(!payments.matches(&parse::workload_id("spiffe://example.org.evil/ns/payments/sa/api")?));
///
/// let error = "spiffe://example.org/ns/pay*".parse::<IdPattern>().unwrap_err();
/// assert!(error.to_string().contains("whole segment"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdPattern(Cow<'static, str>);

impl IdPattern {
    /// The name of the trust domain of every ID that the pattern can meet.
    #[must_use]
    pub fn trust_domain_name(&self) -> &str {
        let rest = self.after_scheme();
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the ID belongs to the set. The ID of a trust domain, which is no workload's, never does.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        let domain = id.trust_domain_name();
        let path = match self.after_scheme().strip_prefix(domain) {
            Some(path) if path.starts_with('/') && !id.path().is_empty() => path,
            _ => return false,
        };
        let (path, open_ended) = match path.strip_suffix(OPEN_END) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let mut segments = id.path().split('/').skip(1);
        for wanted in path.split('/').skip(1) {
            match segments.next() {
                Some(segment) if is_wildcard(wanted) || segment == wanted => {}
                _ => return false,
            }
        }
        open_ended || segments.next().is_none()
    }

    fn after_scheme(&self) -> &str {
        self.0.strip_prefix(parse::SCHEME).unwrap_or_default()
    }
}

/// A literal never looks like this.
fn is_wildcard(segment: &str) -> bool {
    segment == "*" || segment.starts_with('{')
}

impl FromStr for IdPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CheckedPattern::read(text)
            .map(CheckedPattern::to_pattern)
            .map_err(|flaw| InvalidPattern::new(text, flaw))
    }
}

impl From<&SpiffeId> for IdPattern {
    /// The pattern that meets this one ID, or nobody where it is that of a trust domain.
    fn from(id: &SpiffeId) -> Self {
        Self(Cow::Owned(id.to_string()))
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no [`IdPattern`].
///
/// ```
/// let error = "spiffe://*/service/orders".parse::<spiffe_peer::IdPattern>().unwrap_err();
/// assert!(error.to_string().contains("trust domain"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPattern {
    text: String,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Grammar(Flaw),
    Id(InvalidId),
}

impl InvalidPattern {
    fn new(text: &str, flaw: Flaw) -> Self {
        let why = match flaw {
            Flaw::WildcardInTrustDomain
            | Flaw::PartOfSegment
            | Flaw::BadName
            | Flaw::NameTwice
            | Flaw::TooManySegments => Why::Grammar(flaw),
            // The rest is wrong in an ID too, whose parser says more of it.
            _ => match parse::workload_id(&filled_in(text)) {
                Err(error) => Why::Id(error),
                Ok(_) => Why::Grammar(flaw),
            },
        };
        Self {
            text: text.to_owned(),
            why,
        }
    }
}

/// An ID that the pattern would meet.
fn filled_in(text: &str) -> String {
    let body = text.strip_suffix(OPEN_END).unwrap_or(text);
    let filled = |segment| if is_wildcard(segment) { "x" } else { segment };
    let parts = body.split('/').flat_map(|segment| ["/", filled(segment)]);
    parts.skip(1).collect()
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = parse::shortened(&self.text, parse::SHOWN);
        write!(f, "`{text}` is no ID pattern: ")?;
        match &self.why {
            Why::Grammar(Flaw::WildcardInTrustDomain) => f.write_str(
                "a trust domain has no wildcard; write one pattern for each trust domain",
            ),
            Why::Grammar(Flaw::TooManySegments) => {
                write!(f, "it has more than {MAX_SEGMENTS} segments")
            }
            Why::Grammar(flaw) => f.write_str(flaw.message()),
            Why::Id(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvalidPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(pattern: &str, id: &str) -> bool {
        pattern
            .parse::<IdPattern>()
            .unwrap()
            .matches(&parse::workload_id(id).unwrap())
    }

    #[test]
    fn a_wildcard_is_one_whole_segment() {
        assert!(meets(
            "spiffe://td/ns/*/sa/api",
            "spiffe://td/ns/shop/sa/api"
        ));
        assert!(meets(
            "spiffe://td/ns/{ns}/sa/{sa}",
            "spiffe://td/ns/shop/sa/api"
        ));
        assert!(!meets("spiffe://td/ns/*", "spiffe://td/ns/shop/sa"));
        assert!(!meets("spiffe://td/ns/*/sa", "spiffe://td/ns/sa"));
    }

    #[test]
    fn an_open_end_includes_nothing_further() {
        assert!(meets("spiffe://td/ns/**", "spiffe://td/ns"));
        assert!(meets("spiffe://td/ns/**", "spiffe://td/ns/a/b/c"));
        assert!(meets("spiffe://td/**", "spiffe://td/a"));
        assert!(!meets("spiffe://td/ns/**", "spiffe://td/nsx"));
    }

    #[test]
    fn an_id_without_a_path_is_nobody_s() {
        let trust_domain = parse::spiffe_id("spiffe://td").unwrap();
        for pattern in ["spiffe://td/**", "spiffe://td/*", "spiffe://td/*/**"] {
            let pattern: IdPattern = pattern.parse().unwrap();
            assert!(!pattern.matches(&trust_domain), "{pattern}");
            assert!(pattern.matches(&parse::workload_id("spiffe://td/a").unwrap()));
        }
        assert!(!IdPattern::from(&trust_domain).matches(&trust_domain));
    }

    #[test]
    fn a_text_that_is_no_pattern_is_told_what_is_wrong() {
        for (bad, why) in [
            ("spiffe://*/x", "a trust domain has no wildcard; write one"),
            ("spiffe://td/a*", "a wildcard stands for a whole segment"),
            ("spiffe://td/{1a}", "does not begin with a digit"),
            ("spiffe://td/{a}/x/{a}", "stands once in a pattern"),
            ("spiffe://td", "it names a trust domain, not a workload"),
            ("td/x", "; write `spiffe://td/x`"),
            ("spiffe://TD/*/x", "; write `spiffe://td/x/x`"),
            ("spiffe://td//**", "cannot have a trailing slash"),
            ("spiffe://td/{a}/../x", "cannot contain dot segments"),
        ] {
            let error = bad.parse::<IdPattern>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let long = format!("spiffe://td{}", "/a".repeat(MAX_SEGMENTS + 1));
        let error = long.parse::<IdPattern>().unwrap_err().to_string();
        assert!(error.contains("it has more than 64 segments"), "{error}");
    }

    #[test]
    fn threats_authorization_11_no_boundary_is_crossed() {
        for other in [
            "spiffe://example.org.evil/svc/pay",
            "spiffe://example.org/svc/payment-2",
            "spiffe://example.org/svc/pay/x",
        ] {
            assert!(!meets("spiffe://example.org/svc/pay", other), "{other}");
            assert!(!meets(other, "spiffe://example.org/svc/pay"), "{other}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "spiffe://td",
            "spiffe://td/",
            "spiffe://td*/x",
            "spiffe://*/x",
            "spiffe://{td}/x",
            "spiffe://td/a*",
            "spiffe://td/*a",
            "spiffe://td/**/x",
            "spiffe://td/***",
            "spiffe://td/{}",
            "spiffe://td/{1a}",
            "spiffe://td/{a}/{a}",
            "spiffe://td/{a}b",
            "spiffe://td/x/",
            "spiffe://td//x",
            "spiffe://TD/x",
            "td/x",
            "spiffe://td/%41",
            "spiffe://td/../x",
            "**",
            "/**",
            "spiffe:///**",
        ] {
            assert!(bad.parse::<IdPattern>().is_err(), "{bad:?} was accepted");
        }
        assert!(
            format!("spiffe://td{}", "/a".repeat(MAX_SEGMENTS + 1))
                .parse::<IdPattern>()
                .is_err()
        );
    }
}
