//! Rules that change nothing, and denies that stop half-way.

use std::collections::BTreeSet;

use http::Method;

use super::{Survey, named};
use crate::policy::model::{Effect, Methods, RuleModel, UserDemand};
use crate::policy::review::conditions;
use crate::policy::review::shape::Shape;
use crate::policy::review::trie::ShapeTrie;

impl<'p> Survey<'p> {
    /// Finds allows that a deny makes void, and rules that an earlier one makes superfluous.
    pub(super) fn covered(&mut self) {
        let model = self.model;
        let mut by_path = ShapeTrie::default();
        for (id, reach) in self.reaches.iter().enumerate() {
            for (_, shape) in &reach.actions {
                by_path.add(shape, id);
            }
        }
        for (id, rule) in model.rules.iter().enumerate() {
            let mut deny = None;
            let mut earlier = None;
            for other in self.candidates(&by_path, id) {
                let Some(coverer) = model.rules.get(other).filter(|_| other != id) else {
                    continue;
                };
                let voids = rule.effect == Effect::Allow
                    && deny.is_none()
                    && coverer.effect == Effect::Deny
                    && is_plain(coverer)
                    && counts_where(coverer, rule);
                let repeats = other < id && earlier.is_none() && self.asks_no_more(coverer, rule);
                if (voids || repeats) && self.reach_covers(other, id) {
                    if voids {
                        deny = Some(coverer);
                    } else {
                        earlier = Some(coverer);
                    }
                }
            }
            if let Some(deny) = deny {
                let message = format!(
                    "the deny {} covers all that `{}` allows, so that it allows nothing: narrow the deny, or take the allow out",
                    named(deny),
                    super::harmless(&rule.name)
                );
                self.about_rule("covered-by-deny", rule, rule.at, message);
            } else if let Some(earlier) = earlier {
                let message = format!(
                    "the earlier rule {} covers all that `{}` speaks of, so that it changes nothing: narrow the earlier one, or take this one out",
                    named(earlier),
                    super::harmless(&rule.name)
                );
                self.about_rule("covered-by-earlier", rule, rule.at, message);
            }
        }
    }

    /// The rules that cover the first action of a rule, in the order of the file.
    fn candidates(&mut self, by_path: &ShapeTrie<usize>, id: usize) -> BTreeSet<usize> {
        let first = self.reaches.get(id).and_then(|reach| reach.actions.first());
        match first {
            Some((_, shape)) => by_path
                .covering(shape, &mut self.budget)
                .into_iter()
                .collect(),
            None => BTreeSet::new(),
        }
    }

    fn reach_covers(&mut self, coverer: usize, covered: usize) -> bool {
        match (self.reaches.get(coverer), self.reaches.get(covered)) {
            (Some(coverer), Some(covered)) => coverer.covers(covered, &mut self.budget),
            _ => false,
        }
    }

    /// Whether the one matches whenever the other does, as far as callers and actions allow.
    fn asks_no_more(&self, coverer: &RuleModel, rule: &RuleModel) -> bool {
        let user = match (&coverer.user, &rule.user) {
            (None, _) | (Some(UserDemand::Required), Some(UserDemand::Like(_))) => true,
            (ours, theirs) => ours == theirs,
        };
        let lasts = match (coverer.expires, rule.expires) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => ours >= theirs,
        };
        coverer.effect == rule.effect
            && counts_where(coverer, rule)
            && user
            && lasts
            && self.same_condition(coverer, rule)
    }

    /// Whether the one has no condition, or that of the other and it reads nothing that a pattern captures.
    fn same_condition(&self, coverer: &RuleModel, rule: &RuleModel) -> bool {
        match (&coverer.when, &rule.when) {
            (None, _) => true,
            (Some(ours), Some(theirs)) if ours.text == theirs.text => {
                conditions::compile(self.model, coverer)
                    .is_some_and(|condition| !condition.reads_id() && !condition.reads_path())
            }
            _ => false,
        }
    }

    /// Finds denies that take some methods out of what a rule allows, and leave others.
    pub(super) fn deny_methods(&mut self) {
        let model = self.model;
        let mut allows = ShapeTrie::default();
        for (id, (rule, reach)) in model.rules.iter().zip(&self.reaches).enumerate() {
            if rule.effect == Effect::Allow {
                for (index, (_, shape)) in reach.actions.iter().enumerate() {
                    allows.add(shape, (id, index));
                }
            }
        }
        for (id, rule) in model.rules.iter().enumerate() {
            if rule.effect == Effect::Deny {
                for (action, shape) in rule.actions.iter().zip(self.shapes(id)) {
                    let Methods::These(listed) = &action.methods else {
                        continue;
                    };
                    if let Some((allow, left)) = self.left_open(&allows, id, listed, &shape) {
                        let message = format!(
                            "`{}` leaves {left} open, which {} allows there: write `* PATH` in the deny, or, if those are meant to pass, name the methods in the allow",
                            super::harmless(&action.text),
                            named(allow),
                        );
                        self.about_rule("deny-leaves-methods", rule, action.at, message);
                    }
                }
            }
        }
    }

    fn shapes(&self, id: usize) -> Vec<Shape> {
        let actions = self
            .reaches
            .get(id)
            .into_iter()
            .flat_map(|reach| &reach.actions);
        actions.map(|(_, shape)| shape.clone()).collect()
    }

    /// The first allow out of which these methods take a part, and what they leave.
    fn left_open(
        &mut self,
        allows: &ShapeTrie<(usize, usize)>,
        deny: usize,
        listed: &[Method],
        shape: &Shape,
    ) -> Option<(&'p RuleModel, String)> {
        let listed = Methods::These(listed.to_vec());
        let mut met = allows.meeting(shape, &mut self.budget);
        met.sort_unstable();
        for (allow, action) in met {
            let rule = self.model.rules.get(allow)?;
            let (deny, allow) = (self.reaches.get(deny)?, self.reaches.get(allow)?);
            let (methods, _) = allow.actions.get(action)?;
            if let Some(left) = left(methods, &listed)
                && deny.callers.meets(&allow.callers, &mut self.budget)
            {
                return Some((rule, left));
            }
        }
        None
    }
}

/// What is left of an allow's methods, if some are taken and not all.
fn left(allowed: &Methods, denied: &Methods) -> Option<String> {
    let Methods::These(allowed) = allowed else {
        return Some("every other method".to_owned());
    };
    let (taken, left): (Vec<&Method>, Vec<&Method>) =
        allowed.iter().partition(|method| denied.cover(method));
    let names: Vec<_> = left.iter().map(|method| format!("`{method}`")).collect();
    (!taken.is_empty() && !left.is_empty()).then(|| names.join(", "))
}

/// Whether nothing but the caller and the action decides that it matches.
fn is_plain(rule: &RuleModel) -> bool {
    rule.user.is_none() && rule.when.is_none() && rule.expires.is_none()
}

/// Whether the one counts wherever the other counts: what is in shadow counts there alone.
fn counts_where(coverer: &RuleModel, rule: &RuleModel) -> bool {
    !coverer.shadow || rule.shadow
}
