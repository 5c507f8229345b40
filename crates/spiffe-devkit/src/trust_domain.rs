use std::time::Duration;

use spiffe_peer::TrustDomain;
use spiffe_peer::parse::{self, InvalidId};

use crate::authority::DEFAULT_AUTHORITY_TTL;

/// A trust domain for which an [`Agent`](crate::Agent) holds an authority.
///
/// ```
/// use spiffe_devkit::TrustDomainSpec;
///
/// let own = TrustDomainSpec::new("example.org")?.federates_with("partner.test");
/// assert!(TrustDomainSpec::new("spiffe://example.org").is_err());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone)]
pub struct TrustDomainSpec {
    pub(crate) name: TrustDomain,
    pub(crate) federates_with: Vec<String>,
    pub(crate) authority_ttl: Duration,
}

impl TrustDomainSpec {
    /// The trust domain of this name, which federates with none.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is not the name of a trust domain.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        let name = parse::trust_domain(name)?;
        Ok(Self {
            name,
            federates_with: Vec::new(),
            authority_ttl: DEFAULT_AUTHORITY_TTL,
        })
    }

    /// Gives its workloads the bundles of that trust domain of the same agent; may be said for
    /// several. It is one-way: say it on both sides where both are to verify each other.
    #[must_use]
    pub fn federates_with(mut self, name: impl Into<String>) -> Self {
        self.federates_with.push(name.into());
        self
    }

    /// How long roots and intermediates live, a year unless told. No SVID outlives them.
    #[must_use]
    pub fn authority_ttl(mut self, ttl: Duration) -> Self {
        self.authority_ttl = ttl;
        self
    }
}
