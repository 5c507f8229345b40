use crate::patterns::IdPatterns;
use crate::rule::{InvalidRule, Rule};

/// A rule as it was written; `build` judges it, so that every mistake comes out at once.
#[derive(Debug)]
pub(super) struct Draft {
    callers: Callers,
    denied: IdPatterns,
}

#[derive(Debug)]
enum Callers {
    Ids(IdPatterns),
    Authenticated(String),
    Anyone(String),
    Policy,
    Mixed,
}

/// Who decides at a route.
#[derive(Debug)]
pub(super) enum Decider {
    Rule(Rule),
    Policy,
}

impl Draft {
    pub(super) fn ids(ids: IdPatterns) -> Self {
        Self::of(Callers::Ids(ids))
    }

    pub(super) fn authenticated(because: String) -> Self {
        Self::of(Callers::Authenticated(because))
    }

    pub(super) fn anyone(because: String) -> Self {
        Self::of(Callers::Anyone(because))
    }

    pub(super) fn policy() -> Self {
        Self::of(Callers::Policy)
    }

    fn of(callers: Callers) -> Self {
        Self {
            callers,
            denied: IdPatterns::default(),
        }
    }

    /// Adds what was written of the same route or RPC later: IDs add up, everything else is a mistake.
    pub(super) fn and(self, more: Self) -> Self {
        let callers = match (self.callers, more.callers) {
            (Callers::Ids(mut ids), Callers::Ids(more)) => {
                ids.append(more);
                Callers::Ids(ids)
            }
            _ => Callers::Mixed,
        };
        Self { callers, ..self }
    }

    /// Keeps these out, whoever lets them in.
    pub(super) fn deny(mut self, ids: IdPatterns) -> Self {
        self.denied.append(ids);
        self
    }

    pub(super) fn into_decider(self) -> Result<Decider, InvalidRule> {
        let rule = match self.callers {
            Callers::Ids(ids) => Rule::allow(ids),
            Callers::Authenticated(because) => Rule::authenticated(because),
            Callers::Anyone(because) => Rule::anyone(because),
            Callers::Policy if self.denied.is_empty() => return Ok(Decider::Policy),
            Callers::Policy | Callers::Mixed => Err(InvalidRule::mixed()),
        }?;
        if self.denied.is_empty() {
            Ok(Decider::Rule(rule))
        } else {
            rule.deny(self.denied).map(Decider::Rule)
        }
    }
}
