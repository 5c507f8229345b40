use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use spiffe_tls::{InvalidExpectation, TlsError, UnexpectedServer, UntrustedServer};
use spiffe_verify::X509Error;

/// A connector that could not be set up.
///
/// ```
/// fn hint(error: &spiffe_connector::ConnectorError) -> &'static str {
///     if error.is_expectation() { "name the server's SPIFFE ID" } else { "check the crypto provider" }
/// }
/// ```
#[derive(Debug)]
pub struct ConnectorError(ConnectorFailure);

#[derive(Debug)]
pub(crate) enum ConnectorFailure {
    Expectation(InvalidExpectation),
    #[cfg(feature = "reqwest")]
    Servers(crate::servers::InvalidServers),
    Tls(TlsError),
}

impl From<ConnectorFailure> for ConnectorError {
    fn from(failure: ConnectorFailure) -> Self {
        Self(failure)
    }
}

impl ConnectorError {
    /// Whether the expected server is no SPIFFE ID, no pattern and no trust domain, or the map of
    /// servers says more than the client can tell apart.
    #[must_use]
    pub fn is_expectation(&self) -> bool {
        !matches!(self.0, ConnectorFailure::Tls(_))
    }
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ConnectorFailure::Expectation(error) => error.fmt(f),
            #[cfg(feature = "reqwest")]
            ConnectorFailure::Servers(error) => error.fmt(f),
            ConnectorFailure::Tls(error) => error.fmt(f),
        }
    }
}

impl Error for ConnectorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            ConnectorFailure::Expectation(error) => Some(error),
            #[cfg(feature = "reqwest")]
            ConnectorFailure::Servers(error) => Some(error),
            ConnectorFailure::Tls(error) => Some(error),
        }
    }
}

/// A connection that did not come about.
///
/// ```
/// fn worth_a_retry(error: &spiffe_connector::ConnectError) -> bool {
///     error.is_timeout() || error.is_unreachable()
/// }
/// ```
#[derive(Debug)]
pub struct ConnectError {
    server: String,
    failure: ConnectFailure,
}

#[derive(Debug)]
pub(crate) enum ConnectFailure {
    NoHost,
    BadPort,
    NobodyExpected,
    NoIdentity,
    NoHttp2,
    Timeout(Stage, Duration),
    Dial(io::Error),
    Handshake(io::Error),
    Peer(UntrustedServer),
}

#[derive(Debug)]
pub(crate) enum Stage {
    Dial,
    Handshake,
}

impl ConnectError {
    pub(crate) fn new(server: impl Into<String>, failure: ConnectFailure) -> Self {
        let server = server.into();
        Self { server, failure }
    }

    /// Whether the map of servers says nothing of what was to be dialled. Nothing has been sent.
    #[must_use]
    pub fn is_nobody_expected(&self) -> bool {
        matches!(self.failure, ConnectFailure::NobodyExpected)
    }

    /// Whether this client has no identity at the moment.
    #[must_use]
    pub fn is_no_identity(&self) -> bool {
        matches!(self.failure, ConnectFailure::NoIdentity)
    }

    /// Whether the server took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.failure, ConnectFailure::Timeout(..))
    }

    /// Whether there was no TCP connection: no such host, or nobody listens.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.failure, ConnectFailure::Dial(_))
    }

    /// The server that answered in place of the expected one.
    #[must_use]
    pub fn unexpected_server(&self) -> Option<&UnexpectedServer> {
        match &self.failure {
            ConnectFailure::Handshake(error) => spiffe_tls::refused_with(error),
            ConnectFailure::Peer(error) => error.unexpected(),
            _ => None,
        }
    }

    /// Why the server's chain is no identity, where that is the cause.
    #[must_use]
    pub fn chain(&self) -> Option<&X509Error> {
        match &self.failure {
            ConnectFailure::Peer(error) => error.chain(),
            ConnectFailure::Handshake(error) => spiffe_tls::refused_with(error),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unexpected) = self.unexpected_server() {
            return write!(f, "refused {}: {unexpected}", self.server);
        }
        if let Some(chain) = self.chain() {
            return write!(f, "refused {}: {chain}", self.server);
        }
        match &self.failure {
            ConnectFailure::NoHost => f.write_str("the URI names no host"),
            ConnectFailure::BadPort => {
                f.write_str("the port of the URI is none: a port is a number up to 65535")
            }
            ConnectFailure::NobodyExpected => write!(
                f,
                "nobody is expected at {}: the map of servers does not name it, and nothing was sent",
                self.server
            ),
            ConnectFailure::NoHttp2 => write!(f, "{} does not speak HTTP/2", self.server),
            ConnectFailure::NoIdentity => f.write_str("this client has no identity at the moment"),
            ConnectFailure::Timeout(Stage::Dial, after) => write!(
                f,
                "{} has not taken the connection within {after:?}",
                self.server
            ),
            ConnectFailure::Timeout(Stage::Handshake, after) => write!(
                f,
                "{} has not finished the handshake within {after:?}",
                self.server
            ),
            ConnectFailure::Dial(error) => write!(f, "{} cannot be reached: {error}", self.server),
            ConnectFailure::Handshake(error) => {
                write!(f, "no handshake with {}: {error}", self.server)
            }
            ConnectFailure::Peer(error) => write!(f, "refused {}: {error}", self.server),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.failure {
            ConnectFailure::Dial(error) | ConnectFailure::Handshake(error) => Some(error),
            ConnectFailure::Peer(error) => Some(error),
            ConnectFailure::NoHost
            | ConnectFailure::BadPort
            | ConnectFailure::NobodyExpected
            | ConnectFailure::NoIdentity
            | ConnectFailure::NoHttp2
            | ConnectFailure::Timeout(..) => None,
        }
    }
}
