use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use spiffe_tls::{TlsError, rustls};
use spiffe_verify::{X509Error, X509Fault};

use crate::pending::Eviction;

/// An acceptor that could not be set up.
///
/// ```
/// fn is_port_taken(error: &spiffe_acceptor::AcceptorError) -> bool {
///     error.to_string().contains("in use")
/// }
/// ```
#[derive(Debug)]
pub struct AcceptorError(AcceptorFailure);

#[derive(Debug)]
pub(crate) enum AcceptorFailure {
    Tls(TlsError),
    Bind { address: String, error: io::Error },
}

impl From<AcceptorFailure> for AcceptorError {
    fn from(failure: AcceptorFailure) -> Self {
        Self(failure)
    }
}

impl fmt::Display for AcceptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            AcceptorFailure::Tls(error) => error.fmt(f),
            AcceptorFailure::Bind { address, error } => {
                write!(f, "cannot listen on {address}: {error}")
            }
        }
    }
}

impl Error for AcceptorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            AcceptorFailure::Tls(error) => Some(error),
            AcceptorFailure::Bind { error, .. } => Some(error),
        }
    }
}

const NO_OWN_IDENTITY: &str = "no_own_identity";
const TIMEOUT: &str = "timeout";
const EVICTED: &str = "evicted";
const EVICTED_ADDRESS: &str = "evicted_address";
const ABANDONED: &str = "abandoned";
const TLS: &str = "tls";

/// A handshake that gave no connection. It tells the operator why; the peer got an alert, no more.
///
/// ```
/// fn label(error: &spiffe_acceptor::HandshakeError) -> &'static str {
///     error.reason()
/// }
/// ```
#[derive(Debug)]
pub struct HandshakeError(HandshakeFailure);

#[derive(Debug)]
pub(crate) enum HandshakeFailure {
    NoIdentity,
    Timeout(Duration),
    Tls(io::Error),
    Peer(X509Error),
    Evicted(Eviction),
    Abandoned,
}

impl From<HandshakeFailure> for HandshakeError {
    fn from(failure: HandshakeFailure) -> Self {
        Self(failure)
    }
}

impl HandshakeError {
    /// What [`reason`](Self::reason) can say.
    #[cfg(feature = "metrics")]
    pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
        let own = [
            NO_OWN_IDENTITY,
            TIMEOUT,
            EVICTED,
            EVICTED_ADDRESS,
            ABANDONED,
            TLS,
        ];
        own.into_iter()
            .chain(X509Fault::ALL.iter().map(|fault| fault.as_str()))
    }

    /// Whether this server has no identity at the moment, so that it cannot shake hands.
    #[must_use]
    pub fn is_no_identity(&self) -> bool {
        matches!(self.0, HandshakeFailure::NoIdentity)
    }

    /// Whether the peer was too slow.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, HandshakeFailure::Timeout(_))
    }

    /// Whether it gave way to newer ones, since too many were pending.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        matches!(self.0, HandshakeFailure::Evicted(_))
    }

    /// Why the peer's chain is no identity, where that is the cause.
    #[must_use]
    pub fn chain(&self) -> Option<&X509Error> {
        match &self.0 {
            HandshakeFailure::Peer(error) => Some(error),
            HandshakeFailure::Tls(error) => spiffe_tls::refused_with::<X509Error>(error),
            HandshakeFailure::NoIdentity
            | HandshakeFailure::Timeout(_)
            | HandshakeFailure::Evicted(_)
            | HandshakeFailure::Abandoned => None,
        }
    }

    /// The cause as a stable label for metrics: `no_own_identity`, `timeout`, `evicted`,
    /// `evicted_address`, `abandoned`, `tls`, or the fault of the peer's chain.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.0 {
            HandshakeFailure::NoIdentity => NO_OWN_IDENTITY,
            HandshakeFailure::Timeout(_) => TIMEOUT,
            HandshakeFailure::Evicted(Eviction::Oldest) => EVICTED,
            HandshakeFailure::Evicted(Eviction::OldestOfAddress) => EVICTED_ADDRESS,
            HandshakeFailure::Abandoned => ABANDONED,
            HandshakeFailure::Peer(error) => error.fault().as_str(),
            HandshakeFailure::Tls(error) => match spiffe_tls::refused_with::<X509Error>(error) {
                Some(error) => error.fault().as_str(),
                None if presented_nothing(error) => X509Fault::NoCertificate.as_str(),
                None => TLS,
            },
        }
    }
}

fn presented_nothing(error: &io::Error) -> bool {
    matches!(
        spiffe_tls::refused_with(error),
        Some(rustls::Error::NoCertificatesPresented)
    )
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HandshakeFailure::NoIdentity => {
                f.write_str("this server has no identity at the moment")
            }
            HandshakeFailure::Timeout(after) => write!(
                f,
                "the peer has not finished the handshake within {after:?}"
            ),
            HandshakeFailure::Peer(error) => write!(f, "the peer is refused: {error}"),
            HandshakeFailure::Evicted(Eviction::Oldest) => {
                f.write_str("too many handshakes were pending, and this was the oldest")
            }
            HandshakeFailure::Evicted(Eviction::OldestOfAddress) => f.write_str(
                "too many handshakes of one address were pending, and this was the oldest",
            ),
            HandshakeFailure::Abandoned => f.write_str("the handshake was given up"),
            HandshakeFailure::Tls(error) => match spiffe_tls::refused_with::<X509Error>(error) {
                Some(error) => write!(f, "the peer is refused: {error}"),
                None => write!(f, "the handshake failed: {error}"),
            },
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            HandshakeFailure::Tls(error) => Some(error),
            HandshakeFailure::Peer(error) => Some(error),
            HandshakeFailure::NoIdentity
            | HandshakeFailure::Timeout(_)
            | HandshakeFailure::Evicted(_)
            | HandshakeFailure::Abandoned => None,
        }
    }
}

/// A server that did not end in peace: when the time for draining was over, some connections still
/// had requests in flight and were cut.
///
/// ```
/// fn report(error: &spiffe_acceptor::ServeError) -> usize {
///     error.connections_cut()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeError {
    pub(crate) cut: usize,
    pub(crate) after: Duration,
}

impl ServeError {
    /// How many connections were cut.
    #[must_use]
    pub fn connections_cut(&self) -> usize {
        self.cut
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections were not done within {:?} and were cut",
            self.cut, self.after
        )
    }
}

impl Error for ServeError {}
