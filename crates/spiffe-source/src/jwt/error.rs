use std::error::Error;
use std::fmt;

use spiffe_peer::SpiffeId;

use super::audience::InvalidAudience;
use super::own::BadToken;

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 600;

/// Why a [`JwtAuthority`](super::JwtAuthority) does not give what it was asked for.
///
/// The reason is one readable sentence without the token; it is shown to the operator.
///
/// ```
/// use spiffe_source::jwt::JwtAuthorityError;
///
/// let error = JwtAuthorityError::unavailable("the key server cannot be reached; is it running?");
/// assert!(error.is_unavailable() && error.to_string().contains("is it running?"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtAuthorityError {
    problem: Problem,
    reason: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Denied,
    Unavailable,
    BadAnswer,
    Unsupported,
    Refused,
}

impl JwtAuthorityError {
    /// This process does not have the identity. What it was issued before is dropped.
    #[must_use]
    pub fn denied(reason: impl fmt::Display) -> Self {
        Self::new(Problem::Denied, &reason)
    }

    /// The authority cannot be reached, is not ready or does not answer: later it may be otherwise.
    #[must_use]
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self::new(Problem::Unavailable, &reason)
    }

    /// The authority has answered with something that cannot be used.
    #[must_use]
    pub fn bad_answer(reason: impl fmt::Display) -> Self {
        Self::new(Problem::BadAnswer, &reason)
    }

    /// The authority does not do this at all.
    #[must_use]
    pub fn unsupported(reason: impl fmt::Display) -> Self {
        Self::new(Problem::Unsupported, &reason)
    }

    /// The token that was to be validated is no JWT-SVID for the audience.
    #[must_use]
    pub fn refused(reason: impl fmt::Display) -> Self {
        Self::new(Problem::Refused, &reason)
    }

    fn new(problem: Problem, reason: &dyn fmt::Display) -> Self {
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        let reason: String = reason
            .to_string()
            .chars()
            .take(MAX_REASON)
            .map(printable)
            .collect();
        Self {
            problem,
            reason: reason.into_boxed_str(),
        }
    }

    /// Whether this process does not have the identity.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.problem == Problem::Denied
    }

    /// Whether the authority cannot be reached, is not ready or does not answer.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.problem == Problem::Unavailable
    }

    /// Whether the answer cannot be used.
    #[must_use]
    pub fn is_bad_answer(&self) -> bool {
        self.problem == Problem::BadAnswer
    }

    /// Whether the authority does not do this at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.problem == Problem::Unsupported
    }

    /// Whether the token that was to be validated is no JWT-SVID for the audience.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.problem == Problem::Refused
    }
}

impl fmt::Display for JwtAuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for JwtAuthorityError {}

/// A source has no JWT-SVID to hand out.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) {
/// match source.jwt_svid(["spiffe://example.org/service/stock"]).await {
///     Ok(svid) => println!("until {:?}", svid.expires_at()),
///     Err(error) if error.is_unavailable() => println!("try again later: {error}"),
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JwtSvidError(pub(super) Why);

#[derive(Debug, Clone)]
pub(super) enum Why {
    Audience(InvalidAudience),
    NoAuthority,
    Closed,
    NoIdentity,
    NotOwn(SpiffeId),
    Busy,
    Authority(JwtAuthorityError),
    BadToken(BadToken),
}

impl JwtSvidError {
    /// Whether there is no audience, or one that cannot be used. Nobody was asked.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self.0, Why::Audience(_))
    }

    /// Whether the source is of a kind that has no JWT-SVIDs, or its agent does not serve them.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match &self.0 {
            Why::NoAuthority => true,
            Why::Authority(error) => error.is_unsupported(),
            _ => false,
        }
    }

    /// Whether this process does not have the identity: it never had it, it was withdrawn, it has
    /// expired, or it is on the deny-list.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match &self.0 {
            Why::NoIdentity | Why::NotOwn(_) => true,
            Why::Authority(error) => error.is_denied(),
            _ => false,
        }
    }

    /// Whether the agent cannot be reached, is not ready or does not answer, or too much was asked
    /// of it: later it may be otherwise.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match &self.0 {
            Why::Busy => true,
            Why::Authority(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether what was issued is no JWT-SVID of this identity for these audiences.
    #[must_use]
    pub fn is_bad_answer(&self) -> bool {
        match &self.0 {
            Why::BadToken(_) => true,
            Why::Authority(error) => error.is_bad_answer() || error.is_refused(),
            _ => false,
        }
    }

    /// Whether the source has been closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Why::Closed)
    }

    /// What became of a fetch, for logs and labels.
    pub(super) fn result(&self) -> &'static str {
        match () {
            () if self.is_denied() => "denied",
            () if self.is_unavailable() => "unavailable",
            () if self.is_unsupported() => "unsupported",
            () => "bad_answer",
        }
    }
}

impl From<Why> for JwtSvidError {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl fmt::Display for JwtSvidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no JWT-SVID: ")?;
        match &self.0 {
            Why::Audience(error) => error.fmt(f),
            Why::NoAuthority => f.write_str(
                "this kind of source has none; open one over the Workload API, or from a feed with a `jwt_authority`",
            ),
            Why::Closed => f.write_str("the source has been closed"),
            Why::NoIdentity => f.write_str(
                "this process has no identity at the moment; the source's status says why",
            ),
            Why::NotOwn(id) => write!(
                f,
                "{id} is no identity of this process; register an entry for it, or ask for one of the snapshot's SVIDs"
            ),
            Why::Busy => f.write_str("too many are being fetched at the moment; try again"),
            Why::Authority(error) => error.fmt(f),
            Why::BadToken(bad) => write!(
                f,
                "what was issued cannot be used: {bad}; whoever issues it has to mend that"
            ),
        }
    }
}

impl Error for JwtSvidError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::Authority(error) => Some(error),
            Why::BadToken(BadToken::Invalid(error)) => Some(error),
            _ => None,
        }
    }
}
