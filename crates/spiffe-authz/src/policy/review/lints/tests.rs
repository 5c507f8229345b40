mod whole;

use std::time::SystemTime;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn load(rules: &str) -> Policy {
    let text = format!(
        "version: 1
name: p
trust_domains: {{ td: {{}}, friend: {{ federated: true }} }}
rules:
{rules}"
    );
    Policy::from_yaml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn kinds(policy: &Policy, routes: Option<&str>) -> Vec<&'static str> {
    let routes = routes.map(|routes| serde_json::from_str(routes).unwrap());
    let lints = lints(policy, routes.as_ref(), NOW);
    lints.iter().map(Lint::kind).collect()
}

/// One policy that has the lint, at a line and about a rule, and those near it that do not.
fn told(kind: &str, line: u32, has: &str, near: &[&str]) {
    let found = lints(&load(has), None, NOW);
    let lint = found.iter().find(|lint| lint.kind() == kind);
    let lint = lint.unwrap_or_else(|| panic!("no {kind} in {found:?}\n{has}"));
    assert_eq!((lint.line(), found.len()), (line, 1), "{found:?}");
    for near in near {
        assert_eq!(kinds(&load(near), None), Vec::<&str>::new(), "{near}");
    }
}

#[test]
fn an_allow_that_a_deny_covers() {
    let deny = |rest: &str| {
        format!("  - {{ name: no, deny: ['* /a/**', 'GET /b'], from: ['spiffe://td/**']{rest} }}\n")
    };
    let allow =
        "  - { name: yes, allow: ['GET /a/{x}', 'HEAD /b'], from: ['spiffe://td/ns/a/sa/b'] }\n";
    let wider =
        "  - { name: yes, allow: ['GET /a/{x}', 'POST /b'], from: ['spiffe://td/ns/a/sa/b'] }\n";
    let elsewhere = "  - { name: yes, allow: ['GET /a/{x}'], from: ['spiffe://td/ns/a/sa/b', 'spiffe://friend/a'] }\n";
    told(
        "covered-by-deny",
        6,
        &format!("{}{allow}", deny("")),
        &[
            &format!("{}{allow}", deny(", when: 'request.method == \"GET\"'")),
            &format!("{}{wider}", deny("")),
            &format!("{}{elsewhere}", deny("")),
        ],
    );
    told("covered-by-deny", 5, &format!("{allow}{}", deny("")), &[]);
    let shadow = load(&format!("{}{allow}", deny(", shadow: true")));
    assert_eq!(kinds(&shadow, None), ["endless-shadow"], "it does not deny");
}

#[test]
fn a_rule_that_an_earlier_one_covers() {
    let rule = |name: &str, action: &str, rest: &str| {
        format!(
            "  - {{ name: {name}, allow: ['{action}'], from: ['spiffe://td/ns/a/sa/{{x}}']{rest} }}\n"
        )
    };
    let wide = rule("wide", "GET,POST /a/**", "");
    told(
        "covered-by-earlier",
        6,
        &format!(
            "{wide}{}",
            rule("narrow", "POST /a/b/{c}", ", when: 'path.c == id.x'")
        ),
        &[
            &format!("{}{wide}", rule("narrow", "POST /a/b/c", "")),
            &format!("{wide}{}", rule("other", "POST,PUT /a/b/c", "")),
            &format!("{wide}{}", rule("other", "POST /b/c", "")),
            &format!(
                "{}{}",
                rule("wide", "GET /a/**", ", when: 'id.x == \"y\"'"),
                rule("same", "GET /a/**", ", when: 'id.x == \"y\"'")
            ),
            &format!(
                "{}{}",
                rule("wide", "GET /a/**", ", expires: 2031-01-01"),
                rule("later", "GET /a/b", ", expires: 2032-01-01")
            ),
        ],
    );
    let same = ", when: 'peer.id != \"x\"'";
    told(
        "covered-by-earlier",
        6,
        &format!(
            "{}{}",
            rule("wide", "GET /a/**", same),
            rule("same", "GET /a/b", same)
        ),
        &[],
    );
}

#[test]
fn a_principal_that_nobody_names() {
    let with = |names: &str, from: &str| {
        let text = format!(
            "version: 1\nname: p\ntrust_domains: {{ td: {{}} }}\nprincipals: {names}\nrules:\n  - {{ name: a, allow: ['GET /'], from: [{from}] }}\n"
        );
        Policy::from_yaml(&text).unwrap()
    };
    let both = "{ one: spiffe://td/ns/a/sa/b, two: spiffe://td/ns/a/sa/c }";
    let found = lints(&with(both, "one"), None, NOW);
    assert_eq!(
        (found.len(), found[0].kind(), found[0].line()),
        (1, "unused-principal", 4)
    );
    assert!(found[0].message().contains("`two`"));
    assert!(kinds(&with(both, "one, two"), None).is_empty());

    let routes = |named: &str| {
        let routes = format!(
            r#"[{{ "method": "GET", "path": "/" }},
                {{ "method": "GET", "path": "/x", "by_policy": false, "rule": {{ "principals": ["{named}"] }} }}]"#
        );
        serde_json::from_str::<crate::Inventory>(&routes).unwrap()
    };
    assert!(lints(&with(both, "one"), Some(&routes("two")), NOW).is_empty());
    let found = lints(&with(both, "one, two"), Some(&routes("tow")), NOW);
    assert_eq!((found.len(), found[0].kind()), (1, "unknown-principal"));
    assert!(found[0].message().contains("did you mean `two`?"));
}

#[test]
fn a_pattern_that_takes_in_too_much() {
    let rule = |effect: &str, pattern: &str, rest: &str| {
        format!("  - {{ name: a, {effect}: ['* /x/{{n}}'], from: ['{pattern}']{rest} }}\n")
    };
    for wide in [
        "spiffe://td/**",
        "spiffe://td/*",
        "spiffe://td/{a}/**",
        "spiffe://td/ns/**",
        "spiffe://td/ns/*/sa/api",
        "spiffe://td/ns/{n}/sa/api",
    ] {
        told(
            "wide-pattern",
            5,
            &rule("allow", wide, ""),
            &[&rule("deny", wide, "")],
        );
    }
    for narrow in [
        "spiffe://td/ns/a/**",
        "spiffe://td/service/*",
        "spiffe://td/a",
    ] {
        assert!(
            kinds(&load(&rule("allow", narrow, "")), None).is_empty(),
            "{narrow}"
        );
    }
    let tied = rule(
        "allow",
        "spiffe://td/ns/{n}/sa/api",
        ", when: path.n == id.n",
    );
    assert!(kinds(&load(&tied), None).is_empty());
}

#[test]
fn an_open_end_in_a_domain_of_others() {
    let rule = |effect: &str, pattern: &str| {
        format!("  - {{ name: a, {effect}: ['* /'], from: ['{pattern}'] }}\n")
    };
    told(
        "open-ended-federated",
        5,
        &rule("allow", "spiffe://friend/office/**"),
        &[
            &rule("allow", "spiffe://friend/office/{o}/client"),
            &rule("deny", "spiffe://friend/**"),
            &rule("allow", "spiffe://td/office/**"),
        ],
    );
}

#[test]
fn a_deny_that_leaves_methods_open() {
    let rules = |deny: &str, allow: &str| {
        format!(
            "  - {{ name: no, deny: ['{deny}'], from: ['spiffe://td/ns/a/**'] }}\n  - {{ name: yes, allow: ['{allow}'], from: ['spiffe://td/ns/a/sa/b', 'spiffe://friend/a'] }}\n"
        )
    };
    for (deny, allow) in [
        ("POST,PUT /a/**", "* /a/b"),
        ("POST /a/secret", "GET,POST /a/{x}"),
        ("HEAD /a", "GET,HEAD /a"),
    ] {
        told("deny-leaves-methods", 5, &rules(deny, allow), &[]);
    }
    for (deny, allow) in [
        ("* /a/secret", "* /a/**"),
        ("DELETE /a/**", "GET /a/**"),
        ("GET,POST /a/x", "GET,POST /a/**"),
        ("POST /b/**", "* /a/**"),
        ("GET /a/x", "GET,HEAD /a/{x}"),
    ] {
        let found = kinds(&load(&rules(deny, allow)), None);
        assert!(found.is_empty(), "{deny} {allow} {found:?}");
    }
    let apart = "  - { name: no, deny: ['POST /a'], from: ['spiffe://td/ns/a/sa/b'] }\n  - { name: yes, allow: ['* /a'], from: ['spiffe://td/ns/a/sa/c'] }\n";
    assert!(kinds(&load(apart), None).is_empty(), "no caller is of both");
}

#[test]
fn a_header_that_is_read_without_asking_for_it() {
    let rule = |effect: &str, when: &str| {
        format!(
            "  - {{ name: a, {effect}: ['GET /'], from: ['spiffe://td/ns/a/sa/b'], when: '{when}' }}\n"
        )
    };
    let read = r#"request.headers["x-tenant"][0] == "a""#;
    let tested = format!(r#""x-tenant" in request.headers && {read}"#);
    told(
        "untested-header",
        5,
        &rule("deny", read),
        &[&rule("deny", &tested), &rule("allow", read)],
    );
}

#[test]
fn a_search_that_looks_like_a_match() {
    let rule = |regex: &str| {
        format!(
            "  - {{ name: a, allow: ['GET /{{x}}'], from: ['spiffe://td/ns/a/sa/b'], when: 'path.x.matches(\"{regex}\")' }}\n"
        )
    };
    for open in ["a[0-9]", "^a", "a$", "^a|b$"] {
        told("unanchored-matches", 5, &rule(open), &[]);
    }
    for closed in ["^a[0-9]$", "^(?:a|b)$", "^a$|^b$"] {
        assert!(kinds(&load(&rule(closed)), None).is_empty(), "{closed}");
    }
}

#[test]
fn a_user_whose_token_anybody_may_carry() {
    let with = |bound: &str, user: &str| {
        let text = format!(
            "version: 1\nname: p\ntrust_domains: {{ td: {{}} }}\nusers:\n  staff: {{ issuer: https://id, audiences: [a]{bound} }}\nrules:\n  - {{ name: a, allow: ['GET /'], from: ['spiffe://td/ns/a/sa/b']{user} }}\n"
        );
        Policy::from_yaml(&text).unwrap()
    };
    for user in [
        ", user: required",
        ", user: { scopes: [a] }",
        ", user: { issuer: staff }",
        ", when: user.subject == \"ada\"",
    ] {
        let found = lints(&with("", user), None, NOW);
        assert_eq!(
            (found.len(), found[0].kind(), found[0].line()),
            (1, "unbound-user", 5),
            "{user}"
        );
        assert!(kinds(&with(", bound_to: azp", user), None).is_empty());
    }
    assert!(kinds(&with("", ", user: absent"), None).is_empty());
    assert!(kinds(&with("", ""), None).is_empty());
}

#[test]
fn a_method_in_lower_case() {
    let rule = |method: &str| {
        format!("  - {{ name: a, allow: ['{method} /'], from: ['spiffe://td/ns/a/sa/b'] }}\n")
    };
    told(
        "lower-case-method",
        5,
        &rule("GET,post"),
        &[&rule("GET,POST"), &rule("grpc a.B/C").replace(" /'", "'")],
    );
}

#[cfg(feature = "confusables")]
#[test]
fn letters_that_look_like_others() {
    let rule = |name: &str, path: &str| {
        format!("  - {{ name: {name}, allow: ['GET /{path}'], from: ['spiffe://td/ns/a/sa/b'] }}\n")
    };
    // A Cyrillic letter in a Latin word, a word that is Cyrillic through and through, a word that turns its
    // neighbours, and one with a letter that has no width.
    for posing in ["аdmin", "сору", "ad\u{202e}min", "ad\u{200b}min"] {
        told("confusable", 5, &rule("a", posing), &[]);
    }
    for honest in ["admin", "größe", "заказы", "注文"] {
        assert!(
            kinds(&load(&rule("a", honest)), None).is_empty(),
            "{honest}"
        );
    }
    told(
        "confusable",
        6,
        &format!("{}{}", rule("read-1", "a"), rule("read-l", "b")),
        &[&format!("{}{}", rule("read-1", "a"), rule("read-2", "b"))],
    );
    let when = |text: &str| {
        rule("a", "x").replace(" }", &format!(", when: 'request.path != \"{text}\"' }}"))
    };
    told("confusable", 5, &when("/аdmin"), &[&when("/admin")]);
}

#[test]
fn a_shadow_rule_without_an_end() {
    let rule = |rest: &str| {
        format!("  - {{ name: a, allow: ['GET /'], from: ['spiffe://td/ns/a/sa/b']{rest} }}\n")
    };
    told(
        "endless-shadow",
        5,
        &rule(", shadow: true"),
        &[&rule(", shadow: true, expires: 2031-01-01"), &rule("")],
    );
    told(
        "endless-shadow",
        5,
        &rule(", shadow: true").replace("allow", "deny"),
        &[],
    );
}

#[test]
fn an_allow_that_has_ended() {
    let rule = |end: &str| {
        format!(
            "  - {{ name: a, allow: ['GET /'], from: ['spiffe://td/ns/a/sa/b'], expires: {end} }}\n"
        )
    };
    told("expired", 5, &rule("1970-01-01"), &[&rule("1970-01-02")]);
}

#[test]
fn an_id_that_will_not_last() {
    let rule = |part: &str| {
        format!("  - {{ name: a, deny: ['* /'], from: ['spiffe://td/ns/shop/{part}'] }}\n")
    };
    for volatile in [
        "orders-7d9f8b6c5-x2x4z",
        "0b2c4d6e-1111-2222-3333-444455556666",
        "4bf92f3577b34da6a3ce929d0e0e4736",
    ] {
        told("volatile-id", 5, &rule(volatile), &[]);
    }
    for lasting in [
        "sa-orders-worker",
        "orders-v2",
        "deadbeef",
        "retention-worker",
        "payment-processor-blue2",
        "20260101",
    ] {
        assert!(kinds(&load(&rule(lasting)), None).is_empty(), "{lasting}");
    }
}
