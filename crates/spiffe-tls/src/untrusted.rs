use std::error::Error;
use std::fmt;

use spiffe_verify::X509Error;

use crate::expected::UnexpectedServer;

/// The server of a finished handshake is nobody to talk to.
///
/// ```
/// fn is_the_wrong_one(error: &spiffe_tls::UntrustedServer) -> bool {
///     error.unexpected().is_some()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedServer(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Chain(X509Error),
    Unexpected(UnexpectedServer),
}

impl UntrustedServer {
    /// Why its chain is no identity, where that is the cause.
    #[must_use]
    pub fn chain(&self) -> Option<&X509Error> {
        match &self.0 {
            Why::Chain(error) => Some(error),
            Why::Unexpected(_) => None,
        }
    }

    /// Who it is, where it is not the expected server.
    #[must_use]
    pub fn unexpected(&self) -> Option<&UnexpectedServer> {
        match &self.0 {
            Why::Chain(_) => None,
            Why::Unexpected(error) => Some(error),
        }
    }
}

impl From<X509Error> for UntrustedServer {
    fn from(error: X509Error) -> Self {
        Self(Why::Chain(error))
    }
}

impl From<UnexpectedServer> for UntrustedServer {
    fn from(error: UnexpectedServer) -> Self {
        Self(Why::Unexpected(error))
    }
}

impl fmt::Display for UntrustedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Chain(error) => error.fmt(f),
            Why::Unexpected(error) => error.fmt(f),
        }
    }
}

impl Error for UntrustedServer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::Chain(error) => Some(error),
            Why::Unexpected(error) => Some(error),
        }
    }
}
