use std::time::SystemTime;

use serde_json::{Map, Value, json};
use spiffe_peer::TrustDomain;

use super::error::InvalidPolicy;
use super::loaded::Policy;
use super::yaml;

/// A policy in code: the same language, the same checks and the same decisions as in a file.
///
/// Nothing that is wrong shows before [`build`](Self::build), which tells all of it at once.
///
/// ```
/// use spiffe_authz::policy::{Policy, PolicyRule};
///
/// let policy = Policy::builder("orders")
///     .trust_domain("example.org")
///     .principal("shop", ["spiffe://example.org/ns/shop/**"])
///     .rule(PolicyRule::allow("read", ["GET /orders/{id}"]).from(["shop"]))
///     .rule(PolicyRule::deny("frozen", ["* /orders/archive/**"]).from_anyone())
///     .rule(PolicyRule::allow("health", ["GET /healthz"]).from_anyone().because("probes carry no identity"))
///     .build()?;
/// assert_eq!(policy.name(), "orders");
///
/// let error = Policy::builder("orders").rule(PolicyRule::allow("read", ["GET orders"])).build().unwrap_err();
/// assert_eq!(error.problems().len(), 2, "no path, and from whom? {error}");
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder decides nothing until it has built a policy"]
pub struct PolicyBuilder {
    document: Map<String, Value>,
    trust_domains: Map<String, Value>,
    principals: Map<String, Value>,
    users: Map<String, Value>,
    rules: Vec<Value>,
    own: Option<TrustDomain>,
}

impl Policy {
    /// Writes a policy in code.
    pub fn builder(name: &str) -> PolicyBuilder {
        let mut document = Map::new();
        document.insert("version".to_owned(), json!(1));
        document.insert("name".to_owned(), json!(name));
        PolicyBuilder {
            document,
            trust_domains: Map::new(),
            principals: Map::new(),
            users: Map::new(),
            rules: Vec::new(),
            own: None,
        }
    }
}

impl PolicyBuilder {
    /// Lets the policy speak of a trust domain.
    pub fn trust_domain(mut self, name: &str) -> Self {
        self.trust_domains.insert(name.to_owned(), json!({}));
        self
    }

    /// Lets the policy speak of a trust domain of somebody else.
    pub fn federated(mut self, name: &str) -> Self {
        let value = json!({ "federated": true });
        self.trust_domains.insert(name.to_owned(), value);
        self
    }

    /// The trust domain of the service itself, for patterns that begin with `own:`.
    pub fn own_trust_domain(mut self, own: TrustDomain) -> Self {
        self.own = Some(own);
        self
    }

    /// Gives callers a name. Said again, it adds patterns to the name.
    pub fn principal<T: AsRef<str>>(
        mut self,
        name: &str,
        patterns: impl IntoIterator<Item = T>,
    ) -> Self {
        let known = self
            .principals
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(known) = known {
            known.extend(texts(patterns));
        }
        self
    }

    /// Listens to an issuer of end-user tokens for these audiences; `bound_to` is `actor`, `azp`, `cnf`
    /// or `none`, as in a file.
    pub fn user_issuer<T: AsRef<str>>(
        mut self,
        name: &str,
        issuer: &str,
        audiences: impl IntoIterator<Item = T>,
        bound_to: &str,
    ) -> Self {
        let audiences: Vec<_> = texts(audiences).collect();
        let value = json!({ "issuer": issuer, "audiences": audiences, "bound_to": bound_to });
        self.users.insert(name.to_owned(), value);
        self
    }

    /// Evaluates and records the whole policy, and never enforces it.
    pub fn shadow(mut self) -> Self {
        self.document.insert("mode".to_owned(), json!("shadow"));
        self
    }

    /// Adds a rule.
    pub fn rule(mut self, rule: PolicyRule) -> Self {
        self.rules.push(Value::Object(rule.0));
        self
    }

    /// Checks everything and makes the policy.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with everything that is wrong.
    pub fn build(self) -> Result<Policy, InvalidPolicy> {
        let mut document = self.document;
        document.insert("trust_domains".to_owned(), self.trust_domains.into());
        document.insert("principals".to_owned(), self.principals.into());
        if !self.users.is_empty() {
            document.insert("users".to_owned(), self.users.into());
        }
        document.insert("rules".to_owned(), self.rules.into());
        let text = Value::Object(document).to_string();
        let model = yaml::document(&text).map_err(InvalidPolicy::new)?;
        Policy::compile(model, self.own)
    }
}

/// A rule of a [`PolicyBuilder`].
///
/// ```
/// use spiffe_authz::policy::PolicyRule;
///
/// let rule = PolicyRule::allow("own-office", ["GET /offices/{office}/disclosures/{id}"])
///     .from(["spiffe://regulator.example.gov/office/{office}/client"])
///     .when("path.office == id.office");
/// # let _ = rule;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a rule holds once a policy has it"]
pub struct PolicyRule(Map<String, Value>);

impl PolicyRule {
    /// A rule that allows these actions.
    pub fn allow<T: AsRef<str>>(name: &str, actions: impl IntoIterator<Item = T>) -> Self {
        Self::new(name, "allow", actions)
    }

    /// A rule that denies these actions.
    pub fn deny<T: AsRef<str>>(name: &str, actions: impl IntoIterator<Item = T>) -> Self {
        Self::new(name, "deny", actions)
    }

    fn new<T: AsRef<str>>(name: &str, effect: &str, actions: impl IntoIterator<Item = T>) -> Self {
        let actions: Vec<_> = texts(actions).collect();
        Self(Map::new()).with("name", name).with(effect, actions)
    }

    /// Speaks of these callers: names of principals, and ID patterns.
    pub fn from<T: AsRef<str>>(self, callers: impl IntoIterator<Item = T>) -> Self {
        let callers: Vec<_> = texts(callers).collect();
        self.with("from", callers)
    }

    /// Speaks of every caller with a verified identity; an allow says why.
    pub fn from_authenticated(self) -> Self {
        self.with("from", "authenticated")
    }

    /// Speaks of everybody, with an identity or without; an allow says why.
    pub fn from_anyone(self) -> Self {
        self.with("from", "anyone")
    }

    /// The reason in words.
    pub fn because(self, reason: &str) -> Self {
        self.with("because", reason)
    }

    /// A condition in CEL.
    pub fn when(self, condition: &str) -> Self {
        self.with("when", condition)
    }

    /// What is demanded of the end user, as the key `user` of a file has it.
    pub fn user(self, demand: impl Into<Value>) -> Self {
        self.with("user", demand)
    }

    /// Evaluates and records this rule, and never enforces it.
    pub fn shadow(self) -> Self {
        self.with("shadow", true)
    }

    /// The time from which on an allow does not match, in whole seconds.
    pub fn expires(self, end: SystemTime) -> Self {
        let since = end.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.map(|since| since.as_secs()).unwrap_or_default();
        let end = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|end| {
                end.format(&time::format_description::well_known::Rfc3339)
                    .ok()
            });
        self.with("expires", end)
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }
}

fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> impl Iterator<Item = Value> {
    texts.into_iter().map(|text| json!(text.as_ref()))
}
