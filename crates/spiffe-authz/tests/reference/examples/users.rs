//! Step 2 and the key `user`.

use serde_json::{Value, json};

use super::Example;
use super::write::{CASE_API, ada, allow, like, policy, request, with_users};
use crate::expression::{Expression, Term};
use crate::policy::{Binding, Demand, THUMBPRINT, User};

const YES: &str = "200 rule r";
const NO: &str = "403 default -";
const BAD: &str = "401 bad_user -";

pub(super) fn examples() -> Vec<Example> {
    let mut examples = tokens();
    examples.extend(demands());
    examples.extend(without_users());
    examples
}

fn tokens() -> Vec<Example> {
    let elsewhere = User {
        issuer: "https://id.example.com.evil".to_owned(),
        ..ada(json!({}))
    };
    let nobody_named = || {
        let mut user = ada(json!({}));
        user.claims.clear();
        user
    };
    let rows: Vec<(Binding, User, &str)> = vec![
        (Binding::None, ada(json!({})), YES),
        (Binding::None, elsewhere, BAD),
        (
            Binding::None,
            ada(json!({"aud": ["x", "document-api"]})),
            YES,
        ),
        (Binding::None, ada(json!({"aud": "x"})), BAD),
        (Binding::None, nobody_named(), BAD),
        (Binding::Actor, ada(json!({"act": {"sub": CASE_API}})), YES),
        (
            Binding::Actor,
            ada(json!({"act": {"sub": "spiffe://prod.example/x"}})),
            BAD,
        ),
        (Binding::Actor, ada(json!({"azp": CASE_API})), BAD),
        (Binding::Azp, ada(json!({"azp": CASE_API})), YES),
        (Binding::Azp, ada(json!({"azp": "web"})), BAD),
        (Binding::Azp, ada(json!({})), BAD),
        (
            Binding::Cnf,
            ada(json!({"cnf": {"x5t#S256": THUMBPRINT}})),
            YES,
        ),
    ];
    let mut examples: Vec<Example> = rows
        .into_iter()
        .map(|(bound_to, user, expected)| Example {
            policy: with_users(bound_to, vec![allow("r", &["GET /orders"])]),
            request: request("GET /orders").user(user),
            expected,
        })
        .collect();
    // A bad token never counts as none; and without a peer there is nothing that it is bound to.
    examples.push(Example {
        policy: with_users(
            Binding::None,
            vec![allow("r", &["GET /orders"]).user(Demand::Absent)],
        ),
        request: request("GET /orders").user(ada(json!({"aud": "x"}))),
        expected: BAD,
    });
    for (bound_to, claims) in [
        (Binding::Azp, json!({"azp": CASE_API})),
        (Binding::Cnf, json!({"cnf": {"x5t#S256": THUMBPRINT}})),
    ] {
        examples.push(Example {
            policy: with_users(bound_to, vec![allow("r", &["GET /orders"]).of_anyone()]),
            request: request("GET /orders").by_nobody().user(ada(claims)),
            expected: BAD,
        });
    }
    examples
}

fn demands() -> Vec<Example> {
    let issuer = |name: &str| Demand::Like {
        issuer: Some(name.to_owned()),
        subject: Some("ada".to_owned()),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    };
    let subject = |subject: &str| Demand::Like {
        issuer: None,
        subject: Some(subject.to_owned()),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    };
    let user = |claims: Value| Some(ada(claims));
    let rows: Vec<(Demand, Option<User>, &str)> = vec![
        (Demand::Required, user(json!({})), YES),
        (Demand::Required, None, NO),
        (Demand::Absent, user(json!({})), NO),
        (Demand::Absent, None, YES),
        (issuer("staff"), user(json!({})), YES),
        (issuer("staff"), None, NO),
        (subject("ada"), user(json!({})), YES),
        (subject("eve"), user(json!({})), NO),
        (like(&["read"], json!({})), user(json!({})), YES),
        (like(&["read", "write"], json!({})), user(json!({})), YES),
        (like(&["read", "delete"], json!({})), user(json!({})), NO),
        (
            like(&[], json!({"level": 7})),
            user(json!({"level": 7})),
            YES,
        ),
        (
            like(&[], json!({"level": 7})),
            user(json!({"level": "7"})),
            NO,
        ),
        (
            like(&[], json!({"level": "7"})),
            user(json!({"level": 7})),
            NO,
        ),
        (like(&[], json!({"level": 7})), user(json!({})), NO),
        (
            like(&[], json!({"team": "a"})),
            user(json!({"team": ["b", "a"]})),
            YES,
        ),
        (
            like(&[], json!({"team": "a"})),
            user(json!({"team": ["b", "c"]})),
            NO,
        ),
        (
            like(&[], json!({"team": "a"})),
            user(json!({"team": "ab"})),
            NO,
        ),
        (
            like(&[], json!({"admin": true})),
            user(json!({"admin": "true"})),
            NO,
        ),
        (
            like(&[], json!({"admin": true})),
            user(json!({"admin": [true]})),
            YES,
        ),
    ];
    rows.into_iter()
        .map(|(demand, user, expected)| {
            let asked = request("GET /orders");
            Example {
                policy: with_users(
                    Binding::None,
                    vec![allow("r", &["GET /orders"]).user(demand)],
                ),
                request: match user {
                    Some(user) => asked.user(user),
                    None => asked,
                },
                expected,
            }
        })
        .collect()
}

/// A policy without `users` does not look at tokens; one with them may read what is not there.
fn without_users() -> Vec<Example> {
    let is_ada = Expression::Equal(Term::UserSubject, Term::Text("ada".to_owned()));
    let rule = || allow("r", &["GET /orders"]).when(is_ada.clone());
    vec![
        Example {
            policy: policy(vec![allow("r", &["GET /orders"])]),
            request: request("GET /orders").user(ada(json!({"aud": "x"}))),
            expected: YES,
        },
        Example {
            policy: with_users(Binding::None, vec![rule()]),
            request: request("GET /orders").user(ada(json!({}))),
            expected: YES,
        },
        Example {
            policy: with_users(Binding::None, vec![rule()]),
            request: request("GET /orders"),
            expected: "403 condition_error -",
        },
    ]
}
