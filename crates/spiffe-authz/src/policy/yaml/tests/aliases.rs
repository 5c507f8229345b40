//! Quotes, anchors, aliases, line ends.

use super::super::super::model::Callers;
use super::{EXAMPLE, loaded, refused, told};

const PLAIN: &str = "\
version: 1
name: shop
principals: { orders: 'own:/orders' }
rules:
- name: read
  allow: [GET /orders]
  from: [orders]
";

#[test]
fn all_styles_say_the_same() {
    let styles = [
        "version: 1\nname: 'shop'\nprincipals: { \"orders\": own:/orders }\nrules:\n- 'name': \"read\"\n  allow: ['GET /orders']\n  from: [\"orders\"]\n",
        "version: 1\nname: >-\n  shop\nprincipals:\n  orders: |-\n    own:/orders\nrules:\n- name: read\n  allow:\n  - GET\n    /orders\n  from:\n  - orders\n",
        "{ \"version\": 1, \"name\": \"shop\", \"principals\": { \"orders\": \"own:/orders\" }, \"rules\": [ { \"name\": \"read\", \"allow\": [ \"GET /orders\" ], \"from\": [ \"orders\" ] } ] }",
        "---\nversion: 1\nname: \"sh\\x6fp\"\nprincipals: { orders: own:/orders }\nrules: [ { name: read, from: [ orders ], allow: [ \"GET \\\n  /orders\" ] } ]\n...\n",
        "version: 1\nname: shop\nprincipals: {\n  orders: own:/orders, # who asks\n}\nrules:\n- name: read\n  allow: [\n    GET /orders\n  ]\n  from: [\n    orders,\n  ]\n",
        "%YAML 1.2\n---\nversion: 1\nname: shop\nprincipals: { orders: own:/orders }\nrules: [ { name: read, from: [ orders ], allow: [ GET /orders ] } ]\n",
    ];
    let plain = loaded(PLAIN);
    for text in styles {
        let model = loaded(text);
        assert_eq!(model.name, plain.name, "{text}");
        assert_eq!(
            model.principals[0].patterns, plain.principals[0].patterns,
            "{text}"
        );
        let (rule, expected) = (&model.rules[0], &plain.rules[0]);
        assert_eq!(
            (&rule.name, &rule.from),
            (&expected.name, &expected.from),
            "{text}"
        );
        assert_eq!(rule.actions[0].path, expected.actions[0].path, "{text}");
        assert_eq!(rule.actions[0].text, expected.actions[0].text, "{text}");
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let expected = loaded(EXAMPLE);
    assert_eq!(loaded(&EXAMPLE.replace('\n', "\r\n")), expected);
    assert_eq!(loaded(&format!("\u{feff}{EXAMPLE}")), expected);
    assert_eq!(loaded(EXAMPLE.trim_end()), expected);
}

#[test]
fn aliases_stand_for_what_they_name() {
    let model = loaded(
        "\
version: 1
name: x
principals:
  a: &a [own:/a, own:/b]
  b: *a
rules:
- &r
  name: &n read
  allow: &acts [GET /a, &act POST /a]
  from: &who [&one a, own:/c]
- name: again
  allow: *acts
  from: *who
- { name: once more, allow: [*act], from: [*one], when: &w peer.id == 'x' }
- { name: last, allow: [*act], from: [*one], when: *w }
tests:
- { request: GET /a, expect: deny, rule: *n }
",
    );
    assert_eq!(model.principals[0].patterns, model.principals[1].patterns);
    assert_eq!(model.rules[0].actions, model.rules[1].actions);
    assert_eq!(model.rules[0].from, model.rules[1].from);
    assert_eq!(model.rules[2].actions[0].text, "POST /a");
    assert!(
        matches!(&model.rules[2].from, super::super::super::model::From::These(callers) if callers == &[Callers::Principal(0)])
    );
    assert_eq!(model.rules[2].when, model.rules[3].when);
    assert_eq!(model.tests[0].rule.as_deref(), Some("read"));
}

#[test]
fn a_later_anchor_of_the_same_name_counts_from_there_on() {
    let model = loaded(
        "version: 1\nname: x\nprincipals:\n  a: &p own:/a\n  b: &p own:/b\n  c: *p\nrules: []\n",
    );
    assert_eq!(model.principals[2].patterns[0].to_string(), "own:/b");
}

#[test]
fn an_error_behind_an_alias_is_told_where_it_is_written() {
    let problems = refused(
        "version: 1\nname: x\nrules:\n- &r { name: a, deny: [GET a], from: anyone }\n- *r\n",
    );
    assert_eq!(
        told(&problems),
        "4:14: a rule in line 4 has the name `a` already; choose another\n4:24: `GET a` is no action: a path begins with `/`"
    );
}
