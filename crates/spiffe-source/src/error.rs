use std::error::Error;
use std::fmt;
use std::time::Duration;

use spiffe_peer::parse::InvalidId;
use spiffe_verify::NoProvider;
use tonic::{Code, Status};

use crate::endpoint::{Endpoint, InvalidEndpoint};

/// Why a stream gives no SVIDs.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Endpoint(InvalidEndpoint),
    TrustDomain(InvalidId),
    NoProvider(NoProvider),
    Unreachable(String),
    NotReady(String),
    Hung(Duration),
    Denied(String),
    Misunderstood(String),
    BadAnswer(String),
    Ended,
}

impl Failure {
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    /// What a status of the agent means (SPIFFE Workload Endpoint, appendix A).
    pub(crate) fn from_status(status: &Status) -> Self {
        let message: String = status
            .message()
            .chars()
            .take(300)
            .flat_map(char::escape_debug)
            .collect();
        match status.code() {
            Code::PermissionDenied => Self::Denied(message),
            Code::Unavailable | Code::DeadlineExceeded => {
                Self::NotReady(format!("{:?}: {message}", status.code()))
            }
            Code::InvalidArgument | Code::Unimplemented => {
                Self::Misunderstood(format!("{:?}: {message}", status.code()))
            }
            code => Self::BadAnswer(format!("{code:?}: {message}")),
        }
    }

    /// Whether to wait is pointless (SPIFFE Workload Endpoint, appendix A).
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Misunderstood(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(error) => error.fmt(f),
            Self::TrustDomain(error) => error.fmt(f),
            Self::NoProvider(error) => error.fmt(f),
            Self::Unreachable(why) => write!(
                f,
                "{why}; is the agent running, and may this process open its socket?"
            ),
            Self::NotReady(message) => write!(f, "the agent is not ready ({message})"),
            Self::Hung(after) => write!(
                f,
                "the agent accepts connections but has not answered within {after:?}"
            ),
            Self::Denied(message) => {
                write!(
                    f,
                    "the agent has no identity for this process ({message}); register an entry whose selectors fit it"
                )
            }
            Self::Misunderstood(message) => write!(
                f,
                "what listens there does not understand the Workload API ({message})"
            ),
            Self::BadAnswer(message) => write!(f, "the agent's answer cannot be used: {message}"),
            Self::Ended => f.write_str("the agent has closed the stream"),
        }
    }
}

/// A source that could not be opened.
///
/// ```no_run
/// # async fn example() {
/// use spiffe_source::Source;
///
/// if let Err(error) = Source::workload_api().connect().await {
///     if error.is_denied() {
///         eprintln!("register this workload first: {error}");
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConnectError {
    endpoint: Option<String>,
    failure: Failure,
}

impl ConnectError {
    pub(crate) fn new(endpoint: &Endpoint, failure: Failure) -> Self {
        Self {
            endpoint: Some(endpoint.to_string()),
            failure,
        }
    }

    /// Whether the settings are wrong: the endpoint, a trust domain, or no cryptography.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.failure,
            Failure::Endpoint(_) | Failure::TrustDomain(_) | Failure::NoProvider(_)
        )
    }

    /// Whether the agent's socket is absent or refuses connections, or the agent says that it is not
    /// ready.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.failure, Failure::Unreachable(_) | Failure::NotReady(_))
    }

    /// Whether the agent accepts connections and does not answer.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        matches!(self.failure, Failure::Hung(_))
    }

    /// Whether the agent has no identity for this process.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.failure.is_denied()
    }

    /// Whether the agent answered something that cannot be used.
    #[must_use]
    pub fn is_bad_answer(&self) -> bool {
        matches!(
            self.failure,
            Failure::BadAnswer(_) | Failure::Misunderstood(_) | Failure::Ended
        )
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        Self {
            endpoint: None,
            failure,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(endpoint) => write!(f, "no SVID from {endpoint}: {}", self.failure),
            None => self.failure.fmt(f),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.failure {
            Failure::Endpoint(error) => Some(error),
            Failure::TrustDomain(error) => Some(error),
            Failure::NoProvider(error) => Some(error),
            _ => None,
        }
    }
}

/// The source has ended, because everything that could change it is gone.
///
/// ```
/// # let error = spiffe_source::Closed::default();
/// assert_eq!(error.to_string(), "the source has ended");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source has ended")
    }
}

impl Error for Closed {}
