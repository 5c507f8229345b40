//! Lints that look at a policy as a whole, against routes and in bulk.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use spiffe_peer::TrustDomain;

use super::*;
use crate::policy::review::RecordedRequest;
use crate::policy::review::random::{self, Random};

const ROUTES: &str = r#"[
    { "method": "GET", "path": "/orders/{id}" },
    { "method": "GET", "path": "/orders/special" },
    { "method": "*", "path": "/files/{*rest}" },
    { "method": "POST", "path": "/login", "by_policy": false }
]"#;

#[test]
fn routes_that_no_rule_speaks_of_and_rules_that_meet_none() {
    let rule = |name: &str, action: &str, rest: &str| {
        format!(
            "  - {{ name: {name}, allow: ['{action}'], from: ['spiffe://td/ns/a/sa/b']{rest} }}\n"
        )
    };
    let whole = format!(
        "{}{}",
        rule("orders", "GET /orders/**", ""),
        rule("files", "GET /files/{a}/{b}", "")
    );
    assert!(kinds(&load(&whole), Some(ROUTES)).is_empty());

    let found = kinds(&load(&rule("orders", "GET /orders/**", "")), Some(ROUTES));
    assert_eq!(found, ["uncovered-route"]);
    let special = format!(
        "{}{}",
        rule("orders", "GET /orders/special", ""),
        rule("files", "GET /files/{a}/{b}", "")
    );
    assert_eq!(
        kinds(&load(&special), Some(ROUTES)),
        ["uncovered-route"],
        "`/orders/special` is a route of its own"
    );
    let denied = whole.replace("files, allow", "files, deny");
    assert_eq!(
        kinds(&load(&denied), Some(ROUTES)),
        ["uncovered-route"],
        "a deny opens nothing"
    );
    let shadow = whole.replace(
        "sa/b'] }\n  -",
        "sa/b'], shadow: true, expires: 2031-01-01 }\n  -",
    );
    assert_eq!(
        kinds(&load(&shadow), Some(ROUTES)),
        ["uncovered-route"; 2],
        "what is in shadow opens nothing"
    );

    for dead in [
        "GET /order/{id}",
        "POST /orders/{id}",
        "GET /files",
        "GET /",
    ] {
        let policy = load(&format!("{whole}{}", rule("dead", dead, "")));
        let found = lints(&policy, Some(&serde_json::from_str(ROUTES).unwrap()), NOW);
        assert_eq!(
            (found.len(), found[0].kind(), found[0].rule()),
            (1, "no-route", Some("dead")),
            "{dead}"
        );
    }
}

#[test]
fn a_rule_that_meets_another_route_than_its_own() {
    let rules = |action: &str| {
        format!(
            "  - {{ name: orders, allow: ['{action}'], from: ['spiffe://td/ns/a/sa/b'] }}\n  - {{ name: rest, allow: ['GET /orders/special', '* /files/**'], from: ['spiffe://td/ns/a/sa/c'] }}\n"
        )
    };
    let found = lints(
        &load(&rules("GET /orders/{id}")),
        Some(&serde_json::from_str(ROUTES).unwrap()),
        NOW,
    );
    assert_eq!(
        (found.len(), found[0].kind(), found[0].line()),
        (1, "other-route", 5)
    );
    assert!(
        found[0].message().contains("/orders/special"),
        "{}",
        found[0]
    );
    for near in ["GET /orders/**", "GET /orders/7"] {
        let found = kinds(&load(&rules(near)), Some(ROUTES));
        assert!(!found.contains(&"other-route"), "{near}");
    }
    let alone = ROUTES.replace("/orders/special", "/orders/{id}/lines");
    assert!(!kinds(&load(&rules("GET /orders/{id}")), Some(&alone)).contains(&"other-route"));
}

/// What is said to be covered can be taken out, and nothing is decided otherwise.
#[test]
fn what_is_covered_changes_nothing() {
    let own = TrustDomain::new("self").unwrap();
    let loader = Policy::loader().own_trust_domain(own.clone());
    let mut random = Random::new(4);
    let mut covered = BTreeSet::new();
    let mut taken_out = 0;
    for _ in 0..3_000 {
        let policy = loader
            .from_yaml(&random::policy(&mut random, false))
            .unwrap();
        for lint in lints(&policy, None, NOW) {
            if !lint.kind().starts_with("covered") {
                continue;
            }
            covered.insert(lint.kind());
            taken_out += 1;
            let mut model = policy.model().clone();
            model
                .rules
                .retain(|rule| Some(rule.name.as_str()) != lint.rule());
            let without = Policy::compile(model, Some(own.clone())).unwrap();
            for _ in 0..40 {
                let line = random::request(&mut random, false);
                let request = RecordedRequest::from_json(&line).unwrap();
                let query = request.query(NOW);
                let (with, without) = (policy.decide(&query), without.decide(&query));
                assert_eq!(
                    with.is_allowed(),
                    without.is_allowed(),
                    "{lint}: {line}\n{policy:?}"
                );
                let shadow = |decision: &crate::policy::Decision<'_>| {
                    decision.shadow().map(|shadow| shadow.is_allowed())
                };
                if let (Some(one), Some(other)) = (shadow(&with), shadow(&without)) {
                    assert_eq!(one, other, "{lint}: {line}");
                }
            }
        }
    }
    assert!(
        covered.len() == 2 && taken_out > 100,
        "{covered:?} {taken_out}"
    );
}

#[test]
fn ten_thousand_rules_take_bounded_time() {
    let rules = |rule: &dyn Fn(usize) -> String| load(&(0..10_000).map(rule).collect::<String>());
    let spread = rules(&|index| {
        format!(
            "  - {{ name: r{index}, allow: ['GET /api/v1/r{index}/{{id}}'], from: ['spiffe://td/ns/n{index}/sa/a'] }}\n"
        )
    });
    let started = Instant::now();
    assert!(kinds(&spread, None).is_empty());
    assert!(started.elapsed() < Duration::from_secs(60));

    let crowded = rules(&|index| {
        format!(
            "  - {{ name: r{index}, allow: ['GET /**'], from: ['spiffe://td/ns/n{index}/sa/a'] }}\n"
        )
    });
    let started = Instant::now();
    assert_eq!(kinds(&crowded, None), ["incomplete"]);
    assert!(started.elapsed() < Duration::from_secs(60));
}
