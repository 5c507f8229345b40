//! What a good file comes to.

use std::time::{Duration, SystemTime};

use http::Method;
use serde_json::json;

use super::super::super::model::{
    Binding, Callers, Effect, From, Methods, Mode, Model, RuleModel, Spot, UserDemand,
};
use super::super::super::path::Segment;
use super::{EXAMPLE, loaded};

#[test]
fn the_example_of_the_language() {
    let Model {
        name,
        mode,
        trust_domains,
        principals,
        users,
        rules,
        tests,
    } = loaded(EXAMPLE);
    assert_eq!((name.as_str(), mode), ("document-api", Mode::Enforce));

    let listed: Vec<_> = trust_domains
        .iter()
        .map(|listed| (listed.name.as_str(), listed.federated, listed.at.line))
        .collect();
    assert_eq!(
        listed,
        [
            ("prod.example.com", false, 5),
            ("staging.example.com", false, 6),
            ("regulator.example.gov", true, 7)
        ]
    );

    let named: Vec<_> = principals
        .iter()
        .map(|principal| (principal.name.as_str(), principal.patterns[0].to_string()))
        .collect();
    assert_eq!(named.len(), 4);
    assert_eq!(
        named[2],
        ("staging", "spiffe://staging.example.com/**".to_owned())
    );
    assert_eq!(
        principals[3].patterns[0].captures().collect::<Vec<_>>(),
        ["office"]
    );

    assert_eq!(users[0].issuer, "https://id.example.com");
    assert_eq!(users[0].audiences, ["document-api"]);
    assert_eq!(users[0].bound_to, Binding::Actor);

    let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "read-metadata",
            "raw-evidence-on-behalf-of-a-user",
            "delete-expired-drafts",
            "own-office-only",
            "staging-never-calls-prod",
            "health"
        ]
    );
    let [_, raw, delete, office, staging, health] = rules.as_slice() else {
        panic!("six rules")
    };
    assert_eq!(raw.from, From::These(vec![Callers::Principal(0)]));
    assert_eq!(raw.actions[1].methods, Methods::These(vec![Method::POST]));
    assert_eq!(
        raw.actions[1].path.segments,
        [
            Segment::Literal("evidence.v1.Documents".to_owned()),
            Segment::Literal("StreamRaw".to_owned())
        ]
    );
    let Some(UserDemand::Like(like)) = &raw.user else {
        panic!("a user is asked for")
    };
    assert_eq!(
        (like.issuer, like.scopes.as_slice()),
        (Some(0), ["evidence.raw.read".to_owned()].as_slice())
    );
    assert_eq!(
        delete.when.as_ref().unwrap().text,
        r#"resource.state == "expired_draft""#
    );
    assert_eq!(office.from, From::These(vec![Callers::Principal(3)]));
    assert_eq!(
        (staging.effect, &staging.actions[0].methods),
        (Effect::Deny, &Methods::Every)
    );
    assert!(staging.actions[0].path.open_ended);
    assert_eq!(health.from, From::Anyone);
    assert_eq!(
        health.because.as_deref(),
        Some("kubelet probes carry no SVID")
    );

    assert_eq!(
        (tests[0].expect, tests[0].rule.as_deref()),
        (Effect::Allow, Some("read-metadata"))
    );
    assert_eq!(
        tests[0].case.peer.as_ref().unwrap().path(),
        "/ns/case/sa/case-api"
    );
    assert_eq!((tests[1].expect, &tests[1].rule), (Effect::Deny, &None));
    assert_eq!(tests[1].case.target, "/documents/7/metadata");
}

const HEAD: &str = "version: 1\nname: x\nusers: { a: { issuer: i, audiences: [b] }, c: { issuer: j, audiences: [d], bound_to: cnf } }\nrules:\n";

fn rule(keys: &str) -> RuleModel {
    loaded(&format!("{HEAD}- name: r\n{keys}")).rules.remove(0)
}

#[test]
fn every_form_of_an_action() {
    let rule = rule(
        r#"  from: ["own:/a"]
  allow:
  - GET /
  - "* /**"
  - GET,POST,GET /a/*/{b}
  - get /Ünïcode/with space
  - PROPFIND /a/**
  - grpc pkg.Service/Method
  - grpc pkg.Service/*
  - grpc **
"#,
    );
    let shape: Vec<_> = rule
        .actions
        .iter()
        .map(|action| {
            (
                action.path.segments.len(),
                action.path.open_ended,
                action.at.line,
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            (0, false, 8),
            (0, true, 9),
            (3, false, 10),
            (2, false, 11),
            (1, true, 12),
            (2, false, 13),
            (2, false, 14),
            (2, false, 15)
        ]
    );
    let methods = |index: usize| rule.actions[index].methods.clone();
    assert_eq!(methods(1), Methods::Every);
    assert_eq!(methods(2), Methods::These(vec![Method::GET, Method::POST]));
    assert_eq!(
        methods(3),
        Methods::These(vec![Method::from_bytes(b"get").unwrap()])
    );
    assert_eq!(methods(5), Methods::These(vec![Method::POST]));
    assert_eq!(rule.actions[6].path.segments[1], Segment::One);
    assert_eq!(rule.actions[7].path.segments, [Segment::One, Segment::One]);
    assert_eq!(rule.actions[7].text, "grpc **");
}

#[test]
fn every_form_of_a_user() {
    let user = |text: &str| {
        rule(&format!(
            "  from: [own:/a]\n  allow: [GET /]\n  user: {text}\n"
        ))
        .user
    };
    assert_eq!(user("required"), Some(UserDemand::Required));
    assert_eq!(user("'absent'"), Some(UserDemand::Absent));
    let Some(UserDemand::Like(like)) = user(
        r#"{ issuer: c, subject: "7", scopes: [no, "1"], claims: { a: 1, b: 1.0, c: "1", d: off, e: true, f: ~, g: [x, { h: 0x1f }], i: -3 } }"#,
    ) else {
        panic!("a map asks for a user")
    };
    assert_eq!((like.issuer, like.subject.as_deref()), (Some(1), Some("7")));
    assert_eq!(like.scopes, ["no", "1"]);
    let claims = json!({ "a": 1, "b": 1.0, "c": "1", "d": "off", "e": true, "f": null, "g": ["x", { "h": 31 }], "i": -3 });
    assert_eq!(serde_json::Value::Object(like.claims), claims);
}

#[test]
fn dates_and_times() {
    let expires = |text: &str| {
        let rule = rule(&format!(
            "  from: [own:/a]\n  allow: [GET /]\n  expires: {text}\n"
        ));
        rule.expires
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
    };
    let midnight = Duration::from_secs(1_927_584_000);
    assert_eq!(expires("2031-01-31"), midnight);
    assert_eq!(expires("'2031-01-31T00:00:00Z'"), midnight);
    assert_eq!(expires("2031-01-31T02:00:00+02:00"), midnight);
    assert_eq!(
        expires("2031-01-30T18:30:00.5-05:30"),
        midnight + Duration::from_millis(500)
    );
}

#[test]
fn words_that_other_versions_of_yaml_take_for_booleans_are_texts() {
    let text = "version: 1\nname: no\ntrust_domains:\nprincipals:\n  yes: own:/a\n  off: [own:/b]\nrules:\n- { name: on, from: [off, yes], deny: [GET /y] }\n";
    let text = text.replace("trust_domains:\n", "");
    let model = loaded(&text);
    assert_eq!(model.name, "no");
    assert_eq!(
        model.rules[0].from,
        From::These(vec![Callers::Principal(1), Callers::Principal(0)])
    );
}

#[test]
fn an_expression_is_taken_as_it_is_written_and_knows_where_it_begins() {
    let when = |text: &str| {
        let source = rule(&format!(
            "  from: [own:/a]\n  allow: [GET /]\n  when: {text}\n"
        ))
        .when
        .unwrap();
        (source.text, (source.at.line, source.at.column))
    };
    let at = |text: &str, place| (text.to_owned(), place);
    assert_eq!(when("true"), at("true", (8, 9)));
    assert_eq!(when("1 == 1"), at("1 == 1", (8, 9)));
    assert_eq!(when("'\"x\" in peer.id'"), at("\"x\" in peer.id", (8, 10)));
    assert_eq!(when("\"a == \\\"b\\\"\""), at("a == \"b\"", (8, 10)));
    assert_eq!(when("|\n    a &&\n    b"), at("a &&\nb\n", (9, 5)));
    assert_eq!(when("|-\n\n      a\n      b"), at("\na\nb", (9, 7)));
    assert_eq!(when(">- # why\n     a &&\n     b"), at("a && b", (9, 6)));
    assert_eq!(when("&x a"), at("a", (8, 12)));
    assert_eq!(when("\n    a"), at("a", (9, 5)));
}

#[test]
fn defaults_and_empty_collections() {
    let model = loaded("version: 1\nname: x\nrules: []\n");
    assert_eq!(model.mode, Mode::Enforce);
    assert!(model.rules.is_empty() && model.tests.is_empty() && model.users.is_empty());

    let model = loaded(
        "{version: 1, name: x, mode: shadow, trust_domains: {}, principals: {}, users: {}, rules: [], tests: []}",
    );
    assert_eq!(model.mode, Mode::Shadow);

    let rule = rule("  from: authenticated\n  allow: [GET /]\n  because: why\n  shadow: true\n");
    assert_eq!(
        (rule.from, rule.shadow, rule.when, rule.user, rule.expires),
        (From::Authenticated, true, None, None, None)
    );
    assert_eq!(rule.at, Spot { line: 5, column: 3 });
    assert!(
        loaded(&format!(
            "{HEAD}- {{ name: a, deny: [GET /], from: anyone }}"
        ))
        .rules[0]
            .because
            .is_none()
    );
}

#[test]
fn a_pattern_stands_where_a_name_does() {
    let rule = rule("  allow: [GET /]\n  from: ['own:/a/{b}/**']\n");
    let From::These(callers) = &rule.from else {
        panic!("a list")
    };
    let Callers::Pattern(pattern, at) = &callers[0] else {
        panic!("a pattern")
    };
    assert_eq!(
        (pattern.to_string().as_str(), at.line, at.column),
        ("own:/a/{b}/**", 7, 10)
    );
}
