use std::fmt;

/// Which of the peers that the source trusts get a connection: `http.authentication.policy`.
///
/// ```
/// use spiffe_acceptor::config::{Config, PeerPolicy};
///
/// let config = Config::new()
///     .policy(PeerPolicy::OneOf)
///     .allowed_ids(["spiffe://example.org/ns/shop/sa/*"]);
/// # drop(config);
/// assert_eq!(PeerPolicy::OneOf.as_str(), "one-of");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PeerPolicy {
    /// Those of one trust domain.
    #[default]
    TrustDomain,
    /// The one with this ID.
    SpecificId,
    /// Those with one of these IDs, or whose ID meets one of these patterns.
    OneOf,
    /// All that the source trusts: the own trust domain and the federated ones. Logs a warning.
    Any,
}

impl PeerPolicy {
    pub(super) const ALL: [Self; 4] = [Self::TrustDomain, Self::SpecificId, Self::OneOf, Self::Any];

    /// How it is written in a file and in the environment.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrustDomain => "trust-domain",
            Self::SpecificId => "specific-id",
            Self::OneOf => "one-of",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
