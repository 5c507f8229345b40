use std::fmt;

use super::index::{Index, NO_RULE, RuleId};
use crate::canonical::NotCanonical;
use crate::decision::Reason;

/// What a policy says of a request, and why.
#[derive(Clone)]
pub struct Decision<'p> {
    pub(super) index: &'p Index,
    pub(super) outcome: Outcome,
    pub(super) shadow: Option<Outcome>,
    pub(super) has_peer: bool,
    pub(super) errors: Option<Box<[ConditionError]>>,
}

/// One way of deciding: with or without what is in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) allowed: bool,
    pub(super) rule: RuleId,
    pub(super) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Rule,
    Default,
    NoIdentity,
    BadUser,
    BadRequest(NotCanonical),
    ConditionError,
    /// Nobody knows what a rule would have said.
    Undecided,
}

/// A condition that could not be evaluated.
#[derive(Debug, Clone)]
pub(super) struct ConditionError {
    pub(super) rule: RuleId,
    pub(super) what: String,
}

impl<'p> Decision<'p> {
    /// Whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.outcome.allowed
    }

    /// The HTTP status of the answer to the peer: 200 stands for "passes".
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.outcome.why {
            _ if self.outcome.allowed => 200,
            Why::BadRequest(_) => 400,
            Why::BadUser => 401,
            _ if !self.has_peer => 401,
            _ => 403,
        }
    }

    /// The rule that decided: the first in the order of the file.
    #[must_use]
    pub fn rule(&self) -> Option<&'p str> {
        self.name(self.outcome)
    }

    /// The reason in one word: `rule`, `default`, `no_identity`, `bad_user`, `bad_request` or
    /// `condition_error`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.outcome.why {
            Why::Rule => "rule",
            Why::Default => "default",
            Why::NoIdentity => "no_identity",
            Why::BadUser => "bad_user",
            Why::BadRequest(_) => "bad_request",
            Why::ConditionError | Why::Undecided => "condition_error",
        }
    }

    /// Whether something speaks against the request, beyond that nothing speaks for it.
    pub(crate) fn is_kept_out(&self) -> bool {
        let by_nobody = matches!(
            self.outcome.why,
            Why::Default | Why::NoIdentity | Why::ConditionError
        ) && self.outcome.rule == NO_RULE;
        !self.outcome.allowed && !by_nobody
    }

    /// The reason, for a request that does not pass.
    pub(crate) fn refusal_reason(&self) -> Reason {
        match self.outcome.why {
            Why::Rule => Reason::Rule,
            Why::Default => Reason::Default,
            Why::NoIdentity => Reason::NoIdentity,
            Why::BadUser => Reason::BadUser,
            Why::BadRequest(why) => Reason::NotCanonical(why),
            Why::ConditionError | Why::Undecided => Reason::ConditionError,
        }
    }

    /// Why the request can be read in more than one way, if that is the reason.
    #[must_use]
    pub fn not_canonical(&self) -> Option<NotCanonical> {
        match self.outcome.why {
            Why::BadRequest(why) => Some(why),
            _ => None,
        }
    }

    /// What the decision would be if nothing were in shadow; `None` where the policy has nothing there.
    #[must_use]
    pub fn shadow(&self) -> Option<Shadow<'p>> {
        self.shadow.map(|outcome| Shadow {
            allowed: outcome.allowed,
            rule: self.name(outcome),
        })
    }

    /// Conditions that could not be evaluated, whether that decided or not: the rule, and what happened.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().flatten().map(|error| {
            (
                self.index.rule_name(error.rule).unwrap_or_default(),
                error.what.as_str(),
            )
        })
    }

    /// The name of the policy.
    #[must_use]
    pub fn policy(&self) -> &'p str {
        self.index.name()
    }

    /// The generation of the policy: it grows with every policy that is loaded in this process.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.index.generation()
    }

    fn name(&self, outcome: Outcome) -> Option<&'p str> {
        self.index.rule_name(outcome.rule)
    }
}

impl fmt::Debug for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("policy", &self.policy())
            .field("generation", &self.generation())
            .field("status", &self.status())
            .field("rule", &self.rule())
            .field("reason", &self.reason())
            .field("shadow", &self.shadow())
            .finish_non_exhaustive()
    }
}

/// The other outcome of a [`Decision`]: with everything counted that is in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadow<'a> {
    allowed: bool,
    rule: Option<&'a str>,
}

impl<'a> Shadow<'a> {
    /// Whether the request would pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The rule that would decide.
    #[must_use]
    pub fn rule(&self) -> Option<&'a str> {
        self.rule
    }
}
