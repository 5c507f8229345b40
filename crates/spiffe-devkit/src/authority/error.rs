use std::fmt;

/// Why an authority did not issue, or did not take a step of its rotation.
///
/// ```
/// use spiffe_devkit::Authority;
///
/// let authority = Authority::new("example.org")?;
/// // Nothing has been prepared that could be activated.
/// let error = authority.activate().unwrap_err();
/// assert!(error.is_out_of_order());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IssueError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Certificate(rcgen::Error),
    Key,
    Random,
    Time,
    AuthorityEnded,
    ForeignId(String),
    Invalid(String),
    OutOfOrder(&'static str),
}

impl IssueError {
    pub(crate) const KEY: Self = Self { kind: Kind::Key };
    pub(crate) const RANDOM: Self = Self { kind: Kind::Random };
    pub(super) const TIME: Self = Self { kind: Kind::Time };
    pub(super) const AUTHORITY_ENDED: Self = Self {
        kind: Kind::AuthorityEnded,
    };

    pub(super) fn foreign_id(text: String) -> Self {
        Self {
            kind: Kind::ForeignId(text),
        }
    }

    pub(super) fn invalid(text: String) -> Self {
        Self {
            kind: Kind::Invalid(text),
        }
    }

    pub(super) fn out_of_order(what: &'static str) -> Self {
        Self {
            kind: Kind::OutOfOrder(what),
        }
    }

    /// Whether the step does not follow on the one before: see [`Authority`](crate::Authority).
    #[must_use]
    pub fn is_out_of_order(&self) -> bool {
        matches!(self.kind, Kind::OutOfOrder(_))
    }

    /// Whether the authority's own certificates have ended.
    #[must_use]
    pub fn is_authority_ended(&self) -> bool {
        matches!(self.kind, Kind::AuthorityEnded)
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Certificate(_) => f.write_str("the certificate could not be made"),
            Kind::Key => f.write_str("the key could not be made or did not sign"),
            Kind::Random => f.write_str("the system gave no random bytes"),
            Kind::Time => f.write_str("the time does not fit into a certificate"),
            Kind::AuthorityEnded => f.write_str("the authority has expired; rotate it"),
            Kind::ForeignId(id) => write!(f, "`{id}` is not of the authority's trust domain"),
            Kind::Invalid(why) => f.write_str(why),
            Kind::OutOfOrder(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for IssueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Certificate(error) => Some(error),
            _ => None,
        }
    }
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self {
            kind: Kind::Certificate(error),
        }
    }
}
