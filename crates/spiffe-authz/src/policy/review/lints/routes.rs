//! A policy against the routes of an application.

use std::collections::BTreeSet;

use super::{Survey, harmless};
use crate::inventory::{Inventory, Route};
use crate::policy::model::{Action, Effect, Spot};
use crate::policy::review::shape::Shape;
use crate::policy::review::trie::ShapeTrie;

impl Survey<'_> {
    pub(super) fn routes(&mut self, inventory: &Inventory) {
        let model = self.model;
        let routes: Vec<_> = inventory
            .routes()
            .map(|route| (route, shape(route)))
            .collect();
        let mut by_path = ShapeTrie::default();
        for (index, (_, shape)) in routes.iter().enumerate() {
            by_path.add(shape, index);
        }
        let mut covered = BTreeSet::new();
        let mut dead = Vec::new();
        for rule in &model.rules {
            let mut alive = false;
            for action in &rule.actions {
                let action_shape = Shape::of_path(&action.path);
                let met = by_path.meeting(&action_shape, &mut self.budget);
                let met: Vec<_> = met
                    .into_iter()
                    .filter(|index| {
                        routes
                            .get(*index)
                            .is_some_and(|(route, _)| route.meets(action))
                    })
                    .collect();
                alive |= !met.is_empty();
                if let Some((own, other)) = second(&routes, &met, action, &action_shape) {
                    let message = format!(
                        "`{}` meets the route `{}` as well as `{}`: a rule of a file holds for every path that it meets; if that is not meant, add a rule for the other route, or write the rule at the route in code",
                        harmless(&action.text),
                        harmless(other.path()),
                        harmless(own.path())
                    );
                    self.about_rule("other-route", rule, action.at, message);
                }
                if rule.effect == Effect::Allow && !rule.shadow {
                    let new = met.into_iter().filter(|index| {
                        !covered.contains(index)
                            && routes
                                .get(*index)
                                .is_some_and(|(route, _)| inventory.leads_to(route, action))
                    });
                    let new: Vec<_> = new.collect();
                    covered.extend(new);
                }
            }
            if !alive {
                dead.push(rule);
            }
        }
        for (route, name) in inventory.principals() {
            if let Some(why) = self.policy.unknown_principal(name) {
                let message = harmless(&format!("the rule in code at `{route}`: {why}"));
                self.about("unknown-principal", Spot::default(), message);
            }
        }
        // What was not looked at may be covered, and may be alive.
        if self.budget.is_spent() {
            return;
        }
        for rule in dead {
            let name = harmless(&rule.name);
            let message =
                format!("`{name}` meets no route: mend its paths and methods, or take it out");
            self.about_rule("no-route", rule, rule.at, message);
        }
        for (index, (route, _)) in routes.iter().enumerate() {
            if route.is_by_policy() && !covered.contains(&index) {
                let route = harmless(&route.to_string());
                let message =
                    format!("no rule allows anybody `{route}`: write one, or a rule in code");
                self.about("uncovered-route", Spot::default(), message);
            }
        }
    }
}

/// The route that an action is written for, and another that it meets with a wildcard.
fn second<'r>(
    routes: &'r [(&'r Route, Shape)],
    met: &[usize],
    action: &Action,
    shape: &Shape,
) -> Option<(&'r Route, &'r Route)> {
    if action.path.open_ended {
        return None;
    }
    let met = || met.iter().filter_map(|index| routes.get(*index));
    let (own, _) = met().find(|(_, of_route)| of_route == shape)?;
    let (other, _) = met().find(|(_, of_route)| of_route != shape && shape.covers(of_route))?;
    Some((own, other))
}

/// The paths of a route, or more.
fn shape(route: &Route) -> Shape {
    let mut segments = Vec::new();
    let mut open = false;
    for part in route.path().split('/').filter(|part| !part.is_empty()) {
        // `{*rest}` is one segment at least.
        open = part.starts_with("{*");
        let is_capture = part.starts_with('{') && part.ends_with('}');
        let decoded = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
        segments.push((!is_capture).then(|| decoded.into_owned()));
    }
    Shape { segments, open }
}
