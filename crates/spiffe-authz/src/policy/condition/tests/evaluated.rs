//! What conditions say of requests.

use super::*;

const TRUE: &[&str] = &[
    "path.office == id.office",
    "path.doc == '7' && request.method == 'GET' && request.host == 'docs.example.com'",
    "request.path == '/offices/north/disclosures/7'",
    "peer.id.startsWith('spiffe://') && peer.trust_domain == 'example.org'",
    "user.subject == 'alice' && user.issuer.endsWith('id.example.com')",
    "'openid' in user.scopes && !('admin' in user.scopes)",
    // headers
    "request.headers['accept'] == ['text/html', '*/*']",
    "request.headers.accept[1] == '*/*'",
    "'accept' in request.headers && !('cookie' in request.headers)",
    "has(request.headers.accept) && !has(request.headers.cookie)",
    "request.headers['x-utf8'][0] == 'grün' && size(request.headers['x-utf8'][0]) == 4",
    "('x-' + 'tenant') in request.headers && !(request.host in request.headers)",
    "!(('ho' + 'st') in request.headers)",
    // dynamic values
    "resource.state == 'expired_draft' && resource['state'] == 'expired_draft'",
    "resource.owner == null && resource.state != null",
    "resource.size == 12 && resource.size == 12u && resource.size == 12.0",
    "resource.twelve == 12 && resource.twelve == resource.size",
    "resource.huge == 18446744073709551615u && resource.huge > 1 && resource.huge != -1",
    "resource.ratio < 1 && resource.ratio == 0.5",
    "resource.text == '12' && resource.text != resource.size && int(resource.text) == resource.size",
    "resource.tags == ['a', 'b'] && 'a' in resource.tags && size(resource.tags) == 2",
    "resource.rows[1].n == 2 && resource.rows[1u].n == 2",
    "has(resource.state) && !has(resource.nope) && 'size' in resource",
    "user.claims.level >= 7 && user.claims.verified",
    "user.claims.nested.a.b[1] == 20 && user.claims.nested == {'a': {'b': [10, 20]}}",
    "user.claims.groups.exists(g, g == 'staff')",
    "user.claims.groups.all(g, size(g) > 1)",
    "user.scopes.exists_one(s, s == 'openid')",
    "user.scopes.filter(s, s != 'openid') == ['evidence.raw.read']",
    "user.scopes.map(s, s + '!')[1] == 'openid!'",
    "user.scopes.map(s, s == 'openid', size(s)) == [6]",
    "user.claims.groups.exists(g, user.scopes.all(s, s != g))",
    // both sides of an error
    "resource.nope == 1 || true",
    "true || resource.nope == 1",
    "!(resource.nope == 1 && false)",
    "!(false && resource.nope == 1)",
    "resource.rows.exists(r, r.n == 2)",
    "!resource.rows.all(r, r.n == 1)",
    // the rest
    "path.office.matches('or') && !path.office.matches('^or$')",
    "path.office.lowerAscii() == 'NORTH'.lowerAscii()",
    "(path.doc == '7' ? 'yes' : 'no') == 'yes'",
    "{'north': 3}[path.office] == 3",
    "1 + 2 * 3 == 7 && 7 / 2 == 3 && 7 % 2 == 1 && 1.5 * 2.0 == 3.0 && -(1) == -1",
    "path.office + '/' + path.doc == 'north/7'",
    "['a'] + ['b'] == ['a', 'b'] && [1, 2] != [2, 1] && {'a': 1} == {'a': 1.0}",
    "'a' < 'b' && 'Z' < 'a' && 1 < 2u && 2.5 >= 2",
    "has(peer.id) && has(user.claims) && has(request.host)",
    "'\\u00e4' == 'ä' && r'\\n' != '\\n' && '''a'b''' == \"a'b\"",
];

#[test]
fn what_is_so_holds_and_its_opposite_does_not() {
    let request = Request::new();
    for text in TRUE {
        assert_eq!(request.holds(text), Ok(true), "{text}");
        assert_eq!(
            request.holds(&format!("!({text})")),
            Ok(false),
            "not {text}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_an_error_without_a_value() {
    let request = Request::new();
    for (text, said) in [
        ("resource.nope == 1", "`resource.nope` is absent"),
        (
            "resource.state.deep == 1",
            "`resource.state.deep` is absent",
        ),
        ("resource.rows[9] == 1", "`resource.rows[9]` is absent"),
        ("has(resource.nope.deep)", "`resource.nope.deep` is absent"),
        (
            "has(resource.state.deep)",
            "`resource.state.deep` is asked of what is no map",
        ),
        (
            "request.headers['cookie'] == []",
            "`request.headers[\"cookie\"]` is absent",
        ),
        (
            "request.headers['x-latin'] == []",
            "`request.headers[\"x-latin\"]` is not UTF-8",
        ),
        (
            "request.headers[path.doc] == []",
            "`request.headers` is not UTF-8",
        ),
        (
            "request.headers['accept'][2] == ''",
            "a list is indexed beyond its end",
        ),
        ("user.scopes[-1] == ''", "a list is indexed beyond its end"),
        ("{'a': 1}[path.doc] == 1", "a key is absent"),
        ("resource.rows.all(r, r.n > 0)", "a key is absent"),
        (
            "resource.state < 1",
            "`<` does not take values of these types",
        ),
        ("resource.size + 'a' == ''", "a value is of the wrong type"),
        (
            "resource.size.startsWith('a')",
            "`startsWith` does not take values of these types",
        ),
        (
            "resource.size.matches('a')",
            "`matches` does not take values of these types",
        ),
        ("resource.state", "the condition is neither true nor false"),
        ("int(path.office) == 1", "`int` does not take this value"),
        ("1 / (size(path.doc) - 1) == 1", "division by zero"),
        (
            "9223372036854775807 + size(path.doc) == 1",
            "a number is out of range",
        ),
        (
            "'a' in resource.size",
            "`in` does not take values of these types",
        ),
        (
            "resource.size.exists(x, true)",
            "a value is of the wrong type",
        ),
    ] {
        let error = request.holds(text).expect_err(text).to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn no_error_shows_what_a_request_holds() {
    let mut request = Request::new();
    let secret = "SECRET-1f0a";
    (request.headers).insert("authorization", HeaderValue::from_static("SECRET-1f0a"));
    request.resource = Some(json!({ "state": secret, "SECRET-key": { "list": [secret] } }));
    request.claims.insert("level".to_owned(), json!(secret));
    for text in [
        "request.headers['authorization'][0] < resource.nope",
        "int(request.headers['authorization'][0]) == 1",
        "{'a': 1}[request.headers['authorization'][0]] == 1",
        "resource[request.headers['authorization'][0]] == 1",
        "request.headers[user.claims.level] == []",
        "user.claims.level + 1 == 1",
        "-user.claims.level == 1",
        "user.claims.level * user.claims.level == 1",
        "user.claims.level && true",
        "user.claims.level",
        "user.claims.level.all(x, true)",
        "resource > 1",
        "[resource][user.claims.level] == 1",
        "resource.matches('a')",
        "user.claims.level ? true : false",
        "double(user.claims.level) == 1.0 || uint(user.claims.level) == 1u",
    ] {
        let error = request.holds(text).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("SECRET"), "{text}: {shown}");
        assert!(shown.len() < 400, "{text}: {shown}");
    }
}

#[test]
fn what_the_request_lacks_is_an_error_only_where_it_is_read() {
    let mut request = Request::new();
    request.peer = false;
    request.user = false;
    request.host = false;
    request.resource = None;
    for (text, said) in [
        ("peer.id == ''", "`peer.id` is absent"),
        ("peer.trust_domain == ''", "`peer.trust_domain` is absent"),
        ("user.subject == ''", "`user.subject` is absent"),
        ("'a' in user.scopes", "`user.scopes` is absent"),
        ("user.claims.a == 1", "`user.claims.a` is absent"),
        ("has(user.claims.a)", "`user.claims.a` is absent"),
        ("resource == 1", "`resource` is absent"),
        ("request.host == ''", "`request.host` is absent"),
    ] {
        let error = request.holds(text).expect_err(text).to_string();
        assert_eq!(error, said, "{text}");
    }
    let absent = "!has(peer.id) && !has(user.subject) && !has(user.claims) && !has(request.host)";
    assert_eq!(request.holds(absent), Ok(true));
    assert_eq!(request.holds("path.doc == '7' || resource.x"), Ok(true));
}

/// Every pair of true, false, error and a value that is no bool, as CEL defines it.
#[test]
fn logic_absorbs_an_error_on_either_side() {
    let request = Request::new();
    let sides = [
        ("resource.rows[0].n == 1", Some(true)),
        ("resource.public", Some(false)),
        ("resource.nope", None),
        ("resource.state", None),
    ];
    for (left, is_left) in sides {
        for (right, is_right) in sides {
            let and = match (is_left, is_right) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (is_left, is_right) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            for (operator, expected) in [("&&", and), ("||", or)] {
                let text = format!("{left} {operator} {right}");
                assert_eq!(request.holds(&text).ok(), expected, "{text}");
            }
        }
    }
}

#[test]
fn the_work_of_one_evaluation_is_bounded() {
    let mut request = Request::new();
    let many: Vec<Value> = (0..2_000).map(Value::from).collect();
    request.resource = Some(json!({ "many": many }));
    let pairs = "resource.many.all(a, [1, 2].all(b, a >= 0 && b > 0))";
    assert_eq!(request.holds(pairs), Ok(true));
    for text in [
        "resource.many.all(a, resource.many.all(b, a * b >= 0))",
        "resource.many.exists(a, resource.many.exists(b, a * b < 0))",
        "resource.many.exists_one(a, resource.many.exists_one(b, a * b < 0))",
        "size(resource.many.map(a, resource.many.map(b, a * b))) == 1",
        "size(resource.many.filter(a, resource.many.filter(b, a < b) == [])) == 1",
    ] {
        let begun = std::time::Instant::now();
        let error = request.holds(text).expect_err(text).to_string();
        assert!(error.contains("100000 steps"), "{text}: {error}");
        assert!(begun.elapsed().as_secs() < 20, "{text}");
    }

    let mut deep = json!(1);
    for _ in 0..1_000 {
        deep = json!([deep]);
    }
    request.resource = Some(deep);
    let error = request.holds("resource == [1]").unwrap_err().to_string();
    assert!(error.contains("steps"), "{error}");
}
