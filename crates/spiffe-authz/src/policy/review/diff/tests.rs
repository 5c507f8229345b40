use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use spiffe_peer::TrustDomain;

use super::*;
use crate::policy::Query;
use crate::policy::review::RecordedRequest;
use crate::policy::review::random::{self, Random};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn decision<'p>(policy: &'p Policy, change: &Change) -> (bool, Option<&'p str>) {
    let headers = HeaderMap::new();
    let query = Query::new(change.method(), change.target(), &headers).at(NOW);
    let decision = match change.caller() {
        Some(caller) => policy.decide(&query.peer(caller)),
        None => policy.decide(&query),
    };
    (decision.is_allowed(), decision.rule())
}

fn decides(policy: &Policy, change: &Change) -> bool {
    decision(policy, change).0
}

fn pair(random: &mut Random, plain: bool) -> (Policy, Policy) {
    let loader = Policy::loader().own_trust_domain(TrustDomain::new("self").unwrap());
    let mut load = || loader.from_yaml(&random::policy(random, plain)).unwrap();
    (load(), load())
}

#[test]
fn a_change_that_is_told_is_one() {
    let mut random = Random::new(2);
    let mut told = BTreeMap::new();
    for _ in 0..600 {
        let (old, new) = pair(&mut random, false);
        if old.is_shadow() || new.is_shadow() {
            continue;
        }
        let diff = diff(&old, &new, NOW);
        assert!(diff.is_complete());
        for change in diff.changes() {
            let (was, is) = (change.was_allowed(), change.is_allowed());
            *told.entry((was, is)).or_insert(0) += 1;
            assert!(
                was.is_none_or(|was| decides(&old, change) == was),
                "{change}"
            );
            assert!(is.is_none_or(|is| decides(&new, change) == is), "{change}");
        }
        let back = super::diff(&new, &old, NOW);
        assert_eq!(back.changes().count(), diff.changes().count(), "both ways");
    }
    for was in [Some(true), Some(false), None] {
        for is in [Some(true), Some(false), None] {
            let times = told.get(&(was, is)).copied().unwrap_or(0);
            assert!(
                times > 50 || (was == is && was.is_some()),
                "{was:?} {is:?}: {told:?}"
            );
        }
    }
}

#[test]
fn what_is_decided_otherwise_is_told() {
    let mut random = Random::new(3);
    let mut otherwise = 0;
    for _ in 0..400 {
        let (old, new) = pair(&mut random, true);
        let told = diff(&old, &new, NOW);
        for _ in 0..60 {
            let line = random::request(&mut random, true);
            let request = RecordedRequest::from_json(&line).unwrap();
            let query = request.query(NOW);
            let (before, after) = (old.decide(&query), new.decide(&query));
            if before.is_allowed() == after.is_allowed() {
                continue;
            }
            otherwise += 1;
            let before = (before.is_allowed(), before.rule());
            let after = (after.is_allowed(), after.rule());
            let is_told = told
                .changes()
                .any(|change| decision(&old, change) == before && decision(&new, change) == after);
            assert!(is_told, "{line}: {before:?} {after:?}\n{told}");
        }
    }
    assert!(otherwise > 1_000, "{otherwise}");
}

fn policy(rules: &str) -> Policy {
    let text = format!(
        "version: 1\nname: p\ntrust_domains: {{ td: {{}} }}\nprincipals: {{ shop: 'spiffe://td/ns/shop/**' }}\nrules:\n{rules}"
    );
    Policy::from_yaml(&text).unwrap()
}

fn told(old: &str, new: &str) -> Vec<String> {
    let diff = diff(&policy(old), &policy(new), NOW);
    diff.changes().map(ToString::to_string).collect()
}

#[test]
fn a_name_or_an_order_changes_nothing() {
    let one = "
  - { name: a, allow: ['GET /a', 'POST /a'], from: [shop] }
  - { name: b, deny: ['* /a/**'], from: ['spiffe://td/ns/shop/sa/bad'] }
";
    let other = "
  - { name: x, deny: ['* /a/**'], from: ['spiffe://td/ns/shop/sa/bad'] }
  - { name: y, allow: ['GET,POST /a'], from: ['spiffe://td/ns/shop/**'] }
";
    assert_eq!(told(one, other), Vec::<String>::new());
}

#[test]
fn words_of_other_patterns_are_tried() {
    let one = "  - { name: a, allow: ['GET /*/*/*'], from: [shop] }\n";
    let three = format!(
        "{one}  - {{ name: b, deny: ['GET /x/*/*'], from: ['spiffe://td/ns/shop/sa/*'], when: 'false' }}
  - {{ name: c, deny: ['GET /*/y/*'], from: ['spiffe://td/ns/*/sa/api'], when: 'false' }}
"
    );
    let four = three
        .replace("'GET /*/y/*'", "'GET /x/y/z'")
        .replace(", when: 'false'", "");
    let told = told(one, &four);
    assert!(
        told.iter()
            .any(|change| change.contains("GET /x/any/any by spiffe://td/ns/shop/sa/any (shop)")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|change| change.contains("GET /x/y/z by spiffe://td/ns/shop/sa/api")),
        "{told:#?}"
    );
}

#[test]
fn conditions_are_compared_by_what_they_ask() {
    let rule =
        |rest: &str| format!("  - {{ name: a, allow: ['GET /a/{{x}}'], from: [shop]{rest} }}\n");
    let by = "GET /a/any by spiffe://td/ns/shop (shop)";
    let get = |old: &str, new: &str| {
        let told = told(&rule(old), &rule(new));
        told.into_iter()
            .find(|change| change.contains("GET /a/any by spiffe://td/ns/shop ("))
            .unwrap_or_default()
    };
    assert_eq!(
        get("", ", when: 'path.x == \"1\"'"),
        format!("allow -> depends (allowed if `path.x == \"1\"` at GET /a/{{x}}): {by}")
    );
    assert_eq!(
        get("", ", expires: 2030-01-01"),
        format!("allow -> depends (allowed until 2030-01-01T00:00:00Z): {by}")
    );
    assert_eq!(
        get("", ", expires: 1960-01-01"),
        format!("allow -> deny: {by}")
    );
    assert_eq!(get("", ", shadow: true"), format!("allow -> deny: {by}"));
    assert_eq!(get(", when: 'true'", ", when: 'true'"), "");
    let later = NOW + Duration::from_secs(2_000_000_000);
    let (old, new) = (policy(&rule("")), policy(&rule(", expires: 2030-01-01")));
    assert!(
        diff(&old, &new, later)
            .changes()
            .all(|change| change.is_allowed() == Some(false))
    );
}

#[test]
fn too_much_is_said_to_be() {
    let mut rules = String::new();
    for one in 0..1_000 {
        rules.push_str(&format!(
            "  - {{ name: a{one}, allow: ['GET /{one}/*/*'], from: [shop] }}\n  - {{ name: b{one}, deny: ['GET /*/{one}/*'], from: [shop] }}\n"
        ));
    }
    let (old, new) = (
        policy("  - { name: a, allow: ['GET /**'], from: [shop] }\n"),
        policy(&rules),
    );
    let diff = diff(&old, &new, NOW);
    assert!(
        !diff.is_complete() && diff.to_string().contains("too large"),
        "{}",
        diff.changes().count()
    );
}
