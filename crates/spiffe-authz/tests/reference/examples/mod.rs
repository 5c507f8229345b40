//! Decisions worked out by hand from POLICY.md: what the reference itself is held to.

mod callers;
mod conditions;
mod effects;
mod paths;
mod users;
mod write;

use std::fmt;

use crate::generate::OWN;
use crate::policy::{Outcome, Policy, Request};
use crate::random::Random;
use crate::reference::Reference;

#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) policy: Policy,
    pub(crate) request: Request,
    /// See [`in_words`].
    pub(crate) expected: &'static str,
}

impl Example {
    /// How its policy is written matters little.
    pub(crate) fn random(&self) -> Random {
        Random::new(u64::try_from(self.request.target.len()).unwrap())
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}", self.request)
    }
}

pub(crate) fn all() -> Vec<Example> {
    let mut all = paths::examples();
    all.extend(callers::examples());
    all.extend(effects::examples());
    all.extend(conditions::examples());
    all.extend(users::examples());
    all
}

/// An outcome as the examples write it: `STATUS REASON RULE`, and behind a `|` what the shadow says.
pub(crate) fn in_words(outcome: &Outcome) -> String {
    let rule = |rule: &Option<String>| rule.clone().unwrap_or_else(|| "-".to_owned());
    let mut words = format!(
        "{} {} {}",
        outcome.status,
        outcome.reason,
        rule(&outcome.rule)
    );
    if let Some(shadow) = &outcome.shadow {
        let decision = if shadow.allowed { "allow" } else { "deny" };
        words.push_str(&format!(" | {decision} {}", rule(&shadow.rule)));
    }
    words
}

#[test]
fn the_reference_decides_the_examples() {
    let all = all();
    assert!(all.len() >= 60, "{}", all.len());
    for example in all {
        let reference = Reference {
            policy: &example.policy,
            own: OWN,
            slip: None,
        };
        let outcome = reference.decide(&example.request);
        assert_eq!(in_words(&outcome), example.expected, "{example}");
        assert_eq!(outcome.allowed, outcome.status == 200, "{example}");
    }
}
