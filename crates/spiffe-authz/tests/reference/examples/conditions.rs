//! What `when` reads, and errors in it.

use serde_json::json;

use super::Example;
use super::write::{
    CASE_API, allow, and, deny, header_holds, not, or, policy, request, resource, text,
};
use crate::expression::Expression::{Equal, HasHeader, In, Less, StartsWith, Unequal};
use crate::expression::{Expression, Term};
use crate::policy::Request;

const YES: &str = "200 rule r";
const NO: &str = "403 default -";
const ERROR: &str = "403 condition_error -";

pub(super) fn examples() -> Vec<Example> {
    let mut rows = texts();
    rows.extend(dynamic());
    rows.extend(absorbed());
    let decided = |(condition, request, expected): Row| Example {
        policy: policy(vec![allow("r", &["* /orders/{id}"]).when(condition)]),
        request,
        expected,
    };
    let mut examples: Vec<Example> = rows.into_iter().map(decided).collect();
    examples.extend(without_a_peer());
    examples
}

type Row = (Expression, Request, &'static str);

fn asked() -> Request {
    request("GET /orders/7?x=1")
}

fn texts() -> Vec<Row> {
    let first_role = || Term::HeaderAt("x-role".to_owned(), 0);
    let second_role = || Term::HeaderAt("x-role".to_owned(), 1);
    let twice = || asked().header("x-role", "guest").header("x-role", "admin");
    vec![
        (Equal(Term::Path("id".to_owned()), text("7")), asked(), YES),
        (Equal(Term::Path("id".to_owned()), text("8")), asked(), NO),
        (Equal(Term::PeerId, text(CASE_API)), asked(), YES),
        (
            Equal(Term::PeerTrustDomain, text("prod.example")),
            asked(),
            YES,
        ),
        (Equal(Term::Method, text("GET")), asked(), YES),
        (
            Equal(Term::Method, text("GET")),
            request("HEAD /orders/7"),
            NO,
        ),
        (Equal(Term::RequestPath, text("/orders/7")), asked(), YES),
        (
            Equal(Term::RequestPath, text("/orders/7")),
            request("GET /%6frders/%37"),
            YES,
        ),
        (StartsWith(Term::RequestPath, text("/ord")), asked(), YES),
        (
            Equal(Term::Host, text("api.example")),
            asked().header("host", "API.example:8443"),
            YES,
        ),
        (HasHeader("x-role".to_owned()), twice(), YES),
        (HasHeader("x-role".to_owned()), asked(), NO),
        (header_holds("x-role", "admin"), twice(), YES),
        (header_holds("x-role", "root"), twice(), NO),
        (header_holds("x-role", "admin"), asked(), ERROR),
        (Equal(first_role(), text("guest")), twice(), YES),
        (Equal(second_role(), text("admin")), twice(), YES),
        (
            Equal(second_role(), text("x")),
            asked().header("x-role", "x"),
            ERROR,
        ),
    ]
}

fn dynamic() -> Vec<Row> {
    let draft = || Equal(resource("state"), text("draft"));
    let with = |fields| asked().resource(fields);
    vec![
        (draft(), with(json!({"state": "draft"})), YES),
        (draft(), with(json!({"state": "final"})), NO),
        (draft(), with(json!({"state": 7})), NO),
        (draft(), with(json!({})), ERROR),
        (draft(), asked(), ERROR),
        (
            Unequal(resource("state"), text("draft")),
            with(json!({"state": 7})),
            YES,
        ),
        (
            Less(resource("count"), Term::Integer(7)),
            with(json!({"count": 3})),
            YES,
        ),
        (
            Less(resource("count"), Term::Integer(7)),
            with(json!({"count": "3"})),
            ERROR,
        ),
        (
            Equal(resource("public"), Term::Boolean(true)),
            with(json!({"public": true})),
            YES,
        ),
        (
            In(text("a"), resource("tags")),
            with(json!({"tags": ["b", "a"]})),
            YES,
        ),
        (
            In(text("a"), resource("tags")),
            with(json!({"tags": {"a": 1}})),
            YES,
        ),
        (
            In(text("a"), resource("tags")),
            with(json!({"tags": "a"})),
            ERROR,
        ),
        (
            In(text("state"), Term::Resource(vec![])),
            with(json!({"state": 1})),
            YES,
        ),
        (
            StartsWith(resource("state"), text("d")),
            with(json!({"state": 7})),
            ERROR,
        ),
    ]
}

fn absorbed() -> Vec<Row> {
    let error = || header_holds("x-role", "admin");
    let yes = || Equal(Term::Method, text("GET"));
    let no = || Equal(Term::Method, text("PUT"));
    [
        (and(error(), no()), NO),
        (and(no(), error()), NO),
        (and(error(), yes()), ERROR),
        (and(yes(), error()), ERROR),
        (or(error(), yes()), YES),
        (or(yes(), error()), YES),
        (or(error(), no()), ERROR),
        (or(no(), error()), ERROR),
        (not(error()), ERROR),
        (not(no()), YES),
        (or(and(error(), no()), yes()), YES),
        (not(and(error(), no())), YES),
        (and(HasHeader("x-role".to_owned()), error()), NO),
    ]
    .map(|(condition, expected)| (condition, asked(), expected))
    .into_iter()
    .collect()
}

/// Where there may be no peer, reading it is an error if there is none.
fn without_a_peer() -> Vec<Example> {
    let in_prod = || Equal(Term::PeerTrustDomain, text("prod.example"));
    let rules = || {
        vec![
            allow("r", &["GET /orders"]).of_anyone(),
            deny("d", &["GET /orders"]).of_anyone().when(not(in_prod())),
        ]
    };
    vec![
        Example {
            policy: policy(rules()),
            request: request("GET /orders"),
            expected: YES,
        },
        Example {
            policy: policy(rules()),
            request: request("GET /orders").by_nobody(),
            expected: "401 condition_error d",
        },
    ]
}
