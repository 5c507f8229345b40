//! What is shown: over many random pairs, the index says what the reference says; and where the
//! reference is wrong, they differ.

use std::env;

use crate::examples;
use crate::generate::{OWN, REQUESTS, Scenario};
use crate::policy::Policy;
use crate::reference::Reference;
use crate::slip::Slip;
use crate::subject::Subject;
use crate::tally::Tally;

/// How many pairs a run of the tests compares that names no number.
const PAIRS: usize = 40_000;

const SEED: u64 = 1;

pub(crate) fn pairs() -> usize {
    let given = env::var("SPIFFE_AUTHZ_PAIRS").ok();
    given.map_or(PAIRS, |given| given.parse().unwrap())
}

pub(crate) fn seed() -> u64 {
    let given = env::var("SPIFFE_AUTHZ_SEED").ok();
    given.map_or(SEED, |given| given.parse().unwrap())
}

/// As many scenarios as it takes for so many pairs.
pub(crate) fn scenarios(pairs: usize) -> impl Iterator<Item = Scenario> {
    let seeds = (0_u64..).map(|number| seed().wrapping_add(number));
    seeds.take(pairs.div_ceil(REQUESTS)).map(Scenario::new)
}

pub(crate) fn load(policy: &Policy, scenario: &mut Scenario) -> Subject {
    let loaded = Subject::load(policy, OWN, &mut scenario.random);
    loaded.unwrap_or_else(|error| panic!("seed {}: {error}", scenario.seed))
}

fn loaded(scenario: &mut Scenario) -> Subject {
    let policy = scenario.policy.clone();
    load(&policy, scenario)
}

#[test]
fn the_index_agrees_with_the_reference() {
    let mut tally = Tally::default();
    for mut scenario in scenarios(pairs()) {
        let subject = loaded(&mut scenario);
        let reference = Reference {
            policy: &scenario.policy,
            own: OWN,
            slip: None,
        };
        let mut decided = Vec::new();
        for request in &scenario.requests {
            let expected = reference.decide(request);
            let decisions = subject.decide(request);
            for decision in &decisions {
                assert!(
                    expected == *decision,
                    "SPIFFE_AUTHZ_SEED={} SPIFFE_AUTHZ_PAIRS={REQUESTS} shows it\n\n{}\n{request:#?}\n\n\
                     the reference: {expected:?}\nthe index:     {decision:?}",
                    scenario.seed,
                    subject.yaml,
                );
            }
            if decisions.is_empty() {
                assert_eq!(expected.status, 400, "{request:?}");
                tally.unsendable += 1;
                continue;
            }
            decided.push((request, expected));
        }
        tally.count(&scenario.policy, &decided);
    }
    println!("{tally}");
    tally.assert_that_nothing_is_rare();
}

#[test]
fn a_reference_that_is_wrong_disagrees_with_the_index() {
    let mut unnoticed = Slip::ALL.to_vec();
    let mut compared = 0;
    for mut scenario in scenarios(PAIRS) {
        let subject = loaded(&mut scenario);
        for request in &scenario.requests {
            compared += 1;
            let decisions = subject.decide(request);
            unnoticed.retain(|slip| {
                let wrong = Reference {
                    policy: &scenario.policy,
                    own: OWN,
                    slip: Some(*slip),
                };
                let wrong = wrong.decide(request);
                let agrees = decisions.iter().all(|decision| *decision == wrong);
                if !agrees {
                    println!("{slip:?} is noticed at pair {compared}");
                }
                agrees
            });
        }
        if unnoticed.is_empty() {
            return;
        }
    }
    panic!("within {compared} pairs nothing shows {unnoticed:?}");
}

#[test]
fn a_policy_in_code_decides_as_the_one_in_a_file() {
    for mut scenario in scenarios(pairs() / 4) {
        let file = loaded(&mut scenario);
        let code = Subject::build(&scenario.policy, OWN, &mut scenario.random);
        let code = code.unwrap_or_else(|error| panic!("seed {}: {error}", scenario.seed));
        for request in &scenario.requests {
            let (file, code) = (file.decide(request), code.decide(request));
            assert_eq!(file, code, "seed {}: {request:#?}", scenario.seed);
        }
    }
}

#[test]
fn the_index_agrees_with_the_examples() {
    for example in examples::all() {
        let subject = Subject::load(&example.policy, OWN, &mut example.random());
        let subject = subject.unwrap_or_else(|error| panic!("{example}: {error}"));
        for decision in subject.decide(&example.request) {
            assert_eq!(
                examples::in_words(&decision),
                example.expected,
                "{example}\n{}",
                subject.yaml
            );
        }
    }
}
