use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::error::InvalidPolicy;
use super::live::{LivePolicy, Replaced};
use super::loaded::Policy;

/// Where a guard gets its policy from: one for good, or one that follows its file.
///
/// ```
/// use spiffe_authz::policy::{Policy, PolicySource};
///
/// let policy = Policy::from_yaml("{ version: 1, name: closed, trust_domains: {}, rules: [] }")?;
/// let source = PolicySource::from(policy);
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Clone)]
pub struct PolicySource(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Policy),
    Live(LivePolicy),
}

impl PolicySource {
    /// The policy that is in force at this moment, for as long as one decision takes.
    #[inline]
    pub(crate) fn now(&self) -> Now<'_> {
        match &self.0 {
            Kind::Fixed(policy) => Now::Fixed(policy),
            Kind::Live(live) => Now::Live(live.now()),
        }
    }
}

/// A policy that was in force a moment ago.
pub(crate) enum Now<'a> {
    Fixed(&'a Policy),
    Live(arc_swap::Guard<Arc<Policy>>),
}

impl Deref for Now<'_> {
    type Target = Policy;

    #[inline]
    fn deref(&self) -> &Policy {
        match self {
            Self::Fixed(policy) => policy,
            Self::Live(policy) => policy,
        }
    }
}

impl PolicySource {
    /// Tells when another policy is in force, if that can ever be.
    pub(crate) fn replaced(&self) -> Option<Replaced> {
        match &self.0 {
            Kind::Fixed(_) => None,
            Kind::Live(live) => Some(live.replaced()),
        }
    }

    #[cfg_attr(
        not(feature = "axum"),
        allow(dead_code, reason = "only the guarded router knows its routes")
    )]
    pub(crate) fn check(
        &self,
        check: impl Fn(&Policy) -> Result<(), InvalidPolicy> + Send + Sync + 'static,
    ) -> Result<(), InvalidPolicy> {
        match &self.0 {
            Kind::Fixed(policy) => check(policy),
            Kind::Live(live) => live.check(Arc::new(check)),
        }
    }
}

impl From<Policy> for PolicySource {
    fn from(policy: Policy) -> Self {
        Self(Kind::Fixed(policy))
    }
}

impl From<LivePolicy> for PolicySource {
    fn from(live: LivePolicy) -> Self {
        Self(Kind::Live(live))
    }
}

impl fmt::Debug for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(policy) => policy.fmt(f),
            Kind::Live(live) => live.fmt(f),
        }
    }
}
