//! The names that a policy gives to callers, for rules in code that speak of them.

#[cfg(feature = "axum")]
use spiffe_peer::PeerIdentity;

#[cfg(feature = "axum")]
use super::caller::CallerPattern;
use super::loaded::Policy;

impl Policy {
    /// Whether the policy knows the peer by one of these names.
    #[cfg(feature = "axum")]
    pub(crate) fn knows(&self, peer: &PeerIdentity, names: &[String]) -> bool {
        let principals = self.model().principals.iter();
        principals
            .filter(|principal| names.contains(&principal.name))
            .flat_map(|principal| &principal.patterns)
            .any(|pattern| match pattern {
                CallerPattern::Absolute(pattern) => peer.matches(pattern),
                CallerPattern::Own(_) => pattern
                    .bind(self.own_trust_domain())
                    .is_ok_and(|pattern| peer.matches(&pattern)),
            })
    }

    /// What to say of a name that the policy gives to nobody.
    pub(crate) fn unknown_principal(&self, name: &str) -> Option<String> {
        let principals = &self.model().principals;
        if principals.iter().any(|principal| principal.name == name) {
            return None;
        }
        let near = principals
            .iter()
            .map(|principal| principal.name.as_str())
            .filter(|known| strsim::damerau_levenshtein(known, name) <= name.len().div_ceil(3))
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let rest = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name it there under `principals`".to_owned(),
        };
        let policy = self.name();
        Some(format!(
            "the policy `{policy}` has no principal `{name}`; {rest}"
        ))
    }
}
