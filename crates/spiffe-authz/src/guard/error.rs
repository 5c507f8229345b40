use std::fmt;

/// Settings with which nothing would be guarded.
///
/// ```
/// use spiffe_authz::guard::AuthzLayer;
/// use spiffe_authz::policy::Policy;
///
/// let shadow = Policy::from_yaml("{ version: 1, name: trial, mode: shadow, trust_domains: {}, rules: [] }")?;
/// let error = AuthzLayer::new(shadow).unwrap_err();
/// assert!(error.to_string().contains("`trial` is in shadow"));
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidGuard(pub(super) Why);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    OnlyShadow { policy: String },
    NoReason,
    NotShadow { policy: String },
}

impl fmt::Display for InvalidGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::OnlyShadow { policy } => write!(
                f,
                "the policy `{policy}` is in shadow and would let everything pass: put it beside one that is enforced, or say why with `shadow_only`"
            ),
            Why::NoReason => {
                f.write_str("a guard that lets everything pass says why: the reason is blank")
            }
            Why::NotShadow { policy } => write!(
                f,
                "the policy `{policy}` would be enforced: `beside` and `shadow_only` take one with `mode: shadow`"
            ),
        }
    }
}

impl std::error::Error for InvalidGuard {}
