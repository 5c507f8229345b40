use crate::patterns::IdPatterns;
use crate::rule::{InvalidRule, Rule};

/// A rule as it was written; `build` judges it, so that every mistake comes out at once.
#[derive(Debug)]
pub(super) enum Draft {
    Ids(IdPatterns),
    Authenticated(String),
    Anyone(String),
    Mixed,
}

impl Draft {
    /// Adds what was written of the same route or RPC later: IDs add up, everything else is a mistake.
    pub(super) fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Ids(mut ids), Self::Ids(more)) => {
                ids.append(more);
                Self::Ids(ids)
            }
            _ => Self::Mixed,
        }
    }

    pub(super) fn into_rule(self) -> Result<Rule, InvalidRule> {
        match self {
            Self::Ids(ids) => Rule::allow(ids),
            Self::Authenticated(because) => Rule::authenticated(because),
            Self::Anyone(because) => Rule::anyone(because),
            Self::Mixed => Err(InvalidRule::mixed()),
        }
    }
}
