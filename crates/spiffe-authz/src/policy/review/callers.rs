//! Whom a rule speaks of, as patterns in named trust domains.

use std::borrow::Cow;

use spiffe_peer::{IdPattern, TrustDomain};

use crate::policy::caller::CallerPattern;
use crate::policy::model::{Callers, From, Model};

/// Every pattern by which a caller can reach a rule; none where it is from `anyone` or `authenticated`.
pub(super) fn patterns<'a>(model: &'a Model, from: &'a From) -> Vec<&'a CallerPattern> {
    let From::These(these) = from else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for callers in these {
        match callers {
            Callers::Principal(index) => {
                let principal = model.principals.get(*index);
                patterns.extend(
                    principal
                        .into_iter()
                        .flat_map(|principal| &principal.patterns),
                );
            }
            Callers::Pattern(pattern, _) => patterns.push(pattern),
        }
    }
    patterns
}

/// The names of a rule's callers, as the file writes them.
pub(super) fn names<'a>(model: &'a Model, from: &'a From) -> Vec<Cow<'a, str>> {
    let these = match from {
        From::Anyone => return vec!["anyone".into()],
        From::Authenticated => return vec!["authenticated".into()],
        From::These(these) => these,
    };
    let name = |callers: &'a Callers| match callers {
        Callers::Principal(index) => {
            let principal = model.principals.get(*index);
            Cow::Borrowed(principal.map_or("", |principal| principal.name.as_str()))
        }
        Callers::Pattern(pattern, _) => pattern.to_string().into(),
    };
    these.iter().map(name).collect()
}

/// The pattern in its trust domain. A policy that was loaded knows every one of them.
pub(super) fn bound(pattern: &CallerPattern, own: Option<&TrustDomain>) -> Option<IdPattern> {
    pattern.bind(own).ok()
}
