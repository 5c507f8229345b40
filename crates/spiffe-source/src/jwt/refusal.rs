use std::error::Error;
use std::fmt;

use spiffe_peer::SpiffeId;
use spiffe_verify::{JwtError, JwtFault, NoAudience};

use super::JwtAuthorityError;

/// A token was not accepted.
///
/// The text is for the log and never contains the token. Whoever has sent the token learns nothing
/// but that it was refused; where nothing [was decided](Self::is_undecided), it is not its fault.
///
/// ```no_run
/// # fn example(validator: spiffe_source::jwt::JwtValidator, token: &str) {
/// use spiffe_source::jwt::JwtFault;
///
/// if let Err(refusal) = validator.validate(token) {
///     if refusal.fault() == Some(JwtFault::Expired) {
///         println!("fetch a new one");
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JwtRefusal(Why);

#[derive(Debug, Clone)]
pub(super) enum Why {
    NoAudience(NoAudience),
    Invalid(JwtError),
    OnDenyList(SpiffeId),
    Authority(JwtAuthorityError),
}

impl JwtRefusal {
    /// What is wrong with the token, where it was this process that found out.
    #[must_use]
    pub fn fault(&self) -> Option<JwtFault> {
        match &self.0 {
            Why::Invalid(error) => Some(error.fault()),
            _ => None,
        }
    }

    /// Whether the token is genuine, and its ID is on the deny-list.
    #[must_use]
    pub fn is_on_deny_list(&self) -> bool {
        matches!(self.0, Why::OnDenyList(_))
    }

    /// Whether the agent says that the token is no JWT-SVID for the audience.
    #[must_use]
    pub fn is_refused_by_agent(&self) -> bool {
        matches!(&self.0, Why::Authority(error) if error.is_refused())
    }

    /// Whether the audience to validate for is blank, which accepts nothing.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self.0, Why::NoAudience(_))
    }

    /// Whether the agent could not decide: [`agent_error`](Self::agent_error) says why. The token
    /// may be good.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.agent_error().is_some_and(|error| !error.is_refused())
    }

    /// What the agent says, or why it says nothing.
    #[must_use]
    pub fn agent_error(&self) -> Option<&JwtAuthorityError> {
        match &self.0 {
            Why::Authority(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Why> for JwtRefusal {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl From<JwtError> for JwtRefusal {
    fn from(error: JwtError) -> Self {
        Self(Why::Invalid(error))
    }
}

impl From<JwtFault> for JwtRefusal {
    fn from(fault: JwtFault) -> Self {
        JwtError::from(fault).into()
    }
}

impl From<JwtAuthorityError> for JwtRefusal {
    fn from(error: JwtAuthorityError) -> Self {
        Self(Why::Authority(error))
    }
}

impl From<NoAudience> for JwtRefusal {
    fn from(error: NoAudience) -> Self {
        Self(Why::NoAudience(error))
    }
}

impl fmt::Display for JwtRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::NoAudience(error) => error.fmt(f),
            Why::Invalid(error) => error.fmt(f),
            Why::OnDenyList(id) => write!(f, "the token is of {id}, which is on the deny-list"),
            Why::Authority(error) if error.is_refused() => {
                write!(f, "the agent refuses the token: {error}")
            }
            Why::Authority(error) => write!(f, "the token was not validated: {error}"),
        }
    }
}

impl Error for JwtRefusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::NoAudience(error) => Some(error),
            Why::Invalid(error) => Some(error),
            Why::Authority(error) => Some(error),
            Why::OnDenyList(_) => None,
        }
    }
}
