use std::error::Error;
use std::fmt;

use spiffe_peer::parse::{self, InvalidId};
use spiffe_peer::{IdMatcher, IdPattern, InvalidPattern, SpiffeId, TrustDomain};

/// Whom a client expects at the other end. There is no expectation that every server meets.
///
/// ```
/// use spiffe_tls::ExpectedServer;
///
/// let one: ExpectedServer = "spiffe://example.org/service/orders".parse()?;
/// let some: ExpectedServer = "spiffe://example.org/ns/shop/sa/*".parse()?;
/// let domain = ExpectedServer::member_of("example.org")?;
/// let set = ExpectedServer::from(spiffe_peer::IdMatcher::from(domain.clone()).not());
/// assert!(one.to_string().ends_with("/service/orders"));
/// assert!("orders.example.org".parse::<ExpectedServer>().is_err());
/// # let _ = (some, domain, set);
/// # Ok::<(), spiffe_tls::InvalidExpectation>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedServer(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Pattern(IdPattern),
    Member(TrustDomain),
    Set(IdMatcher),
}

impl ExpectedServer {
    /// Any workload of one trust domain, which has to be named.
    ///
    /// # Errors
    ///
    /// [`InvalidExpectation`] where the text is no name of a trust domain.
    pub fn member_of(trust_domain: &str) -> Result<Self, InvalidExpectation> {
        Ok(Self(Kind::Member(
            parse::trust_domain(trust_domain).map_err(Why::TrustDomain)?,
        )))
    }

    /// Whether this is the server that is expected.
    #[must_use]
    pub fn is_met_by(&self, id: &SpiffeId) -> bool {
        match &self.0 {
            Kind::Pattern(pattern) => pattern.matches(id),
            Kind::Member(trust_domain) => id.trust_domain() == trust_domain,
            Kind::Set(set) => set.matches(id),
        }
    }

    pub(crate) fn check(&self, id: &SpiffeId) -> Result<(), UnexpectedServer> {
        if self.is_met_by(id) {
            Ok(())
        } else {
            Err(UnexpectedServer {
                expected: Box::new(self.clone()),
                actual: Box::new(id.clone()),
            })
        }
    }
}

impl std::str::FromStr for ExpectedServer {
    type Err = InvalidExpectation;

    /// One ID or an ID pattern.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Kind::Pattern(text.parse().map_err(Why::Pattern)?)))
    }
}

impl TryFrom<&str> for ExpectedServer {
    type Error = InvalidExpectation;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<&SpiffeId> for ExpectedServer {
    fn from(id: &SpiffeId) -> Self {
        Self(Kind::Pattern(id.into()))
    }
}

impl From<IdPattern> for ExpectedServer {
    fn from(pattern: IdPattern) -> Self {
        Self(Kind::Pattern(pattern))
    }
}

impl From<IdMatcher> for ExpectedServer {
    fn from(set: IdMatcher) -> Self {
        Self(Kind::Set(set))
    }
}

impl From<ExpectedServer> for IdMatcher {
    fn from(expected: ExpectedServer) -> Self {
        match expected.0 {
            Kind::Pattern(pattern) => pattern.into(),
            Kind::Member(trust_domain) => Self::member_of(trust_domain),
            Kind::Set(set) => set,
        }
    }
}

impl fmt::Display for ExpectedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Pattern(pattern) => pattern.fmt(f),
            Kind::Member(trust_domain) => write!(f, "any workload of {trust_domain}"),
            Kind::Set(_) => f.write_str("a workload of the set that is expected"),
        }
    }
}

/// An expectation that is none: the text is no SPIFFE ID, no pattern, no trust domain.
///
/// ```
/// let error = "https://orders".parse::<spiffe_tls::ExpectedServer>().unwrap_err();
/// assert!(error.to_string().contains("expected server"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidExpectation(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Pattern(InvalidPattern),
    TrustDomain(InvalidId),
}

impl From<Why> for InvalidExpectation {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl From<std::convert::Infallible> for InvalidExpectation {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for InvalidExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected server: ")?;
        match &self.0 {
            Why::Pattern(error) => error.fmt(f),
            Why::TrustDomain(error) => error.fmt(f),
        }
    }
}

impl Error for InvalidExpectation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::Pattern(error) => Some(error),
            Why::TrustDomain(error) => Some(error),
        }
    }
}

/// The server has proved an identity, and it is not the one that was expected.
///
/// ```
/// fn explain(error: &spiffe_tls::UnexpectedServer) -> String {
///     format!("called {} by mistake", error.actual())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnexpectedServer {
    expected: Box<ExpectedServer>,
    actual: Box<SpiffeId>,
}

impl UnexpectedServer {
    /// Who was expected.
    #[must_use]
    pub fn expected(&self) -> &ExpectedServer {
        &self.expected
    }

    /// Who answered; verified.
    #[must_use]
    pub fn actual(&self) -> &SpiffeId {
        &self.actual
    }
}

impl fmt::Display for UnexpectedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server is {}, expected was {}",
            self.actual, self.expected
        )
    }
}

impl Error for UnexpectedServer {}
