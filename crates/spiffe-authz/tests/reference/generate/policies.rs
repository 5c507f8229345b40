use super::rules::{Kind, add_rule, id_pattern, rearranged};
use super::users;
use super::vocabulary::TRUST_DOMAINS;
use crate::policy::{Effect, Policy, Principal, TrustDomain};
use crate::random::Random;

pub(super) fn policy(random: &mut Random) -> Policy {
    let mut policy = Policy {
        name: random
            .one_of(&["shop", "document api", "no", "17", "ü: #1"])
            .to_owned(),
        shadow: random.percent(6),
        trust_domains: trust_domains(random),
        principals: Vec::new(),
        users: users::sources(random),
        rules: Vec::new(),
    };
    for name in ["case-api", "the staging", "7", "partner"] {
        if random.percent(60) {
            let patterns = (0..random.between(1, 3)).map(|_| id_pattern(&policy, random));
            let mut patterns: Vec<String> = patterns.collect();
            if random.percent(40) {
                patterns.truncate(1);
                patterns.push(rearranged(&patterns[0], random));
            }
            policy.principals.push(Principal {
                name: name.to_owned(),
                patterns,
            });
        }
    }
    let size = match random.below(100) {
        0..4 => random.between(40, 60),
        4..6 => 0,
        6..50 => random.between(1, 5),
        _ => random.between(3, 12),
    };
    // Where half of the rules deny, hardly anything is allowed.
    let denies = random.item(&[0, 15, 30, 45]).to_owned();
    for _ in 0..size {
        let effect = if random.percent(denies) {
            Effect::Deny
        } else {
            Effect::Allow
        };
        let in_shadow = if effect == Effect::Deny { 35 } else { 12 };
        let kind = Kind {
            effect,
            shadow: random.percent(in_shadow),
        };
        add_rule(&mut policy, kind, random);
    }
    policy
}

/// At least one, the service's own or not.
fn trust_domains(random: &mut Random) -> Vec<TrustDomain> {
    let mut names = TRUST_DOMAINS.to_vec();
    random.shuffle(&mut names);
    names.truncate(random.between(1, names.len()));
    let trust_domain = |name: &str| TrustDomain {
        name: name.to_owned(),
        federated: random.percent(30),
    };
    names.into_iter().map(trust_domain).collect()
}
