//! Cases from the published test suites and documentation of other policy engines, in our language.
//!
//! Each file of `published` names its sources and says how they are translated. A case names what the
//! source expects (`published`) and what our engine answers (`ours`); where the two differ, it says why.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail, and says what it has seen"
)]

use std::collections::{BTreeMap, BTreeSet};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::Value;
use spiffe_authz::policy::{Policy, Query};
use spiffe_peer::{EndUser, parse};

const SUITES: [(&str, &str); 5] = [
    ("envoy", include_str!("published/envoy.json")),
    ("grpc", include_str!("published/grpc.json")),
    ("istio", include_str!("published/istio.json")),
    ("linkerd", include_str!("published/linkerd.json")),
    ("ztunnel", include_str!("published/ztunnel.json")),
];

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of a list, or of what stands in for an absent one: nothing.
fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn headers(request: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in entries(request, "headers") {
        let name: HeaderName = name.parse().unwrap();
        for value in values.as_array().unwrap() {
            headers.append(
                &name,
                HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
            );
        }
    }
    headers
}

fn end_user(user: &Value) -> EndUser {
    let claims = entries(user, "claims").map(|(name, claim)| (name.clone(), claim.clone()));
    EndUser::new(text(user, "issuer"), text(user, "subject"))
        .with_scopes(list(user, "scopes").filter_map(Value::as_str))
        .with_claims(claims)
}

/// What the policy says of the request, in the words of the files.
fn answer(policy: &Policy, request: &Value) -> &'static str {
    let (method, target) = match text(request, "request").split_once(' ').unwrap() {
        ("grpc", rpc) => ("POST", format!("/{rpc}")),
        (method, target) => (method, target.to_owned()),
    };
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let headers = headers(request);
    let peer = request["peer"]
        .as_str()
        .map(|id| parse::workload_id(id).unwrap());
    let user = request.get("user").map(end_user);

    let mut query = Query::new(&method, &target, &headers);
    if let Some(peer) = &peer {
        query = query.peer(peer);
    }
    if let Some(user) = &user {
        query = query.user(user);
    }
    if let Some(resource) = request.get("resource") {
        query = query.resource(resource);
    }
    let decision = policy.decide(&query);
    match decision.reason() {
        _ if decision.is_allowed() => "allow",
        "bad_request" => "bad_request",
        _ => "deny",
    }
}

/// The policies of a suite by name; what does not load is an error in words.
fn policies(suite: &Value) -> BTreeMap<&str, Result<Policy, String>> {
    let read = |(name, lines): (&'_ String, &'_ Value)| -> Result<Policy, String> {
        let lines: Vec<_> = lines
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        Policy::from_yaml(&lines.join("\n")).map_err(|error| format!("{name}: {error}"))
    };
    entries(suite, "policies")
        .map(|entry| (entry.0.as_str(), read(entry)))
        .collect()
}

#[test]
fn published_cases_are_answered_as_published_or_as_the_case_explains() {
    let mut ids = BTreeSet::new();
    let mut failures = Vec::new();
    for (name, file) in SUITES {
        let suite: Value = serde_json::from_str(file).unwrap();
        let policies = policies(&suite);
        let (mut cases, mut differences) = (0, 0);
        for case in list(&suite, "cases") {
            let (id, published, ours) = (
                text(case, "id"),
                text(case, "published"),
                text(case, "ours"),
            );
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            assert!(!text(case, "source").is_empty(), "{id} names no source");
            assert!(
                matches!(published, "allow" | "deny" | "load_error"),
                "{id}: {published}"
            );
            assert!(
                published == ours || !text(case, "why").trim().is_empty(),
                "{id} does not say why"
            );
            let (got, told) = match &policies[text(case, "policy")] {
                Ok(policy) => (answer(policy, &case["request"]), ""),
                Err(error) => ("load_error", error.as_str()),
            };
            if got != ours {
                failures.push(format!(
                    "{id} ({}): {got} instead of {ours} {told}",
                    text(case, "source")
                ));
            }
            cases += 1;
            differences += usize::from(published != ours);
        }
        println!("{name}: {cases} cases, {differences} of them answered otherwise, on purpose");
        assert!(cases >= 30, "{name} has {cases} cases");
    }
    println!("{} cases", ids.len());
    assert!(ids.len() >= 300, "{} cases", ids.len());
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
