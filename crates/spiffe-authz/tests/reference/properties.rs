//! What adding a rule and moving rules about can do, and what not.

use crate::agreement::{load, pairs, scenarios};
use crate::generate::{Kind, Scenario, add_rule};
use crate::policy::{Effect, Outcome, Policy};
use crate::subject::Subject;

/// There are several of these tests, and each asks twice.
fn share() -> usize {
    pairs() / 8
}

fn decisions(subject: &Subject, scenario: &Scenario) -> Vec<Outcome> {
    let requests = scenario.requests.iter();
    requests
        .flat_map(|request| subject.decide(request))
        .collect()
}

/// What the index says before and after the policy is changed.
fn before_and_after(
    scenario: &mut Scenario,
    change: impl FnOnce(&mut Policy, &mut Scenario),
) -> (String, Vec<(Outcome, Outcome)>) {
    let mut policy = scenario.policy.clone();
    let subject = load(&policy, scenario);
    let before = decisions(&subject, scenario);
    change(&mut policy, scenario);
    let changed = load(&policy, scenario);
    let after = decisions(&changed, scenario);
    let yaml = format!("{}\n--- and changed:\n{}", subject.yaml, changed.yaml);
    (yaml, before.into_iter().zip(after).collect())
}

/// Whether the shadow outcome allows, or the enforced one where nothing is in shadow.
fn would_be_allowed(outcome: &Outcome) -> bool {
    let shadow = outcome.shadow.as_ref();
    shadow.map_or(outcome.allowed, |shadow| shadow.allowed)
}

/// Adds a rule to each policy; how many decisions that changed.
fn add_to_each(kind: Kind, is_possible: impl Fn(&Outcome, &Outcome) -> bool) -> usize {
    let mut changed = 0;
    for mut scenario in scenarios(share()) {
        let (yaml, pairs) = before_and_after(&mut scenario, |policy, scenario| {
            add_rule(policy, kind, &mut scenario.random);
        });
        for (before, after) in pairs {
            assert!(
                is_possible(&before, &after),
                "seed {}, {kind:?}\n{yaml}\n{before:?}\n{after:?}",
                scenario.seed
            );
            changed += usize::from(would_be_allowed(&before) != would_be_allowed(&after));
        }
    }
    changed
}

#[test]
fn adding_an_allow_never_turns_an_allow_into_a_deny() {
    let kind = Kind {
        effect: Effect::Allow,
        shadow: false,
    };
    let changed = add_to_each(kind, |before, after| {
        before.allowed <= after.allowed && would_be_allowed(before) <= would_be_allowed(after)
    });
    assert!(changed >= share() / 200, "{changed}");
}

#[test]
fn adding_a_deny_never_turns_a_deny_into_an_allow() {
    let kind = Kind {
        effect: Effect::Deny,
        shadow: false,
    };
    let changed = add_to_each(kind, |before, after| {
        before.allowed >= after.allowed && would_be_allowed(before) >= would_be_allowed(after)
    });
    assert!(changed >= share() / 200, "{changed}");
}

#[test]
fn adding_a_rule_in_shadow_changes_nothing_but_the_shadow() {
    for effect in [Effect::Allow, Effect::Deny] {
        let kind = Kind {
            effect,
            shadow: true,
        };
        let changed = add_to_each(kind, |before, after| {
            let enforced = |outcome: &Outcome| Outcome {
                shadow: None,
                ..outcome.clone()
            };
            enforced(before) == enforced(after) && after.shadow.is_some()
        });
        assert!(changed >= share() / 200, "{effect:?}: {changed}");
    }
}

#[test]
fn the_order_of_the_rules_changes_no_decision() {
    let mut renamed = 0;
    for mut scenario in scenarios(share()) {
        let (yaml, pairs) = before_and_after(&mut scenario, |policy, scenario| {
            scenario.random.shuffle(&mut policy.rules);
            scenario.random.shuffle(&mut policy.principals);
            for rule in &mut policy.rules {
                scenario.random.shuffle(&mut rule.actions);
            }
        });
        for (before, after) in pairs {
            let same = before.allowed == after.allowed
                && before.status == after.status
                && would_be_allowed(&before) == would_be_allowed(&after);
            assert!(
                same,
                "seed {}\n{yaml}\n{before:?}\n{after:?}",
                scenario.seed
            );
            renamed += usize::from(before.rule != after.rule);
        }
    }
    assert!(renamed >= share() / 200, "{renamed}");
}
