//! A condition is refused, or it is evaluated to an answer or an error; nothing else can come of it.

#![no_main]

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use spiffe_authz::policy::{Policy, PolicyRule, Query};
use spiffe_peer::parse;

/// An error quotes what it is about, and no more.
const LONGEST_ERROR: usize = 64 * 1024;

fuzz_target!(|condition: &str| {
    let rule = PolicyRule::allow("one", ["GET /documents/{id}", "POST /documents/{id}"])
        .from(["spiffe://example.org/ns/{team}/**"])
        .when(condition);
    let built = Policy::builder("fuzz")
        .trust_domain("example.org")
        .rule(rule)
        .build();
    let policy = match built {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(error.to_string().len() < LONGEST_ERROR);
            return;
        }
    };
    let peer = parse::workload_id("spiffe://example.org/ns/shop/sa/web").expect("it is an ID");
    let stranger = parse::workload_id("spiffe://example.org/other").expect("it is an ID");
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("api.example.org:8443"));
    headers.append("x-team", HeaderValue::from_static("shop"));
    headers.append("x-team", HeaderValue::from_static("web"));
    let resource = serde_json::json!({ "owner": "shop", "size": 7, "tags": ["a", null, 1.5] });

    for path in ["/documents/7", "/documents/shop%20list"] {
        for headers in [&headers, &HeaderMap::new()] {
            let query = Query::new(&Method::GET, path, headers);
            assert!(!policy.decide(&query.clone().peer(&stranger)).is_allowed());
            assert!(!policy.decide(&query).is_allowed(), "nobody is in the team");

            let asked = query.peer(&peer);
            for query in [asked.clone(), asked.resource(&resource)] {
                let decision = policy.decide(&query);
                let expected = if decision.is_allowed() {
                    (200, Some("one"), "rule")
                } else if decision.errors().next().is_some() {
                    (403, None, "condition_error")
                } else {
                    (403, None, "default")
                };
                let seen = (decision.status(), decision.rule(), decision.reason());
                assert_eq!(seen, expected, "{condition}");
                for (rule, what) in decision.errors() {
                    assert_eq!(rule, "one");
                    assert!(what.len() < LONGEST_ERROR);
                }
            }
        }
    }
});
