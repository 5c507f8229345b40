use std::fmt;
use std::path::Path;
use std::sync::Arc;

use spiffe_peer::TrustDomain;

use super::decision::Decision;
use super::error::InvalidPolicy;
use super::index::{Index, NeedsResource, Step};
use super::model::{Mode, Model};
use super::query::Query;
use super::yaml;

/// A policy, ready to decide. Cloning copies one pointer.
///
/// ```
/// use http::{HeaderMap, Method};
/// use spiffe_authz::policy::{Policy, Query};
/// use spiffe_peer::parse;
///
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// rules:
///   - name: create
///     allow: ["POST /orders"]
///     from: ["spiffe://example.org/service/payment-processor"]
/// "#)?;
///
/// let headers = HeaderMap::new();
/// let query = Query::new(&Method::POST, "/orders", &headers);
/// assert_eq!(policy.decide(&query).status(), 401);
///
/// let peer = parse::workload_id("spiffe://example.org/service/payment-processor")?;
/// let decision = policy.decide(&query.peer(&peer));
/// assert!(decision.is_allowed());
/// assert_eq!(decision.rule(), Some("create"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Policy(Arc<Loaded>);

struct Loaded {
    index: Index,
    model: Model,
    own: Option<TrustDomain>,
}

impl Policy {
    /// Reads a policy that does not speak of the service's own trust domain as `own:`.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with everything that is wrong, each with its line and column.
    pub fn from_yaml(text: &str) -> Result<Self, InvalidPolicy> {
        Self::loader().from_yaml(text)
    }

    /// Reads a policy from a file that does not speak of the service's own trust domain as `own:`.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] where the file cannot be read, or with everything that is wrong with it.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, InvalidPolicy> {
        Self::loader().from_path(path)
    }

    /// Reads policies for a service whose trust domain is known.
    pub fn loader() -> Loader {
        Loader::default()
    }

    /// Decides on a request, synchronously and without a look at anything but the query.
    #[must_use]
    #[inline]
    pub fn decide<'p>(&'p self, query: &Query<'_>) -> Decision<'p> {
        let decided = self.0.index.step(query);
        decided.unwrap_or_else(|NeedsResource| self.0.index.undecidable(query))
    }

    /// Its name, as audit records give it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.model.name
    }

    /// Its generation: it grows with every policy that is loaded in this process.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.index.generation()
    }

    /// Whether it is evaluated and recorded, but never enforced.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.0.model.mode == Mode::Shadow
    }

    /// Decides, or says that it has to know the resource first.
    #[inline]
    pub(crate) fn step<'p>(&'p self, query: &Query<'_>) -> Step<'p> {
        self.0.index.step(query)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.0.model
    }

    pub(crate) fn own_trust_domain(&self) -> Option<&TrustDomain> {
        self.0.own.as_ref()
    }

    pub(crate) fn compile(model: Model, own: Option<TrustDomain>) -> Result<Self, InvalidPolicy> {
        let index = Index::compile(&model, own.as_ref()).map_err(InvalidPolicy::new)?;
        Ok(Self(Arc::new(Loaded { index, model, own })))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("rules", &self.0.model.rules.len())
            .finish_non_exhaustive()
    }
}

/// Reads policies for one service.
///
/// ```
/// use spiffe_authz::policy::Policy;
/// use spiffe_peer::TrustDomain;
///
/// let text = r#"
/// version: 1
/// name: orders
/// trust_domains: {}
/// rules:
///   - { name: create, allow: ["POST /orders"], from: ["own:/service/payment-processor"] }
/// "#;
/// assert!(Policy::from_yaml(text).is_err(), "whose own?");
/// let own = TrustDomain::new("staging.example.org")?;
/// assert!(Policy::loader().own_trust_domain(own).from_yaml(text).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a loader reads nothing by itself"]
pub struct Loader {
    own: Option<TrustDomain>,
}

impl Loader {
    /// The trust domain of the service itself, for patterns that begin with `own:`.
    pub fn own_trust_domain(mut self, own: TrustDomain) -> Self {
        self.own = Some(own);
        self
    }

    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with everything that is wrong, each with its line and column.
    pub fn from_yaml(&self, text: &str) -> Result<Policy, InvalidPolicy> {
        self.load(text.as_bytes())
    }

    /// Reads a policy from a file, of which no more than the limit of 8 MiB is read.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] where the file cannot be read, or with everything that is wrong with it.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<Policy, InvalidPolicy> {
        let path = path.as_ref();
        let bytes = read_bounded(path).map_err(|error| {
            InvalidPolicy::plain(&format!("cannot read {}: {error}", path.display()))
        })?;
        self.load(&bytes).map_err(|invalid| invalid.in_file(path))
    }

    pub(crate) fn load(&self, bytes: &[u8]) -> Result<Policy, InvalidPolicy> {
        let model = yaml::load(bytes).map_err(InvalidPolicy::new)?;
        Policy::compile(model, self.own.clone())
    }
}

/// Reads a file up to one byte past the limit, by which the loader knows that it is too large.
pub(crate) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(yaml::MAX_BYTES).unwrap_or(u64::MAX);
    std::fs::File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
