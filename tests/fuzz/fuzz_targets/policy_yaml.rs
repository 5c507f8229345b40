//! A policy is read or refused, whatever its bytes; what is read decides, and is read alike again.

#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use spiffe_authz::policy::{Decision, Policy, Query};
use spiffe_peer::{SpiffeId, parse};

/// Errors go to logs, all of them at once.
const LONGEST_ERROR: usize = 1024 * 1024;

const CALLERS: [&str; 2] = [
    "spiffe://example.org/service/payment-processor",
    "spiffe://partner.test/ns/shop/sa/web",
];

const PATHS: [&str; 6] = [
    "/",
    "/orders",
    "/orders/7?full=yes",
    "/documents/7/raw",
    "/pkg.Service/Method",
    "/a%2fb",
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let policy = match Policy::from_yaml(text) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(
                !error.problems().is_empty(),
                "nothing is refused for nothing"
            );
            assert!(error.to_string().len() < LONGEST_ERROR);
            return;
        }
    };
    let again = Policy::from_yaml(text).expect("what was read once is read again");
    assert_eq!(policy.name(), again.name());
    assert_eq!(policy.is_shadow(), again.is_shadow());
    assert!(again.generation() > policy.generation());

    let callers = CALLERS.map(|id| parse::workload_id(id).expect("these are IDs"));
    let headers = HeaderMap::new();
    for path in PATHS {
        for method in [Method::GET, Method::POST] {
            let query = Query::new(&method, path, &headers);
            agree(&policy, &again, &query, None);
            for caller in &callers {
                agree(&policy, &again, &query, Some(caller));
            }
        }
    }
});

fn agree(policy: &Policy, again: &Policy, query: &Query<'_>, caller: Option<&SpiffeId>) {
    let query = caller.map_or_else(|| query.clone(), |caller| query.clone().peer(caller));
    let (one, other) = (policy.decide(&query), again.decide(&query));
    assert_eq!(seen(&one), seen(&other));
    assert_eq!(one.shadow(), other.shadow());
    if policy.is_shadow() {
        assert!(
            one.is_allowed() != (one.status() == 400),
            "it lets pass what is canonical"
        );
    } else {
        assert_eq!(one.is_allowed(), one.status() == 200);
        assert!(
            !one.is_allowed() || one.rule().is_some(),
            "a rule allows, or nothing does"
        );
    }
}

fn seen<'p>(decision: &Decision<'p>) -> (bool, u16, Option<&'p str>, &'static str) {
    (
        decision.is_allowed(),
        decision.status(),
        decision.rule(),
        decision.reason(),
    )
}
