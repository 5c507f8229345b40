use std::error::Error;
use std::fmt;
use std::time::Duration;

use spiffe_peer::parse::InvalidId;
use spiffe_verify::NoProvider;
use tonic::{Code, Status};

use crate::endpoint::InvalidEndpoint;
use crate::status::Status as SourceStatus;

/// Why a stream gives no SVIDs.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Endpoint(InvalidEndpoint),
    InvalidId(InvalidId),
    NoProvider(NoProvider),
    Settings(String),
    /// A feed that is not the Workload API has none; the second is for good.
    Feed(String),
    Unusable(String),
    Unreachable(String),
    NotReady(String),
    Hung(Duration),
    Denied(String),
    /// Another feed, or an update without the SVID in use, takes the identity back.
    TakenBack(String),
    Misunderstood(String),
    BadAnswer(String),
    Ended,
    /// An SVID should have come long ago, or another agent listens: asking anew is no problem yet.
    Overdue,
}

impl Failure {
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::TakenBack(_))
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
            // The connection went away in the middle of an answer.
            Code::Unknown | Code::Internal | Code::Cancelled if is_broken(status) => Self::Ended,
            Code::InvalidArgument | Code::Unimplemented => {
                Self::Misunderstood(format!("{:?}: {message}", status.code()))
            }
            code => Self::BadAnswer(format!("{code:?}: {message}")),
        }
    }

    /// Whether to wait is pointless (SPIFFE Workload Endpoint, appendix A).
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Misunderstood(_) | Self::Unusable(_))
    }
}

/// Whether an I/O error, rather than the agent, has ended a call.
fn is_broken(status: &Status) -> bool {
    let mut cause = Error::source(status);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(error) => error.fmt(f),
            Self::InvalidId(error) => error.fmt(f),
            Self::NoProvider(error) => error.fmt(f),
            Self::Settings(why) | Self::Feed(why) | Self::Unusable(why) | Self::TakenBack(why) => {
                f.write_str(why)
            }
            Self::Unreachable(why) => write!(
                f,
                "{why}; is the agent running, and may this process open its socket?"
            ),
            Self::NotReady(message) => write!(f, "the agent is not ready ({message})"),
            Self::Hung(after) => write!(
                f,
                "it has not answered within {after:?}; does it hang, or does something else listen there?"
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
            Self::BadAnswer(message) => write!(f, "what it answers cannot be used: {message}"),
            Self::Ended => f.write_str("the agent has closed the stream"),
            Self::Overdue => f.write_str("the agent has to be asked anew"),
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
    origin: Option<String>,
    failure: Failure,
}

impl ConnectError {
    pub(crate) fn new(origin: String, failure: Failure) -> Self {
        Self {
            origin: Some(origin),
            failure,
        }
    }

    /// An error of a feed whose settings are wrong.
    ///
    /// ```
    /// let error = spiffe_source::ConnectError::configuration("name the key server");
    /// assert!(error.is_configuration());
    /// ```
    #[must_use]
    pub fn configuration(why: impl Into<String>) -> Self {
        Self::from(Failure::Settings(why.into()))
    }

    /// Whether the settings are wrong: the endpoint, a trust domain, or no cryptography.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.failure,
            Failure::Endpoint(_)
                | Failure::InvalidId(_)
                | Failure::NoProvider(_)
                | Failure::Settings(_)
        )
    }

    /// Whether the agent's socket is absent or refuses connections, or the agent says that it is not
    /// ready; for another feed, whether its material cannot be had.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.failure,
            Failure::Unreachable(_) | Failure::NotReady(_) | Failure::Feed(_)
        )
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

    /// Whether what the agent, or another feed, has brought cannot be used.
    #[must_use]
    pub fn is_bad_answer(&self) -> bool {
        matches!(
            self.failure,
            Failure::BadAnswer(_)
                | Failure::Misunderstood(_)
                | Failure::Unusable(_)
                | Failure::Ended
        )
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        Self {
            origin: None,
            failure,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "no SVID from {origin}: {}", self.failure),
            None => self.failure.fmt(f),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.failure {
            Failure::Endpoint(error) => Some(error),
            Failure::InvalidId(error) => Some(error),
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

/// A source with which no handshake would work at the moment.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) {
/// if let Err(error) = source.ready(std::time::Duration::from_secs(5)).await {
///     eprintln!("{error}; {:?}", error.status().state());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady(pub(crate) Box<SourceStatus>);

impl NotReady {
    /// How the source is.
    #[must_use]
    pub fn status(&self) -> &SourceStatus {
        &self.0
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the source is not ready: {}", self.0)
    }
}

impl Error for NotReady {}
