//! The slow way and the index decide alike.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use spiffe_peer::TrustDomain;

use super::random::{Random, policy, request};
use super::{RecordedRequest, explain};
use crate::policy::Policy;

#[test]
fn an_explanation_is_of_the_decision() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
    let loader = Policy::loader().own_trust_domain(TrustDomain::new("self").unwrap());
    let mut random = Random::new(1);
    let mut seen = BTreeMap::<&str, usize>::new();
    for _ in 0..5_000 {
        let text = policy(&mut random, false);
        let policy = loader
            .from_yaml(&text)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        for _ in 0..8 {
            let line = request(&mut random, false);
            let request = RecordedRequest::from_json(&line).unwrap();
            let decision = policy.decide(&request.query(now));
            let explanation = explain(&policy, &request, now);
            let decided = (
                decision.is_allowed(),
                decision.status(),
                decision.rule(),
                decision.reason(),
                decision
                    .shadow()
                    .map(|shadow| (shadow.is_allowed(), shadow.rule())),
            );
            let explained = (
                explanation.is_allowed(),
                explanation.status(),
                explanation.rule(),
                explanation.reason(),
                explanation.shadow(),
            );
            assert_eq!(decided, explained, "{text}\n{line}");
            *seen.entry(decision.reason()).or_default() += 1;
            for near in explanation.near_misses() {
                *seen.entry(near.clause()).or_default() += 1;
            }
        }
    }
    let kinds = [
        "rule",
        "default",
        "no_identity",
        "bad_user",
        "bad_request",
        "condition_error",
        "method",
        "path",
        "caller",
        "user",
        "when",
        "expired",
    ];
    for kind in kinds {
        assert!(
            seen.get(kind).is_some_and(|times| *times > 100),
            "{kind}: {seen:?}"
        );
    }
}

#[test]
fn a_clause_that_holds_after_all_makes_a_near_miss_match() {
    let text = r#"
version: 1
name: orders
trust_domains: { td: {} }
users: { staff: { issuer: https://id, audiences: [here], bound_to: azp } }
rules:
  - name: pay
    allow: ["POST /orders/{id}", "PUT /carts/{id}"]
    from: ["spiffe://td/ns/{ns}/sa/api"]
    user: { issuer: staff, scopes: [pay] }
    when: path.id == id.ns
    expires: 2030-01-01
"#;
    let policy = Policy::from_yaml(text).unwrap();
    let early = SystemTime::UNIX_EPOCH;
    let late = early + Duration::from_secs(4_000_000_000);
    let asked = |request: &str, peer: &str, scopes: &str, at: SystemTime| {
        let line = format!(
            r#"{{"id":"","request":"{request}","peer":"{peer}","user":{{"issuer":"https://id","subject":"ada","scopes":[{scopes}],"claims":{{"aud":"here","azp":"{peer}"}}}}}}"#
        );
        let explanation = explain(&policy, &RecordedRequest::from_json(&line).unwrap(), at);
        let near: Vec<_> = explanation
            .near_misses()
            .map(super::NearMiss::clause)
            .collect();
        (explanation.is_allowed(), near.join(" "))
    };
    let (good, peer, pay) = (
        "POST /orders/shop",
        "spiffe://td/ns/shop/sa/api",
        r#""pay""#,
    );
    let no = |clause: &str| (false, clause.to_owned());
    assert_eq!(asked(good, peer, pay, early), (true, String::new()));
    assert_eq!(asked("PUT /orders/shop", peer, pay, early), no("method"));
    assert_eq!(asked("POST /cart/shop", peer, pay, early), no("path"));
    assert_eq!(asked("PUT /cart", peer, pay, early), no("path"));
    assert_eq!(asked("GET /cart", peer, pay, early), no(""));
    assert_eq!(
        asked(good, "spiffe://td/ns/shop/sa/other", pay, early),
        no("caller")
    );
    assert_eq!(asked(good, peer, "", early), no("user"));
    assert_eq!(asked("POST /orders/other", peer, pay, early), no("when"));
    assert_eq!(asked(good, peer, pay, late), no("expired"));
    assert_eq!(asked(good, peer, "", late), no(""));
    assert_eq!(asked("POST /orders/other", peer, "", early), no(""));
}
