//! Rules in code, drawn like those of a policy.

use super::{Line, Node, Nodes, Rule, everybody, harmless, key, plain};
use crate::inventory::{Route, RuleInCode};
use crate::policy::model::{Callers, Effect, Model};

/// The rule of a route: who may, and who is kept out whoever lets them in.
pub(super) fn rules(
    model: &Model,
    route: &Route,
    callers: &mut Nodes,
    actions: &mut Nodes,
) -> Vec<Rule> {
    let Some(rule) = route.rule() else {
        return Vec::new();
    };
    let action = route.to_string();
    let action = actions.place(&action, || plain(&action));
    let drawn = |effect, callers: Vec<usize>, because: Option<&String>| {
        let name = harmless(&format!("in code: {route}"));
        let note = "a rule in code".to_owned();
        let because = because.map(|reason| format!("\nbecause: {}", harmless(reason)));
        Rule {
            full: format!("{name}{}", because.unwrap_or_default()),
            name,
            line: match effect {
                Effect::Allow => Line::Allow,
                Effect::Deny => Line::Deny,
            },
            effect,
            note: Some(note),
            callers,
            actions: vec![action],
        }
    };
    let allowed = allowed(model, rule, callers);
    let because = rule.authenticated.as_ref().or(rule.anyone.as_ref());
    let mut rules = vec![drawn(Effect::Allow, allowed, because)];
    if !rule.denied.is_empty() {
        let denied = patterns(&rule.denied, callers);
        rules.push(drawn(Effect::Deny, denied, None));
    }
    rules
}

fn allowed(model: &Model, rule: &RuleInCode, callers: &mut Nodes) -> Vec<usize> {
    let word = match (&rule.anyone, &rule.authenticated) {
        (Some(_), _) => Some("anyone"),
        (None, Some(_)) => Some("authenticated"),
        (None, None) => None,
    };
    if let Some(word) = word {
        return vec![callers.place(word, || everybody(word))];
    }
    let mut places = patterns(&rule.ids, callers);
    for name in &rule.principals {
        let known = model.principals.iter();
        let known = known
            .map(|principal| &principal.name)
            .position(|known| known == name);
        places.push(match known.map(Callers::Principal) {
            Some(principal) => callers.place(&key(&principal, name), || {
                super::caller(model, &principal, name)
            }),
            None => callers.place(&format!("unknown {name}"), || Node {
                note: Some("no principal of this policy".to_owned()),
                ..plain(name)
            }),
        });
    }
    places
}

fn patterns(patterns: &[String], callers: &mut Nodes) -> Vec<usize> {
    let place = |pattern: &String| callers.place(&format!("pattern {pattern}"), || plain(pattern));
    patterns.iter().map(place).collect()
}
