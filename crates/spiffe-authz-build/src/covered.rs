//! What a policy file says of the methods that have no option.

#[cfg(feature = "policy")]
use crate::Error;

/// The policy that may cover them, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cover {
    #[cfg(feature = "policy")]
    policy: Option<spiffe_authz::Policy>,
}

impl Cover {
    #[cfg(feature = "policy")]
    pub(crate) fn policy(policy: spiffe_authz::Policy) -> Self {
        Self {
            policy: Some(policy),
        }
    }

    /// Whether the policy allows anybody to call this method, by its path.
    #[cfg(feature = "policy")]
    pub(crate) fn covers(&self, path: &str) -> Result<bool, Error> {
        let Some(policy) = &self.policy else {
            return Ok(false);
        };
        let routes = serde_json::json!([{ "method": "POST", "path": path, "by_policy": true }]);
        let routes: spiffe_authz::Inventory = serde_json::from_value(routes)
            .map_err(|error| Error::one(format!("{path}: {error}")))?;
        let covered = routes.uncovered(policy).next().is_none();
        Ok(covered)
    }

    #[cfg(not(feature = "policy"))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as with the feature `policy`"
    )]
    pub(crate) fn covers(&self, _: &str) -> Result<bool, crate::Error> {
        Ok(false)
    }
}
