//! Requests: in `tests`, and as lines of JSON.

use http::Method;
use serde_json::json;

use super::super::case as line;
use super::{loaded, told};

#[test]
fn a_test_and_a_line_are_read_alike() {
    let test = r#"{"peer":"spiffe://example.org/a","request":"GET /a?b=c","headers":{"X-Tenant":["north","south"],"accept":"*/*"},"user":{"issuer":"https://id","subject":"s","scopes":["r","w"],"claims":{"level":3,"share":1.0,"on":null}},"resource":{"state":"open"}"#;
    let (id, case) = line(&format!("{test},\"id\":\"c1\"}}")).unwrap();
    assert_eq!(id, "c1");
    assert_eq!(case.peer.as_ref().unwrap().path(), "/a");
    assert_eq!(
        (case.method.clone(), case.target.as_str()),
        (Method::GET, "/a?b=c")
    );
    let tenants: Vec<_> = case.headers.get_all("x-tenant").iter().collect();
    assert_eq!(tenants, ["north", "south"]);
    assert_eq!(case.headers["accept"], "*/*");
    let user = case.user.clone().unwrap();
    assert_eq!(
        (user.issuer.as_str(), user.subject.as_str()),
        ("https://id", "s")
    );
    assert_eq!(user.scopes, ["r", "w"]);
    assert_eq!(
        serde_json::Value::Object(user.claims),
        json!({ "level": 3, "share": 1.0, "on": null })
    );
    assert_eq!(case.resource.as_ref().unwrap()["state"], "open");

    let yaml = format!("version: 1\nname: x\nrules: []\ntests: [ {test},\"expect\":\"deny\"}} ]\n");
    assert_eq!(loaded(&yaml).tests[0].case, case);
}

#[test]
fn what_may_be_left_out_is_nothing() {
    for text in [
        r#"{"id":"c","request":"grpc pkg.Service/Method"}"#,
        r#"{"id":"c","request":"grpc pkg.Service/Method","peer":null,"user":null,"resource":null,"headers":{}}"#,
    ] {
        let (_, case) = line(text).unwrap();
        assert_eq!(
            (case.method, case.target.as_str()),
            (Method::POST, "/pkg.Service/Method")
        );
        assert_eq!((case.peer, case.user, case.resource), (None, None, None));
        assert!(case.headers.is_empty());
    }
    let (_, case) = line(r#"{"id":"","request":"GET /","user":{"issuer":"i"}}"#).unwrap();
    let user = case.user.unwrap();
    assert!(user.subject.is_empty() && user.scopes.is_empty() && user.claims.is_empty());
}

#[test]
fn the_target_of_a_request_is_not_judged_here() {
    for target in ["/a//b", "/..", "a", "", "/a b", "http://a/b", "*"] {
        let text = json!({ "id": "c", "request": format!("GET {target}") }).to_string();
        assert_eq!(line(&text).unwrap().1.target, target);
    }
}

#[test]
fn a_line_that_is_no_request_is_refused_and_says_why() {
    let rows = [
        ("", "no line of JSON"),
        ("{", "no line of JSON"),
        ("[]", "a list stands here"),
        ("7", "`7` stands here"),
        (r#"{"id":"c","request":"GET /"} {}"#, "no line of JSON"),
        (r#"{"id":"c","request":"GET /"},"#, "no line of JSON"),
        (r#"{"request":"GET /"}"#, "without `id`"),
        (r#"{"id":"c"}"#, "without `request`"),
        (r#"{"id":7,"request":"GET /"}"#, "`7` is a number"),
        (
            r#"{"id":null,"request":"GET /"}"#,
            "nothing is written here",
        ),
        (r#"{"id":"c","request":"GET"}"#, "is no request"),
        (r#"{"id":"c","request":"G\u0000T /"}"#, "a token"),
        (r#"{"id":"c","request":7}"#, "`7` is a number"),
        (
            r#"{"id":"c","request":"GET /","expect":"allow"}"#,
            "no key `expect`",
        ),
        (
            r#"{"id":"c","request":"GET /","Peer":null}"#,
            "did you mean `peer`?",
        ),
        (r#"{"id":"c","id":"d","request":"GET /"}"#, "twice"),
        (
            r#"{"id":"c","request":"GET /","peer":"spiffe://example.org"}"#,
            "a path is missing",
        ),
        (
            r#"{"id":"c","request":"GET /","peer":"orders"}"#,
            "does not begin with `spiffe://`",
        ),
        (
            r#"{"id":"c","request":"GET /","peer":7}"#,
            "`7` is a number",
        ),
        (
            r#"{"id":"c","request":"GET /","headers":{"a":1}}"#,
            "`1` is a number",
        ),
        (
            r#"{"id":"c","request":"GET /","headers":{"a":"\u0007"}}"#,
            "no header has such a value",
        ),
        (
            r#"{"id":"c","request":"GET /","headers":["a"]}"#,
            "a list stands here",
        ),
        (
            r#"{"id":"c","request":"GET /","headers":null}"#,
            "nothing stands here",
        ),
        (
            r#"{"id":"c","request":"GET /","user":{}}"#,
            "without `issuer`",
        ),
        (
            r#"{"id":"c","request":"GET /","user":{"issuer":"i","claims":{"a":1,"a":2}}}"#,
            "twice",
        ),
        (
            r#"{"id":"c","request":"GET /","user":{"issuer":"i","scopes":"r"}}"#,
            "where a list is meant",
        ),
        (
            r#"{"id":"c","request":"GET /","resource":"open"}"#,
            "the text `open` stands here",
        ),
        (
            r#"{"id":"c","request":"GET /","resource":{"a":1e999}}"#,
            "no line of JSON",
        ),
    ];
    for (text, piece) in rows {
        let told = told(&line(text).expect_err(text));
        assert!(told.contains(piece), "{text}\n{told}");
    }
}

#[test]
fn a_line_is_within_limits() {
    let deep = format!(
        r#"{{"id":"c","request":"GET /","resource":{{"a":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(told(&line(&deep).unwrap_err()).contains("no line of JSON"));
    let deep = format!(
        r#"{{"id":"c","request":"GET /","resource":{{"a":{}1{}}}}}"#,
        "[".repeat(65),
        "]".repeat(65)
    );
    assert!(told(&line(&deep).unwrap_err()).contains("nested too deeply"));
    let wide = format!(
        r#"{{"id":"c","request":"GET /","resource":{{"a":[{}1]}}}}"#,
        "1,".repeat(2_000_000)
    );
    assert!(told(&line(&wide).unwrap_err()).contains("too many values"));
    let headers: Vec<_> = (0..70_000).map(|n| format!(r#""h{n}":"v""#)).collect();
    let many = format!(
        r#"{{"id":"c","request":"GET /","headers":{{{}}}}}"#,
        headers.join(",")
    );
    assert!(told(&line(&many).unwrap_err()).contains("as many headers"));
    let long = format!(r#"{{"id":"{}","request":"GET /"}}"#, "c".repeat(9 << 20));
    assert!(told(&line(&long).unwrap_err()).contains("8 MiB"));
}
