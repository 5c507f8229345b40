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
    /// ID patterns, and names of principals.
    These(IdPatterns, Vec<String>),
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
        Self::of(Callers::These(ids, Vec::new()))
    }

    #[cfg(feature = "tonic")]
    pub(super) fn principal(name: String) -> Self {
        Self::of(Callers::These(IdPatterns::default(), vec![name]))
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
            (Callers::These(mut ids, mut principals), Callers::These(more, named)) => {
                ids.append(more);
                principals.extend(named);
                Callers::These(ids, principals)
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

    /// Judges it. Principals are those of the policy that is in force when the rule is asked.
    pub(super) fn into_decider(self, has_policy: bool) -> Result<Decider, InvalidRule> {
        let rule = match self.callers {
            Callers::These(ids, principals) if principals.is_empty() => Rule::allow(ids),
            Callers::These(ids, principals) => Rule::allow_named(ids, principals, has_policy),
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
