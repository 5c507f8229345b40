//! Texts that are conditions, and what is known about them without a request.

use super::*;

const GOOD: &[&str] = &[
    "true",
    "path.office == id.office",
    "path.office == id.office && path.doc != 'x'",
    r#"resource.state == "expired_draft""#,
    r#"resource["state"] == 'x'"#,
    "resource.rows[0].n == 1",
    "resource == null",
    "resource.public",
    "!resource.public",
    r#""x-tenant" in request.headers && request.headers["x-tenant"][0] == id.office"#,
    r#"request.headers["accept"].exists(a, a.startsWith("text/"))"#,
    "request.headers.accept.size() == 2",
    "has(request.headers.accept)",
    "request.headers[path.doc] == ['a']",
    "path.doc in request.headers",
    "size(request.headers['accept']) > 0",
    r#"request.method in ["GET", "HEAD"]"#,
    "request.path.endsWith('/raw')",
    "request.host == 'example.org'",
    "request.host == '[::1]' || request.host in ['a.test', 'b.test']",
    "has(request.host) && has(peer.id) && has(user.subject)",
    "peer.trust_domain == 'example.org' || peer.id.contains('/client')",
    r#"peer.id.matches("^spiffe://[a-z.]+/x$")"#,
    r#"matches(path.doc, r"^\d+$")"#,
    r#"path.doc.matches('''^[0-9]{1,4}$''')"#,
    "'openid' in user.scopes && user.issuer != ''",
    "user.scopes.all(s, s != 'admin')",
    "user.scopes.exists_one(s, s == 'admin')",
    "user.scopes.filter(s, s.startsWith('a')).exists(s, s == 'ab')",
    "'A' in user.scopes.map(s, s + '!')",
    "size(user.scopes.map(s, s != 'x', s)) == 1",
    "user.claims.groups.exists(g, g == 'x')",
    "user.claims.rows.all(r, r.items.exists(i, i.n == r.n))",
    "has(user.claims.level) && user.claims.level >= 3",
    "user.claims['a-b'] == 1u || 1 < 2.5 || 3u >= -1",
    "{'admin': 3, 'user': 1}[user.claims.role] >= 2",
    "'k' in {'k': 1}",
    "path.office in ['a'] + ['b']",
    "path.office + '/' + path.doc == 'a/b'",
    "(path.doc == '1' ? 'a' : 'b') == path.office",
    "int(path.doc) % 2 == 0 && double(path.doc) < 1e3 && uint(path.doc) > 0u",
    "string(resource.size) == path.doc && string(true) == 'true'",
    "path.doc.lowerAscii() == 'a'",
    "[1, 2, 3].exists(n, n == resource.size)",
    "[[1], [2]] == [[1], []]",
    "// why\npath.doc == 'a' // and so\n",
    "\"\\u00e4\\x41\\101\\\"\" == path.doc",
    "path.doc == \"ü — ‰\"",
    "resource.a.b.c == resource['d'] [1].e",
    "-resource.size < 0 && -(1) == -1",
];

#[test]
fn what_can_be_evaluated_compiles() {
    for text in GOOD {
        compiled(text);
    }
}

#[test]
fn a_condition_knows_what_it_reads() {
    for (text, reads) in [
        ("true", ""),
        ("path.doc == ''", "path"),
        ("id.ns == ''", "id"),
        ("peer.id == ''", ""),
        ("request.host == ''", ""),
        ("resource.a == 1", "resource"),
        ("has(resource.a)", "resource"),
        ("'a' in resource", "resource"),
        ("user.subject == ''", "user"),
        ("has(user.issuer)", "user"),
        ("'a' in user.scopes", "user"),
        ("user.claims.a == 1", "user"),
        ("has(user.claims.a)", "user"),
        ("has(user.claims)", "user"),
        ("'a' in request.headers", "headers"),
        ("path.doc in request.headers", "headers path"),
        ("request.headers.a == []", "headers"),
        ("request.headers[id.ns] == []", "headers id"),
        (
            "user.scopes.exists(s, s == path.doc && resource.x)",
            "path resource user",
        ),
    ] {
        let condition = compiled(text);
        let found = [
            ("headers", condition.reads_headers()),
            ("id", condition.reads_id()),
            ("path", condition.reads_path()),
            ("resource", condition.reads_resource()),
            ("user", condition.reads_user()),
        ];
        let found = found
            .iter()
            .filter(|(_, reads)| *reads)
            .map(|(name, _)| *name);
        assert_eq!(found.collect::<Vec<_>>().join(" "), reads, "{text}");
        assert_eq!(condition.source(), text);
    }
}

#[test]
fn headers_that_are_read_without_a_test_are_known() {
    for (text, untested) in [
        ("request.headers['a'] == []", &["a"][..]),
        (
            "request.headers.b == [] && request.headers['a'] == []",
            &["a", "b"],
        ),
        ("'a' in request.headers && request.headers['a'] == []", &[]),
        ("!has(request.headers.a) || request.headers['a'] == []", &[]),
        (
            "'a' in request.headers && request.headers['b'] == []",
            &["b"],
        ),
        ("request.headers[path.doc] == []", &[]),
    ] {
        assert_eq!(
            compile(text).unwrap().headers_read_without_test(),
            untested,
            "{text}"
        );
    }
}

#[test]
fn expressions_without_both_anchors_are_known() {
    for (pattern, anchored) in [
        ("^a$", true),
        ("^(a|b)$", true),
        ("^a$|^b$", true),
        (r"\Aa\z", true),
        ("(?i)^a$", true),
        ("^(?:a|b$)", false),
        ("a", false),
        ("^a", false),
        ("a$", false),
        ("^a|b$", false),
        (r"^a\$", false),
        ("(?m)^a$", false),
    ] {
        let condition = compile(&format!("path.doc.matches(r'{pattern}')")).unwrap();
        let unanchored: &[String] = if anchored { &[] } else { &[pattern.to_owned()] };
        assert_eq!(condition.unanchored_matches(), unanchored, "{pattern}");
    }
}

#[test]
fn a_condition_is_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let condition = compile("path.doc.matches('^a$') && path.doc in ['a']").unwrap();
    shared(&condition);
    assert!(format!("{condition:?}").contains("path.doc"));
}
