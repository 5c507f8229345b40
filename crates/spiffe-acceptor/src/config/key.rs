use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Address,
    Timeout,
    ProbesAddress,
    Policy,
    AllowedId,
    PeerTrustDomain,
    SocketPath,
    Files,
    OwnTrustDomain,
    TrustedDomains,
}

impl Key {
    pub(super) const ALL: [Self; 10] = [
        Self::Address,
        Self::Timeout,
        Self::ProbesAddress,
        Self::Policy,
        Self::AllowedId,
        Self::PeerTrustDomain,
        Self::SocketPath,
        Self::Files,
        Self::OwnTrustDomain,
        Self::TrustedDomains,
    ];

    /// Its name in a file.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Address => "http.address",
            Self::Timeout => "http.timeout",
            Self::ProbesAddress => "http.probes_address",
            Self::Policy => "http.authentication.policy",
            Self::AllowedId => "http.authentication.allowed_id",
            Self::PeerTrustDomain => "http.authentication.trust_domain",
            Self::SocketPath => "spire.socket_path",
            Self::Files => "spire.files",
            Self::OwnTrustDomain => "spire.trust_domain",
            Self::TrustedDomains => "spire.trusted_domains",
        }
    }

    /// Its name in the environment.
    pub(super) fn variable(self) -> Option<&'static str> {
        match self {
            Self::Address => Some("HTTP_ADDRESS"),
            Self::ProbesAddress => Some("HTTP_PROBES_ADDRESS"),
            Self::Policy => Some("AUTH_POLICY"),
            Self::AllowedId => Some("ALLOWED_CLIENT_ID"),
            Self::PeerTrustDomain => Some("AUTH_TRUST_DOMAIN"),
            Self::Files => Some("SPIFFE_FILES"),
            Self::OwnTrustDomain => Some("SPIRE_TRUST_DOMAIN"),
            Self::TrustedDomains => Some("SPIFFE_TRUSTED_DOMAINS"),
            Self::Timeout | Self::SocketPath => None,
        }
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::AllowedId | Self::TrustedDomains)
    }
}

/// Who says so. The order is that of precedence: a later one wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(Mark),
    Variable(&'static str),
    Code,
}

/// A place in a file, or in a text that is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) file: Option<Arc<Path>>,
    pub(super) at: Option<(u64, u64)>,
}

impl Origin {
    pub(super) fn outranks(&self, other: &Self) -> bool {
        self.rank() >= other.rank()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Variable(_) => 1,
            Self::Code => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(mark) => mark.fmt(f),
            Self::Variable(name) => f.write_str(name),
            Self::Code => f.write_str("set in code"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.at) {
            (Some(file), Some((line, column))) => write!(f, "{}:{line}:{column}", file.display()),
            (Some(file), None) => write!(f, "{}", file.display()),
            (None, Some((line, column))) => write!(f, "line {line}, column {column}"),
            (None, None) => f.write_str("the configuration"),
        }
    }
}

/// A value, and who has given it.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}
