//! What looks wrong in a policy that loads.

mod callers;
mod covered;
mod names;
mod routes;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use super::harmless;
use super::reach::Reach;
use super::trie::Budget;
use crate::Inventory;
use crate::policy::Policy;
use crate::policy::model::{Model, RuleModel, Spot};

/// The work for one policy: a few seconds on a slow machine.
const STEPS: u64 = 30_000_000;

/// What looks wrong in a policy, and in how it fits an application's routes, in the order of the file.
///
/// It never says of a rule that another covers it where that is not so; that one does may stay unsaid.
/// The work is bounded: where a policy takes more, a lint `incomplete` says what was left out.
/// Names that look like other names are told with the feature `confusables` alone.
#[must_use]
pub fn lints(policy: &Policy, routes: Option<&Inventory>, at: SystemTime) -> Vec<Lint> {
    let mut survey = Survey::new(policy, at, Budget::new(STEPS));
    survey.covered();
    survey.deny_methods();
    survey.callers(routes);
    survey.rules();
    survey.names();
    if let Some(routes) = routes {
        survey.routes(routes);
    }
    survey.finish()
}

/// Something that looks wrong in a policy, and what to do about it.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// principals: { shop: "spiffe://example.org/ns/shop/**" }
/// rules: []
/// "#)?;
/// let lints = review::lints(&policy, None, SystemTime::now());
/// let told: Vec<_> = lints.iter().map(|lint| (lint.kind(), lint.line())).collect();
/// assert_eq!(told, [("unused-principal", 5)]);
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    kind: &'static str,
    at: Spot,
    rule: Option<String>,
    message: String,
}

impl Lint {
    /// What kind of lint it is, in one word that stays the same: `covered-by-deny`, `covered-by-earlier`,
    /// `unused-principal`, `wide-pattern`, `open-ended-federated`, `deny-leaves-methods`, `untested-header`,
    /// `unanchored-matches`, `unbound-user`, `lower-case-method`, `confusable`, `endless-shadow`, `expired`,
    /// `volatile-id`, `uncovered-route`, `unknown-principal`, `no-route`, `other-route` or `incomplete`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The line, from 1; zero where it is about no place in the policy.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// The column, from 1, in characters; zero where it is about no place in the policy.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.at.column
    }

    /// The rule that it is about.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// What looks wrong and what to do, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spot { line, column } = self.at;
        if line > 0 {
            write!(f, "{line}:{column}: ")?;
        }
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// A policy while it is looked at.
struct Survey<'p> {
    policy: &'p Policy,
    model: &'p Model,
    at: SystemTime,
    reaches: Vec<Reach<'p>>,
    budget: Budget,
    found: Vec<Lint>,
}

impl<'p> Survey<'p> {
    fn new(policy: &'p Policy, at: SystemTime, budget: Budget) -> Self {
        let model = policy.model();
        Self {
            policy,
            model,
            at,
            reaches: model
                .rules
                .iter()
                .map(|rule| Reach::of(policy, rule))
                .collect(),
            budget,
            found: Vec::new(),
        }
    }

    fn about_rule(&mut self, kind: &'static str, rule: &RuleModel, at: Spot, message: String) {
        self.found.push(Lint {
            kind,
            at,
            rule: Some(rule.name.clone()),
            message,
        });
    }

    fn about(&mut self, kind: &'static str, at: Spot, message: String) {
        self.found.push(Lint {
            kind,
            at,
            rule: None,
            message,
        });
    }

    fn finish(mut self) -> Vec<Lint> {
        // By place; what has none, such as a route that no rule covers, comes last.
        self.found
            .sort_by_key(|lint| (lint.at.line == 0, lint.at.line, lint.at.column));
        if self.budget.is_spent() {
            let message = "the policy is too large to compare all of its rules with each other: of what is covered by another rule, of methods left open and of routes, some may be untold; check it in parts";
            self.about("incomplete", Spot::default(), message.to_owned());
        }
        self.found
    }
}

/// The name of a rule in a sentence, with its line where it has one.
fn named(rule: &RuleModel) -> String {
    match rule.at.line {
        0 => format!("`{}`", harmless(&rule.name)),
        line => format!("`{}` (line {line})", harmless(&rule.name)),
    }
}
