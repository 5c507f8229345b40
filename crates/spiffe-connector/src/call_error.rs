use std::error::Error;
use std::fmt;
use std::time::Duration;

use hyper_util::client::legacy;
use spiffe_tls::refused_with;

use crate::error::ConnectError;
use crate::failure::Failure;

/// A call without a response, or whose response broke off.
///
/// ```
/// fn worth_a_retry(error: &spiffe_connector::CallError) -> bool {
///     error.is_timeout() || error.connect().is_some_and(|error| error.is_unreachable())
/// }
/// ```
#[derive(Debug)]
pub struct CallError(CallFailure);

#[derive(Debug)]
pub(crate) enum CallFailure {
    Client(legacy::Error),
    Body(hyper::Error),
    NoConnection(Duration),
    NoHead(Duration),
    Overall(Duration),
    /// The connection is closed, and has said nothing of the request.
    Lost,
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        Self(failure)
    }
}

impl CallError {
    /// Whether something has taken too long: the connection, the head of the response, or the whole.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self.0 {
            CallFailure::NoConnection(_) | CallFailure::NoHead(_) | CallFailure::Overall(_) => true,
            CallFailure::Client(_) | CallFailure::Body(_) | CallFailure::Lost => {
                self.connect().is_some_and(ConnectError::is_timeout)
            }
        }
    }

    /// Whether the time of the call is over, and not that of a step on the way to the server.
    #[cfg(feature = "tonic")]
    pub(crate) fn is_overdue(&self) -> bool {
        matches!(self.0, CallFailure::NoHead(_) | CallFailure::Overall(_))
    }

    /// Why there was no connection, where that is the cause. The server has had no byte of a request.
    #[must_use]
    pub fn connect(&self) -> Option<&ConnectError> {
        refused_with(self)
    }

    /// Whether the server has left the request unprocessed, so that it can be sent again.
    pub(crate) fn is_unprocessed(&self) -> bool {
        self.is_goodbye() || self.is_refused_stream()
    }

    /// Whether the server takes no more requests on the connection, and has not taken this one.
    pub(crate) fn is_goodbye(&self) -> bool {
        let CallFailure::Client(error) = &self.0 else {
            return false;
        };
        // A server that refuses this client does so again.
        let never_sent = refused_with::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled)
            && !Failure::of(error).is_refused_by_server();
        // A stream that fails with the server's GOAWAY lies beyond the last that it has taken.
        let beyond = refused_with::<h2::Error>(error)
            .is_some_and(|error| error.is_go_away() && error.is_remote());
        never_sent || beyond
    }

    /// Whether the request waited for a connection that another was making, and that did not come about:
    /// the other may have failed, or only have been given up.
    pub(crate) fn is_left_waiting(&self) -> bool {
        let CallFailure::Client(error) = &self.0 else {
            return false;
        };
        error.is_connect() && self.connect().is_none()
    }

    /// Whether the request waited for the connection to take it, or for the server to have room for it,
    /// when the connection was closed to new requests.
    pub(crate) fn was_in_line(&self) -> bool {
        let error = match &self.0 {
            CallFailure::Lost => return true,
            CallFailure::Client(error) => error,
            _ => return false,
        };
        // hyper drops it, and lays it to its user. The user's other faults come before anything is
        // sent, or once something of the body is gone.
        refused_with::<hyper::Error>(error).is_some_and(hyper::Error::is_user)
    }

    fn is_refused_stream(&self) -> bool {
        let CallFailure::Client(error) = &self.0 else {
            return false;
        };
        refused_with::<h2::Error>(error).is_some_and(|error| {
            let is_reset = error.is_reset() && error.is_remote();
            is_reset && error.reason() == Some(h2::Reason::REFUSED_STREAM)
        })
    }

    /// What HTTP/2 calls it, where it does.
    #[cfg(feature = "tonic")]
    pub(crate) fn http2_reason(&self) -> Option<h2::Reason> {
        refused_with::<h2::Error>(self).and_then(h2::Error::reason)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CallFailure::Client(error) => Failure::of(error).fmt(f),
            CallFailure::Body(error) => {
                write!(f, "the response broke off: {}", Failure::of(error))
            }
            CallFailure::NoConnection(after) => write!(f, "no connection within {after:?}"),
            CallFailure::NoHead(after) => write!(f, "no head of a response within {after:?}"),
            CallFailure::Overall(after) => write!(f, "the call was not finished within {after:?}"),
            CallFailure::Lost => {
                f.write_str("the connection was closed without a word of the request")
            }
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            CallFailure::Client(error) => Some(error),
            CallFailure::Body(error) => Some(error),
            CallFailure::NoConnection(_)
            | CallFailure::NoHead(_)
            | CallFailure::Overall(_)
            | CallFailure::Lost => None,
        }
    }
}
