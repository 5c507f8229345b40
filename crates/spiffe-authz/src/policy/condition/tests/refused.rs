//! Texts that are no conditions: where, and what is said.

use super::*;

/// Text, line, column, a piece of the message.
const BAD: &[(&str, u32, u32, &str)] = &[
    ("", 1, 1, "empty"),
    (" // nothing\n", 1, 1, "empty"),
    // names
    ("foo == 1", 1, 1, "`foo` is no name"),
    (
        "resource.state == expired",
        1,
        19,
        "a text stands in quotes",
    ),
    ("true &&\n  foo", 2, 3, "`foo` is no name"),
    ("'ü' == foo", 1, 8, "`foo` is no name"),
    ("'ü' == path.foo", 1, 13, "captures `{foo}`"),
    (".path.doc == ''", 1, 2, "is no name"),
    ("peer.foo == ''", 1, 6, "it has `id`, `trust_domain`"),
    (
        "request.query == ''",
        1,
        9,
        "it has `method`, `path`, `host`, `headers`",
    ),
    ("user.name == ''", 1, 6, "it has `subject`"),
    ("has(peer.foo)", 1, 10, "no member `foo`"),
    ("request.host == 'A.test'", 1, 17, "in lower case"),
    ("request.host != 'a.test:443'", 1, 17, "without a port"),
    ("'a.test.' == request.host", 1, 1, "without a dot"),
    ("request.host in ['a.test', 'B.test']", 1, 28, "no request"),
    ("path == id", 1, 1, "`path` is no value"),
    ("'a' in path", 1, 5, "`path` is neither"),
    ("path['doc'] == ''", 1, 5, "path.NAME"),
    ("request == ''", 1, 1, "`request` is no value"),
    (
        "request.headers == {}",
        1,
        8,
        "`request.headers` is no value",
    ),
    (
        "size(request.headers) == 1",
        1,
        13,
        "`request.headers` is no value",
    ),
    (
        "request.headers.all(h, h == '')",
        1,
        20,
        "`request.headers` is none",
    ),
    // captures
    ("path.other == ''", 1, 6, "captured are `office`, `doc`"),
    ("path.draft == ''", 1, 6, "not every action"),
    ("id.sa == ''", 1, 4, "not every ID pattern"),
    ("id.doc == ''", 1, 4, "captured are `office`, `ns`"),
    ("has(path.doc)", 1, 4, "always there"),
    ("has(path.nope)", 1, 10, "captures `{nope}`"),
    ("has(id.ns)", 1, 4, "always there"),
    ("has(request.method)", 1, 4, "always there"),
    // headers
    (
        "request.headers['X-Tenant'] == []",
        1,
        17,
        "write `x-tenant`",
    ),
    ("request.headers.Accept == []", 1, 16, "write `accept`"),
    ("'X-A' in request.headers", 1, 1, "write `x-a`"),
    ("has(request.headers.Accept)", 1, 4, "write `accept`"),
    ("request.headers['host'] == []", 1, 17, "request.host"),
    ("'host' in request.headers", 1, 1, "request.host"),
    (
        "request.headers[':path'] == []",
        1,
        17,
        "no name of a header",
    ),
    (
        "request.headers[1] == []",
        1,
        17,
        "the name of a header is a text",
    ),
    (
        "1 in request.headers",
        1,
        1,
        "the name of a header is a text",
    ),
    ("request.headers['a'] == 'x'", 1, 22, "text in list"),
    (
        "request.headers['a'].startsWith('x')",
        1,
        16,
        "`startsWith` is asked of a text",
    ),
    // types
    ("path.doc", 1, 1, "true or false; this is a text"),
    ("1", 1, 1, "this is a whole number"),
    ("!!path.doc", 1, 1, "this is a text"),
    ("path.doc == 7", 1, 10, "int(text)"),
    ("7 != path.doc", 1, 3, "never equal"),
    ("path.doc == true", 1, 10, "never equal"),
    ("path.doc == null", 1, 10, "never equal"),
    ("path.doc < 7", 1, 10, "compares two numbers or two texts"),
    ("true < false", 1, 6, "compares two numbers or two texts"),
    ("[1] < [2]", 1, 5, "compares two numbers or two texts"),
    ("[1] == ['a']", 1, 5, "never equal"),
    (
        "path.doc && true",
        1,
        5,
        "each side of `&&` is true or false",
    ),
    ("true || 1", 1, 9, "each side of `||`"),
    ("!path.doc", 1, 6, "after `!`"),
    ("path.doc ? true : false", 1, 5, "before `?`"),
    ("true ? 1 : 'a'", 1, 6, "both sides of `:`"),
    ("1 + 1.5 == 2.5", 1, 3, "converted first"),
    ("1 + 1u == 2", 1, 3, "converted first"),
    ("path.doc + 1 == ''", 1, 10, "`+` does not take"),
    ("path.doc - 'a' == ''", 1, 10, "`-` does not take"),
    ("1.5 % 2.0 == 1.0", 1, 5, "`%` does not take"),
    ("-path.doc == ''", 1, 1, "after `-`"),
    ("-1u == 1u", 1, 1, "after `-`"),
    ("path.doc in [1, 2]", 1, 10, "has never a text in it"),
    ("1 in user.scopes", 1, 3, "has never a whole number"),
    ("'a' in path.doc", 1, 5, "text.contains(part)"),
    ("'a' in 1", 1, 5, "this is a whole number"),
    ("path.doc.x == 1", 1, 10, "a text has no member `x`"),
    ("path.doc[0] == 'a'", 1, 9, "a text cannot be indexed"),
    (
        "user.scopes['a'] == 'a'",
        1,
        13,
        "indexed with a whole number",
    ),
    ("{1: 2} == {}", 1, 2, "the key of a map is a text"),
    ("b'a' == path.doc", 1, 1, "as bytes"),
    // functions
    ("foo(1)", 1, 1, "`foo` is no function here"),
    ("path.doc.foo()", 1, 10, "`foo` is no function here"),
    (
        "startsWith(path.doc, 'a')",
        1,
        1,
        "called as `text.startsWith(text)`",
    ),
    (
        "path.doc.startsWith()",
        1,
        10,
        "called as `text.startsWith(text)`",
    ),
    (
        "path.doc.startsWith('a', 'b')",
        1,
        10,
        "called as `text.startsWith(text)`",
    ),
    ("path.doc.startsWith(1)", 1, 21, "`startsWith` takes a text"),
    ("(1).endsWith('a')", 1, 2, "`endsWith` is asked of a text"),
    ("size(1) == 1", 1, 6, "`size` counts"),
    ("int(user.scopes) == 1", 1, 9, "`int` does not take"),
    (
        "type(path.doc) == string",
        1,
        1,
        "`type` is no function here",
    ),
    ("dyn(1) == 1", 1, 1, "`dyn` is no function here"),
    (
        "duration('1s') < duration('2s')",
        1,
        1,
        "`duration` is no function",
    ),
    (
        "path.doc.replace('a', 'b') == ''",
        1,
        10,
        "`replace` is no function",
    ),
    ("path.doc.matches('(')", 1, 18, "no regular expression"),
    (
        "path.doc.matches('a{1000}{1000}')",
        1,
        18,
        "more than 262144 bytes",
    ),
    ("path.doc.matches(path.office)", 1, 22, "written out"),
    ("path.doc.matches('a' + 'b')", 1, 22, "written out"),
    ("path.doc.matches(1)", 1, 18, "written out"),
    ("has(path)", 1, 5, "has(value.member)"),
    // comprehensions
    ("path.doc.all(c, c == 'a')", 1, 13, "only a list"),
    (
        "user.scopes.all(s)",
        1,
        13,
        "called as `list.all(x, condition)`",
    ),
    (
        "user.scopes.all(s, s)",
        1,
        20,
        "held against what is true or false",
    ),
    (
        "user.scopes.filter(s, s)",
        1,
        23,
        "held against what is true or false",
    ),
    ("user.scopes.map(s, s)", 1, 1, "this is a list of texts"),
    ("user.scopes.all(s, s == 1)", 1, 22, "never equal"),
    ("user.scopes.all(path, path == 'a')", 1, 16, "another name"),
    (
        "user.scopes.all(s, user.scopes.all(s, true))",
        1,
        35,
        "another name",
    ),
    ("user.scopes.all(1, true)", 1, 17, "simple name"),
    (
        "user.scopes.all(a, user.scopes.all(b, user.scopes.all(c, c == a)))",
        1,
        54,
        "at most 2 deep",
    ),
    (
        "user.scopes.map(a, a).exists(b, b == '')",
        1,
        29,
        "what `map` gives",
    ),
    (
        "[user.scopes.map(a, a)].exists(b, true)",
        1,
        31,
        "what `map` gives",
    ),
    (
        "[path.doc + path.doc].exists(b, b == '')",
        1,
        11,
        "not joined",
    ),
    (
        "user.scopes.all(a, user.scopes.all(b, b + a == ''))",
        1,
        41,
        "not joined",
    ),
    (
        "user.scopes.all(s, s == '') && s == ''",
        1,
        32,
        "`s` is no name",
    ),
    // syntax
    ("path.doc = 'a'", 1, 10, "write `==`"),
    ("true & true", 1, 6, "write `&&`"),
    ("true | true", 1, 6, "write `||`"),
    ("true and true", 1, 6, "`&&`, not `and`"),
    ("true\nor true", 2, 1, "`||`, not `or`"),
    ("path.doc === 'a'", 1, 12, "write `==`"),
    ("true; false", 1, 5, "`;` is no part of CEL"),
    ("path.doc == “a”", 1, 13, "is no part of CEL"),
    ("path.`doc` == 'a'", 1, 6, "is no part of CEL"),
    ("path.doc == 'a", 1, 13, "no end"),
    ("path.doc == 'a\n'", 1, 13, "no end on its line"),
    ("path.doc == '''a'", 1, 13, "no end"),
    (r"path.doc == 'a\q'", 1, 15, "escape"),
    (r"path.doc == '\u12'", 1, 14, "escape"),
    ("(true", 1, 1, "never closed"),
    ("true)", 1, 5, "never opened"),
    ("(true]", 1, 6, "`)` is wanted"),
    ("1x == 1", 1, 1, "no number"),
    ("0x == 1", 1, 1, "no number"),
    ("1e == 1", 1, 1, "no number"),
    ("99999999999999999999 == resource.a", 1, 1, "invalid int"),
    ("resource.?a == 1", 1, 9, "unsupported syntax"),
    ("true &&", 1, 8, "ends too early"),
    ("&& true", 1, 1, "`&&` cannot stand here"),
    ("true true", 1, 6, "an operator is missing before `true`"),
    ("(true true)", 1, 7, "`true` stands where ')' is wanted"),
    ("true ? 1", 1, 9, "ends too early"),
    ("{'a' 1} == {}", 1, 6, "missing ':'"),
    ("path..doc", 1, 6, "no viable"),
    ("if == 1", 1, 1, "reserved"),
    ("a.b{c: 1} == 1", 1, 4, "no types to construct"),
    ("Thing{} == 1", 1, 6, "no types to construct"),
];

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let mut wrong = Vec::new();
    for (text, line, column, piece) in BAD {
        match compile(text) {
            Ok(_) => wrong.push(format!("{text:?} compiles")),
            Err(problem) => {
                let place = (problem.line, problem.column) == (*line, *column);
                if !place || !problem.message.contains(piece) || problem.message.is_empty() {
                    wrong.push(format!("{text:?}: {problem:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_rule_decides_what_can_be_named() {
    let bare = Scope::default();
    for (text, piece) in [
        ("user.subject == 'a'", "under `users`"),
        ("has(user.subject)", "under `users`"),
        ("id.ns == 'a'", "no ID patterns"),
        ("path.doc == 'a'", "no path of the rule captures"),
    ] {
        let problem = Condition::compile(text, &bare).unwrap_err();
        assert!(problem.message.contains(piece), "{text}: {problem:?}");
    }
    Condition::compile("peer.id == 'a' && request.method == 'GET'", &bare).unwrap();
}
