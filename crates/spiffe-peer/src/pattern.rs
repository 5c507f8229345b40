use std::fmt;
use std::str::FromStr;

use spiffe::{SpiffeId, TrustDomain};

use crate::parse::{self, InvalidId};

/// The most segments a pattern may have.
const MAX_SEGMENTS: usize = 64;

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
pub struct IdPattern {
    text: String,
    trust_domain: TrustDomain,
    segments: Vec<Segment>,
    open_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    One,
}

impl IdPattern {
    /// The trust domain of every ID that the pattern can meet.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the ID belongs to the set.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        if id.trust_domain() != &self.trust_domain {
            return false;
        }
        let mut path = id.path().split('/').skip(1);
        for segment in &self.segments {
            match (segment, path.next()) {
                (Segment::Literal(literal), Some(actual)) if literal == actual => {}
                (Segment::One, Some(_)) => {}
                _ => return false,
            }
        }
        self.open_ended || path.next().is_none()
    }
}

impl FromStr for IdPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: Why| InvalidPattern {
            text: text.to_owned(),
            why,
        };
        let (body, open_ended) = match text.strip_suffix("/**") {
            Some(body) => (body, true),
            None => (text, false),
        };
        let path_start = body
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.find('/'))
            .map(|slash| slash + "spiffe://".len());
        let (domain, path) = path_start
            .and_then(|start| body.split_at_checked(start))
            .unwrap_or((body, ""));
        if domain.contains('*') || domain.contains('{') {
            return Err(invalid(Why::WildcardInTrustDomain));
        }
        if path.is_empty() && !open_ended {
            // Says the same of `spiffe://example.org` as the parser of IDs does.
            parse::workload_id(text).map_err(|error| invalid(Why::Id(error)))?;
        }

        let mut names = Vec::new();
        let mut segments = Vec::new();
        let mut literal_id = domain.to_owned();
        for part in path.split('/').skip(1) {
            let segment = match part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) if !is_name(name) => return Err(invalid(Why::BadName)),
                Some(name) if names.contains(&name) => return Err(invalid(Why::NameTwice)),
                Some(name) => {
                    names.push(name);
                    Segment::One
                }
                None if part == "*" => Segment::One,
                None if part.contains(['*', '{', '}']) => return Err(invalid(Why::PartOfSegment)),
                None => Segment::Literal(part.to_owned()),
            };
            literal_id.push('/');
            literal_id.push_str(if matches!(segment, Segment::One) {
                "x"
            } else {
                part
            });
            segments.push(segment);
            if segments.len() > MAX_SEGMENTS {
                return Err(invalid(Why::TooLong));
            }
        }
        // With its wildcards filled in, a pattern is an ID: one parser judges both.
        let id = parse::spiffe_id(&literal_id).map_err(|error| invalid(Why::Id(error)))?;
        Ok(Self {
            text: text.to_owned(),
            trust_domain: id.trust_domain().clone(),
            segments,
            open_ended,
        })
    }
}

impl From<&SpiffeId> for IdPattern {
    /// The pattern that meets this one ID.
    fn from(id: &SpiffeId) -> Self {
        let segments = id
            .path()
            .split('/')
            .skip(1)
            .map(|part| Segment::Literal(part.to_owned()))
            .collect();
        Self {
            text: id.to_string(),
            trust_domain: id.trust_domain().clone(),
            segments,
            open_ended: false,
        }
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
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
    WildcardInTrustDomain,
    PartOfSegment,
    BadName,
    NameTwice,
    TooLong,
    Id(InvalidId),
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = parse::shortened(&self.text, parse::SHOWN);
        write!(f, "`{text}` is no ID pattern: ")?;
        match &self.why {
            Why::WildcardInTrustDomain => f.write_str("a trust domain has no wildcard; write one pattern for each trust domain"),
            Why::PartOfSegment => f.write_str("a wildcard stands for a whole segment; write `/*`, `/{name}` or, at the end, `/**`"),
            Why::BadName => f.write_str("a name in braces is letters, digits and `_`, and does not begin with a digit"),
            Why::NameTwice => f.write_str("a name in braces stands once in a pattern"),
            Why::TooLong => write!(f, "it has more than {MAX_SEGMENTS} segments"),
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
    fn threats_authorization_11_no_boundary_is_crossed() {
        for other in [
            "spiffe://example.org.evil/svc/pay",
            "spiffe://example.org/svc/payment-2",
            "spiffe://example.org/svc/pay/x",
        ] {
            assert!(!meets("spiffe://example.org/svc/pay", other), "{other}");
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
