//! Whom and what a rule speaks of, as sets.

use http::Method;
use spiffe_peer::TrustDomain;

use super::callers;
use super::shape::Shape;
use super::trie::Budget;
use crate::policy::Policy;
use crate::policy::model::{From, Methods, Model, RuleModel};

#[derive(Debug)]
pub(super) struct Reach<'p> {
    pub(super) actions: Vec<(&'p Methods, Shape)>,
    pub(super) callers: Who,
}

#[derive(Debug)]
pub(super) enum Who {
    Anyone,
    Authenticated,
    /// Trust domains, and paths in them.
    These(Vec<(String, Shape)>),
}

impl<'p> Reach<'p> {
    pub(super) fn of(policy: &'p Policy, rule: &'p RuleModel) -> Self {
        let actions = rule.actions.iter();
        Self {
            actions: actions
                .map(|action| (&action.methods, Shape::of_path(&action.path)))
                .collect(),
            callers: Who::of(policy.model(), &rule.from, policy.own_trust_domain()),
        }
    }

    /// Whether this speaks of everything that the other speaks of. It may say no where the answer is yes,
    /// and does where the budget is spent.
    pub(super) fn covers(&self, other: &Self, budget: &mut Budget) -> bool {
        let actions = other.actions.iter().all(|(methods, shape)| {
            if !budget.spend(self.actions.len()) {
                return false;
            }
            let ours: Vec<_> = self
                .actions
                .iter()
                .filter(|(_, ours)| ours.covers(shape))
                .collect();
            let open_to = |method: &Method| ours.iter().any(|(methods, _)| methods.cover(method));
            match methods {
                Methods::Every => ours.iter().any(|(methods, _)| **methods == Methods::Every),
                Methods::These(these) => these.iter().all(open_to),
            }
        });
        actions && self.callers.covers(&other.callers, budget)
    }
}

impl Who {
    fn of(model: &Model, from: &From, own: Option<&TrustDomain>) -> Self {
        match from {
            From::Anyone => Self::Anyone,
            From::Authenticated => Self::Authenticated,
            From::These(_) => Self::These(
                callers::patterns(model, from)
                    .into_iter()
                    .filter_map(|pattern| callers::bound(pattern, own))
                    .map(|pattern| {
                        (
                            pattern.trust_domain_name().to_owned(),
                            Shape::of_id(&pattern),
                        )
                    })
                    .collect(),
            ),
        }
    }

    fn covers(&self, other: &Self, budget: &mut Budget) -> bool {
        match (self, other) {
            (Self::Anyone, _) | (Self::Authenticated, Self::Authenticated | Self::These(_)) => true,
            (_, Self::Anyone) | (Self::These(_), Self::Authenticated) => false,
            (Self::These(ours), Self::These(theirs)) => theirs.iter().all(|(domain, shape)| {
                budget.spend(ours.len())
                    && ours
                        .iter()
                        .any(|(ours, held)| ours == domain && held.covers(shape))
            }),
        }
    }

    /// Whether a caller can be of both. It may say yes where the answer is no.
    pub(super) fn meets(&self, other: &Self, budget: &mut Budget) -> bool {
        let (Self::These(ours), Self::These(theirs)) = (self, other) else {
            return true;
        };
        ours.iter().any(|(domain, shape)| {
            !budget.spend(theirs.len())
                || theirs
                    .iter()
                    .any(|(theirs, met)| theirs == domain && met.meets(shape))
        })
    }
}
