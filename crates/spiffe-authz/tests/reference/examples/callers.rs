//! Who asks.

use super::Example;
use super::write::{CASE_API, allow, deny, policy, request};
use crate::expression::{Expression, Term};

pub(super) fn examples() -> Vec<Example> {
    let rows: &[(&[&str], &str, &str)] = &[
        (&["case-api"], CASE_API, "200 rule r"),
        (
            &["case-api"],
            "spiffe://prod.example/ns/case/sa/case-api-2",
            "403 default -",
        ),
        (
            &["case-api"],
            "spiffe://prod.example/ns/case/sa/case-api/x",
            "403 default -",
        ),
        (
            &["case-api"],
            "spiffe://prod.example/ns/case/sa",
            "403 default -",
        ),
        (
            &["case-api"],
            "spiffe://staging.example/ns/case/sa/case-api",
            "403 default -",
        ),
        (
            &["case-api"],
            "spiffe://prod.example.evil/ns/case/sa/case-api",
            "403 default -",
        ),
        (
            &["case-api", "staging"],
            "spiffe://staging.example/x",
            "200 rule r",
        ),
        (
            &["retention", "spiffe://prod.example/ns/*/sa/{name}"],
            CASE_API,
            "200 rule r",
        ),
        (
            &["spiffe://prod.example/ns/case/**"],
            CASE_API,
            "200 rule r",
        ),
        (
            &["spiffe://prod.example/ns/case/**"],
            "spiffe://prod.example/ns/case",
            "200 rule r",
        ),
        (
            &["spiffe://prod.example/ns/case/**"],
            "spiffe://prod.example/ns/cases/x",
            "403 default -",
        ),
        (&["own:/ns/case/sa/case-api"], CASE_API, "200 rule r"),
        (
            &["own:/ns/case/sa/case-api"],
            "spiffe://staging.example/ns/case/sa/case-api",
            "403 default -",
        ),
    ];
    let mut examples: Vec<Example> = rows
        .iter()
        .map(|(from, peer, expected)| Example {
            policy: policy(vec![allow("r", &["GET /orders"]).of(from)]),
            request: request("GET /orders").by(peer),
            expected,
        })
        .collect();
    examples.extend(without_identity());
    examples.extend(captures());
    examples
}

fn without_identity() -> Vec<Example> {
    let of_list = || allow("r", &["GET /orders"]).of(&["spiffe://prod.example/**"]);
    let asked = || request("GET /orders").by_nobody();
    let rows = vec![
        (vec![of_list()], "401 no_identity -"),
        (vec![allow("r", &["GET /orders"])], "401 no_identity -"),
        (vec![allow("r", &["GET /orders"]).of_anyone()], "200 rule r"),
        (vec![], "401 no_identity -"),
        (
            vec![
                allow("r", &["GET /orders"]).of_anyone(),
                deny("d", &["GET /orders"]),
            ],
            "200 rule r",
        ),
        (
            vec![
                allow("r", &["GET /orders"]).of_anyone(),
                deny("d", &["GET /orders"]).of_anyone(),
            ],
            "401 rule d",
        ),
    ];
    let mut examples: Vec<Example> = rows
        .into_iter()
        .map(|(rules, expected)| Example {
            policy: policy(rules),
            request: asked(),
            expected,
        })
        .collect();
    // Any verified identity, also one that no policy lists.
    examples.push(Example {
        policy: policy(vec![allow("r", &["GET /orders"])]),
        request: request("GET /orders").by("spiffe://elsewhere.example/x"),
        expected: "200 rule r",
    });
    examples
}

/// `path.office == id.office`, over every pair of an action and an ID pattern.
fn captures() -> Vec<Example> {
    let same_office = || {
        Expression::Equal(
            Term::Path("office".to_owned()),
            Term::Id("office".to_owned()),
        )
    };
    let rows: &[(&[&str], &[&str], &str, &str)] = &[
        (
            &["GET /offices/{office}/x"],
            &["partner"],
            "GET /offices/7/x",
            "200 rule r",
        ),
        (
            &["GET /offices/{office}/x"],
            &["partner"],
            "GET /offices/8/x",
            "403 default -",
        ),
        (
            &["GET /offices/{office}/x"],
            &["partner"],
            "GET /offices/%37/x",
            "200 rule r",
        ),
        // The second pair decides.
        (
            &["GET /{office}/*/x", "GET /offices/{office}/x"],
            &["partner"],
            "GET /offices/7/x",
            "200 rule r",
        ),
        (
            &["GET /offices/{office}/x"],
            &["spiffe://regulator.example/{office}/7/client", "partner"],
            "GET /offices/7/x",
            "200 rule r",
        ),
    ];
    rows.iter()
        .map(|(actions, from, line, expected)| Example {
            policy: policy(vec![allow("r", actions).of(from).when(same_office())]),
            request: request(line).by("spiffe://regulator.example/office/7/client"),
            expected,
        })
        .collect()
}
