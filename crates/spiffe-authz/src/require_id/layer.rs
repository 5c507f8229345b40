use tower_layer::Layer;

use super::RequireId;
use crate::rule::{InvalidRule, Rule};

/// Lets in the peers of one rule. See the [module](crate::require_id).
///
/// ```
/// use spiffe_authz::{RequireIdLayer, Rule};
///
/// RequireIdLayer::exact("spiffe://example.org/service/orders")?;
/// RequireIdLayer::one_of(["spiffe://example.org/service/orders", "spiffe://example.org/service/stock"])?;
/// RequireIdLayer::pattern("spiffe://example.org/ns/batch/**")?;
/// RequireIdLayer::trust_domain("example.org")?;
/// RequireIdLayer::path_prefix("example.org", "/ns/payments")?;
/// RequireIdLayer::authenticated("any workload may read the catalogue")?;
/// RequireIdLayer::new(Rule::allow(["spiffe://example.org/ns/a/*", "spiffe://example.org/ns/b/*"])?);
///
/// assert!(RequireIdLayer::exact("spiffe://example.org/ns/batch/**").is_err());
/// assert!(RequireIdLayer::trust_domain("example.org/ns").is_err());
/// assert!(RequireIdLayer::path_prefix("example.org", ".evil/ns").is_err());
/// # Ok::<(), spiffe_authz::InvalidRule>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer guards nothing until it is put around a service"]
pub struct RequireIdLayer {
    rule: Rule,
}

impl RequireIdLayer {
    /// Lets in the peers of `rule`.
    pub fn new(rule: Rule) -> Self {
        Self { rule }
    }

    /// Lets in the one peer with this ID.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the text is no ID of a workload; a wildcard is none.
    pub fn exact(id: &str) -> Result<Self, InvalidRule> {
        Self::one_of([id])
    }

    /// Lets in the peers with these IDs.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where a text is no ID of a workload, or there is none at all.
    pub fn one_of<I>(ids: I) -> Result<Self, InvalidRule>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Rule::allow_exactly(ids).map(Self::new)
    }

    /// Lets in the peers that the ID pattern describes.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the text is no ID pattern.
    pub fn pattern(pattern: &str) -> Result<Self, InvalidRule> {
        Rule::allow(pattern).map(Self::new)
    }

    /// Lets in every workload of a trust domain.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the text is no trust domain.
    pub fn trust_domain(name: &str) -> Result<Self, InvalidRule> {
        Self::path_prefix(name, "")
    }

    /// Lets in the workloads of a trust domain whose path begins with these whole segments, as in
    /// `/ns/payments`.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the texts are no trust domain and no beginning of a path.
    pub fn path_prefix(trust_domain: &str, prefix: &str) -> Result<Self, InvalidRule> {
        Rule::below(trust_domain, prefix).map(Self::new)
    }

    /// Lets in every peer with a verified identity.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the reason is blank.
    pub fn authenticated(because: impl Into<String>) -> Result<Self, InvalidRule> {
        Rule::authenticated(because).map(Self::new)
    }
}

impl From<Rule> for RequireIdLayer {
    fn from(rule: Rule) -> Self {
        Self::new(rule)
    }
}

impl<S> Layer<S> for RequireIdLayer {
    type Service = RequireId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireId::new(inner, self.rule.clone())
    }
}
