//! Steps 3 to 5 and 7: which rule wins, expiry, shadow.

use super::Example;
use super::write::{NOON, allow, deny, header_holds, policy, request};
use crate::policy::{Policy, Rule};

const ORDERS: &[&str] = &["GET /orders"];

fn decided(rules: Vec<Rule>, expected: &'static str) -> Example {
    Example {
        policy: policy(rules),
        request: request("GET /orders"),
        expected,
    }
}

pub(super) fn examples() -> Vec<Example> {
    let mut examples = order();
    examples.extend(errors());
    examples.extend(expiry());
    examples.extend(shadow());
    examples
}

fn order() -> Vec<Example> {
    vec![
        decided(vec![], "403 default -"),
        decided(vec![deny("d", &["GET /other"])], "403 default -"),
        decided(
            vec![allow("a", ORDERS), allow("b", &["* /**"])],
            "200 rule a",
        ),
        decided(
            vec![allow("b", &["* /**"]), allow("a", ORDERS)],
            "200 rule b",
        ),
        decided(vec![allow("a", ORDERS), deny("d", ORDERS)], "403 rule d"),
        decided(vec![deny("d", ORDERS), allow("a", ORDERS)], "403 rule d"),
        decided(
            vec![allow("a", ORDERS), deny("e", &["* /**"]), deny("d", ORDERS)],
            "403 rule e",
        ),
    ]
}

/// The request has no header: reading one is an error.
fn errors() -> Vec<Example> {
    let fails = || header_holds("x-role", "guest");
    vec![
        decided(
            vec![allow("a", ORDERS), deny("d", ORDERS).when(fails())],
            "403 condition_error d",
        ),
        decided(
            vec![
                deny("e", ORDERS).when(fails()),
                deny("d", ORDERS),
                allow("a", ORDERS),
            ],
            "403 condition_error e",
        ),
        decided(
            vec![
                deny("d", ORDERS),
                deny("e", ORDERS).when(fails()),
                allow("a", ORDERS),
            ],
            "403 rule d",
        ),
        decided(
            vec![allow("a", ORDERS).when(fails())],
            "403 condition_error -",
        ),
        decided(
            vec![allow("a", ORDERS).when(fails()), allow("b", ORDERS)],
            "200 rule b",
        ),
        // What does not meet the request has no error.
        decided(
            vec![allow("a", ORDERS), deny("d", &["GET /x"]).when(fails())],
            "200 rule a",
        ),
        decided(
            vec![
                allow("a", ORDERS),
                deny("d", ORDERS).of(&["staging"]).when(fails()),
            ],
            "200 rule a",
        ),
        Example {
            policy: policy(vec![allow("a", ORDERS).of_anyone().when(fails())]),
            request: request("GET /orders").by_nobody(),
            expected: "401 condition_error -",
        },
    ]
}

fn expiry() -> Vec<Example> {
    let at = |moment: u64, expected| Example {
        policy: policy(vec![allow("a", ORDERS).until(NOON)]),
        request: request("GET /orders").at(moment),
        expected,
    };
    vec![
        at(NOON - 1, "200 rule a"),
        at(NOON, "403 default -"),
        at(NOON + 1, "403 default -"),
        // From then on it does not match, with an error neither.
        decided(
            vec![
                allow("a", ORDERS)
                    .until(NOON)
                    .when(header_holds("x-role", "guest")),
            ],
            "403 default -",
        ),
        decided(
            vec![allow("a", ORDERS).until(NOON), allow("b", ORDERS)],
            "200 rule b",
        ),
    ]
}

fn shadow() -> Vec<Example> {
    let in_shadow_mode = |rules: Vec<Rule>, line: &str, expected| Example {
        policy: Policy {
            shadow: true,
            ..policy(rules)
        },
        request: request(line),
        expected,
    };
    vec![
        decided(
            vec![allow("s", ORDERS).in_shadow()],
            "403 default - | allow s",
        ),
        decided(
            vec![allow("a", ORDERS), deny("s", ORDERS).in_shadow()],
            "200 rule a | deny s",
        ),
        decided(
            vec![allow("s", ORDERS).in_shadow(), allow("a", ORDERS)],
            "200 rule a | allow s",
        ),
        decided(
            vec![allow("a", ORDERS), deny("s", &["GET /x"]).in_shadow()],
            "200 rule a | allow a",
        ),
        decided(
            vec![
                allow("a", ORDERS),
                deny("s", ORDERS).in_shadow().when(header_holds("x", "y")),
            ],
            "200 rule a | deny s",
        ),
        decided(
            vec![deny("d", ORDERS), allow("s", ORDERS).in_shadow()],
            "403 rule d | deny d",
        ),
        in_shadow_mode(vec![], "GET /orders", "200 default - | deny -"),
        in_shadow_mode(
            vec![allow("a", ORDERS)],
            "GET /orders",
            "200 default - | allow a",
        ),
        in_shadow_mode(
            vec![deny("d", ORDERS)],
            "GET /orders",
            "200 default - | deny d",
        ),
        in_shadow_mode(
            vec![allow("a", ORDERS)],
            "GET /orders/",
            "400 bad_request - | deny -",
        ),
    ]
}
