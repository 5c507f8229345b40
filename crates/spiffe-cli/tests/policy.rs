//! `spiffectl policy`, as a process: good answers, and what hostile files and words make of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const POLICY: &str = r#"version: 1
name: orders
trust_domains: { example.org: {} }
principals:
  shop: spiffe://example.org/ns/shop/sa/api
users:
  staff: { issuer: https://id.example.org, audiences: [orders], bound_to: azp }
rules:
  - { name: read, allow: ["GET /orders/{id}"], from: [shop] }
  - { name: pay, allow: ["POST /orders/{id}/payment", "grpc orders.v1.Orders/Pay"], from: [shop], user: { issuer: staff, scopes: [pay] } }
  - { name: open, allow: ["DELETE /orders/{id}"], from: [shop], when: resource.state == "open" }
  - { name: tenants, allow: ["PUT /orders/{id}"], from: [shop], when: '"x-tenant" in request.headers && request.headers["x-tenant"] == ["north", "south"]' }
  - { name: later, deny: ["* /orders/archive"], from: [shop], shadow: true }
  - { name: trial, allow: ["PATCH /orders/{id}"], from: [shop], expires: 2030-01-01 }
tests:
  - { peer: spiffe://example.org/ns/shop/sa/api, request: GET /orders/7, expect: allow, rule: read }
  - { name: before, peer: spiffe://example.org/ns/shop/sa/api, request: PATCH /orders/7, expect: allow }
"#;

const SHOP: &str = "spiffe://example.org/ns/shop/sa/api";

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Status, standard output and standard error of `spiffectl policy`, which says nothing that a terminal
/// obeys, whatever it is given.
fn run(arguments: &[&str]) -> (i32, String, String) {
    fed(arguments, b"")
}

fn fed(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_spiffectl"))
        .env_clear()
        .arg("policy")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read all.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    let obeyed = |sign: char| {
        (sign.is_control() && sign != '\n') || ('\u{202a}'..='\u{202e}').contains(&sign)
    };
    assert!(!out.contains(obeyed), "{out:?}");
    assert!(!err.contains(obeyed), "{err:?}");
    (output.status.code().unwrap(), out, err)
}

#[test]
fn check_is_content_or_says_what_looks_wrong_and_where() {
    let scratch = Scratch::new();
    let good = scratch.file("good.yaml", POLICY.replace(", shadow: true", ""));
    assert_eq!(
        run(&["check", &good, "--strict"]),
        (0, format!("{good}: nothing to say\n"), String::new())
    );

    let file = scratch.file("policy.yaml", POLICY);
    let (status, out, err) = run(&["check", &file]);
    assert_eq!((status, err.as_str()), (0, ""), "a warning is no failure");
    let lines: Vec<_> = out.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{file}:13:5: warning[endless-shadow]: `later`")),
        "{out}"
    );
    assert!(
        lines[1].starts_with("    13 |   - { name: later, deny:"),
        "{out}"
    );
    assert_eq!(lines[2], "       |     ^");

    let (status, out, err) = run(&["check", &file, "--strict"]);
    assert!(
        status == 1 && out.contains("error[endless-shadow]") && err.contains("1 warning"),
        "{out}{err}"
    );

    let (status, out, _) = run(&["check", &file, "--format", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &found["file"]), (0, &json!(file)));
    let lint = &found["findings"][0];
    assert_eq!(
        (
            &lint["kind"],
            &lint["severity"],
            &lint["line"],
            &lint["column"],
            &lint["rule"]
        ),
        (
            &json!("endless-shadow"),
            &json!("warning"),
            &json!(13),
            &json!(5),
            &json!("later")
        )
    );
}

#[test]
fn check_holds_a_policy_against_routes() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY.replace(", shadow: true", ""));
    let routes = scratch.file(
        "routes.json",
        r#"[{"method":"GET","path":"/orders/{id}"},{"method":"GET","path":"/orders/special"},{"method":"GET","path":"/healthz","by_policy":true},{"method":"*","path":"/in-code","by_policy":false}]"#,
    );
    let (status, out, _) = run(&["check", &file, "--routes", &routes]);
    assert_eq!(status, 0);
    for expected in [
        format!("{file}:9:27: warning[other-route]"),
        format!("{file}:10:5: warning[no-route]: `pay`"),
        format!("{file}: warning[uncovered-route]: no rule allows anybody `GET /healthz`"),
    ] {
        assert!(out.contains(&expected), "{expected}\n{out}");
    }
    assert!(!out.contains("in-code"), "{out}");

    for bad in [
        "{",
        "{}",
        r#"[{"method":"GET"}]"#,
        r#"[{"method":"GET","path":"/","x":1}]"#,
    ] {
        let bad = scratch.file("bad.json", bad);
        let (status, _, err) = run(&["check", &file, "--routes", &bad]);
        assert!(status == 2 && err.contains(&format!("{bad}:1:")), "{err}");
    }
    assert_eq!(run(&["check", &file, "--routes", "/nowhere"]).0, 2);
}

#[test]
fn a_policy_that_does_not_load_is_shown_where_it_is_wrong() {
    let scratch = Scratch::new();
    let text = POLICY
        .replace("from: [shop], shadow", "form: [shop], shadow")
        .replace("id}\"], from: [shop] }", "id}\"], from: [shap] }");
    let file = scratch.file("policy.yaml", text);
    for command in ["check", "test"] {
        let (status, out, err) = run(&[command, &file]);
        assert_eq!((status, out.as_str()), (2, ""));
        for expected in [
            format!("{file}:9:"),
            format!("{file}:13:"),
            "did you mean `shop`".into(),
            "    13 |".into(),
            "^\n".into(),
        ] {
            assert!(err.contains(&expected), "{expected}\n{err}");
        }
    }
    let (status, out, err) = run(&["check", &file, "--format", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert!(
        status == 2 && found["findings"].as_array().unwrap().len() >= 2,
        "{out}{err}"
    );
    assert_eq!(
        (&found["findings"][0]["kind"], &found["findings"][0]["line"]),
        (&json!("load"), &json!(9))
    );
}

#[test]
fn test_tells_what_failed_with_its_place() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    assert_eq!(
        run(&["test", &file, "--now", "2029-12-31"]),
        (0, format!("{file}: 2 passed, 0 failed\n"), String::new())
    );

    let (status, out, err) = run(&["test", &file, "--now", "2030-01-01T00:00:00Z"]);
    assert_eq!(
        (status, err.as_str()),
        (1, "spiffectl: 1 of 2 tests failed\n")
    );
    assert!(
        out.starts_with(&format!(
            "{file}:17:5: `before`: PATCH /orders/7: expected allow, got deny (default)\n    17 |"
        )),
        "{out}"
    );
    assert!(
        out.ends_with(&format!("{file}: 1 passed, 1 failed\n")),
        "{out}"
    );

    let good = scratch.file("good.yaml", POLICY.replace("- { name: before", "#"));
    let bad = scratch.file("bad.yaml", "version: 2");
    let (status, out, err) = run(&["test", &bad, &good, &file, "--now", "2031-01-01"]);
    assert_eq!(status, 2, "what cannot be used comes before what fails");
    assert!(
        out.contains(&format!("{good}: 1 passed"))
            && out.contains(&format!("{file}: 1 passed, 1 failed")),
        "{out}"
    );
    assert!(err.contains(&format!("{bad}:1:")), "{err}");
    assert_eq!(run(&["test", &file, "--now", "tomorrow"]).0, 2);
}

#[test]
fn a_policy_for_every_trust_domain_asks_for_one() {
    let scratch = Scratch::new();
    let text = "version: 1\nname: own\nrules:\n  - { name: a, allow: [GET /a], from: ['own:/ns/a'] }\ntests:\n  - { peer: spiffe://td/ns/a, request: GET /a, expect: allow }\n";
    let file = scratch.file("own.yaml", text);
    let requests = scratch.file(
        "requests.jsonl",
        "{\"id\":\"1\",\"request\":\"GET /a\",\"peer\":\"spiffe://td/ns/a\"}\n",
    );
    let ask = ["--request", "GET /a", "--peer", "spiffe://td/ns/a"];
    for arguments in [
        vec!["check", &file],
        vec!["test", &file],
        [&["explain", &file][..], &ask].concat(),
        vec!["eval", &file, "--requests", &requests],
        vec!["diff", &file, &file],
    ] {
        let (status, _, err) = run(&arguments);
        assert!(
            status == 2 && err.contains("say which it is"),
            "{arguments:?} {err}"
        );
        let own = [&arguments[..], &["--trust-domain", "td"]].concat();
        assert_eq!(run(&own).0, 0, "{arguments:?}");
        let bad = [&arguments[..], &["--trust-domain", "No Domain"]].concat();
        assert_eq!(run(&bad).0, 2, "{arguments:?}");
    }
    let (status, out, _) = run(&["graph", &file, "--format", "markdown"]);
    assert!(
        status == 0 && out.contains("`own:/ns/a`"),
        "a picture needs none: {out}"
    );
}

#[test]
fn explain_names_the_rule_and_what_came_close() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    let explain = |arguments: &[&str]| {
        let all = [
            &["explain", &file, "--now", "2029-01-01", "--request"],
            arguments,
        ]
        .concat();
        let (status, out, err) = run(&all);
        assert_eq!(status, 0, "{err}");
        out
    };
    let out = explain(&["GET /orders/7", "--peer", SHOP]);
    assert!(
        out.starts_with("allow (200, rule) by rule `read`\n"),
        "{out}"
    );
    let out = explain(&["GET /orders/7"]);
    assert!(
        out.starts_with("deny (401, no_identity) by no rule\n"),
        "{out}"
    );
    assert!(
        out.contains("came close: `read` (allow, line 9): caller: the request has no identity"),
        "{out}"
    );

    let out = explain(&["GET /orders/archive", "--peer", SHOP]);
    assert!(
        out.contains("with what is in shadow: deny by rule `later`")
            && out.contains("matches as well: `later` (deny, in shadow, line 13)"),
        "{out}"
    );

    let user = format!(
        r#"{{"issuer":"https://id.example.org","subject":"ada","claims":{{"aud":"orders","azp":"{SHOP}"}}}}"#
    );
    let pay = ["grpc orders.v1.Orders/Pay", "--peer", SHOP, "--user", &user];
    let out = explain(&pay);
    assert!(
        out.contains(
            "came close: `pay` (allow, line 10): user: the end user lacks the scope `pay`"
        ),
        "{out}"
    );
    let with_scope = user.replace("\"claims\"", "\"scopes\":[\"pay\"],\"claims\"");
    assert!(
        explain(&[&pay[..3], &["--user", &with_scope]].concat())
            .starts_with("allow (200, rule) by rule `pay`")
    );
    let stranger = user.replace("https://id.example.org", "https://id.example.com");
    assert!(
        explain(&[&pay[..3], &["--user", &stranger]].concat())
            .starts_with("deny (401, bad_user) by no rule: ")
    );

    let put = [
        "PUT /orders/7",
        "--peer",
        SHOP,
        "--header",
        "X-Tenant: north",
        "--header",
        "x-tenant:south",
    ];
    assert!(explain(&put).starts_with("allow (200, rule) by rule `tenants`"));
    assert!(explain(&put[..5]).contains("came close: `tenants` (allow, line 12): when: "));

    let delete = ["DELETE /orders/7", "--peer", SHOP];
    let out = explain(&delete);
    assert!(
        out.starts_with("deny (403, condition_error)")
            && out.contains("`resource.state` is absent"),
        "{out}"
    );
    let open = [&delete[..], &["--resource", r#"{"state":"open"}"#]].concat();
    assert!(explain(&open).starts_with("allow (200, rule) by rule `open`"));
    assert!(
        explain(&["GET /orders/../x", "--peer", SHOP])
            .starts_with("deny (400, bad_request) by no rule: the path has a dot segment")
    );
    assert!(explain(&["PATCH /orders/7", "--peer", SHOP]).starts_with("allow"));

    for bad in [
        vec!["GET /", "--peer", "spiffe://example.org"],
        vec!["GET"],
        vec!["GET /", "--user", "{"],
        vec!["GET /", "--user", r#"null,"peer":null"#],
        vec!["GET /", "--user", r#"{"issuer":"a","issuer":"b"}"#],
        vec!["GET /", "--resource", "7"],
        vec!["GET /", "--header", "x"],
        vec!["GET /", "--header", "a b: c"],
        vec!["GET /", "--header", "a: \u{1b}[2J\n"],
    ] {
        let (status, out, err) = run(&[&["explain", &file, "--request"], &bad[..]].concat());
        assert!(
            status == 2 && out.is_empty() && !err.is_empty(),
            "{bad:?} {out} {err}"
        );
    }
}

#[test]
fn eval_writes_a_line_for_a_line_and_stops_at_what_it_cannot_use() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    let good = format!(
        "{}\n{}\r\n{}",
        json!({"id": "a", "peer": SHOP, "request": "GET /orders/archive", "headers": {"X-A": ["b"]}, "user": null, "resource": null}),
        json!({"id": "b", "peer": null, "request": "grpc orders.v1.Orders/Pay"}),
        json!({"id": "c", "peer": SHOP, "request": "G@T /orders/7"}),
    );
    let expected = concat!(
        r#"{"id":"a","decision":"allow","status":200,"rule":"read","reason":"rule","shadow":{"decision":"deny","rule":"later"}}"#,
        "\n",
        r#"{"id":"b","decision":"deny","status":401,"rule":null,"reason":"no_identity","shadow":{"decision":"deny","rule":null}}"#,
        "\n",
        r#"{"id":"c","decision":"deny","status":400,"rule":null,"reason":"bad_request","shadow":{"decision":"deny","rule":null}}"#,
        "\n",
    );
    let requests = scratch.file("requests.jsonl", &good);
    let from_file = run(&["eval", &file, "--requests", &requests]);
    assert_eq!(from_file, (0, expected.to_owned(), String::new()));
    for standard in ["-", "/dev/stdin"] {
        assert_eq!(
            fed(&["eval", &file, "--requests", standard], good.as_bytes()),
            from_file,
            "{standard}"
        );
    }

    let line = r#"{"id":"a","request":"GET /"}"#;
    for bad in [
        r#"{"id":"a","request":"GET /","pear":null}"#,
        r#"{"id":"a","request":"GET /","peer":"spiffe://example.org"}"#,
        r#"{"id":"a","request":"GET"}"#,
        r#"{"id":"a"}"#,
        r#"{"id":"a","id":"b","request":"GET /"}"#,
        "",
        "[]",
        "{\"id\":\"\u{1b}[2J\u{202e}\",\"request\":\"GET /\",\"\u{1b}[2J\":1}",
        "\u{0}\u{1b}]0;x\u{7}",
    ] {
        let requests = scratch.file("requests.jsonl", format!("{line}\n{bad}\n{line}\n"));
        let (status, out, err) = run(&["eval", &file, "--requests", &requests]);
        assert_eq!((status, out.lines().count()), (2, 1), "{bad}: {out}{err}");
        assert!(
            err.starts_with(&format!("spiffectl: {requests}:2")),
            "{bad}: {err}"
        );
    }
    let requests = scratch.file(
        "binary.jsonl",
        [b"\xff\xfe\x00\x1b\n".as_slice(), line.as_bytes()].concat(),
    );
    let (status, out, err) = run(&["eval", &file, "--requests", &requests]);
    assert!(
        status == 2
            && out.is_empty()
            && err.contains(&format!("{requests}:1: the line is not UTF-8")),
        "{err}"
    );
    assert_eq!(run(&["eval", &file, "--requests", "/nowhere"]).0, 2);
    assert_eq!(run(&["eval", &file, "--requests", "/"]).0, 2);
}

#[test]
fn a_line_without_an_end_is_refused_before_it_is_held() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    let requests = scratch.path("long.jsonl");
    // Sparse: as large as a disk, and nothing on it.
    File::create(&requests).unwrap().set_len(8 << 30).unwrap();
    let requests = requests.to_str().unwrap();
    let (status, out, err) = run(&["eval", &file, "--requests", requests]);
    assert!(
        status == 2 && out.is_empty() && err.contains(":1: the line has more than"),
        "{err}"
    );
}

#[test]
fn diff_tells_both_ways() {
    let scratch = Scratch::new();
    let old = scratch.file("old.yaml", POLICY);
    let new = scratch.file(
        "new.yaml",
        POLICY
            .replace("GET /orders/{id}", "GET,POST /orders")
            .replace("2030-01-01", "2031-01-01"),
    );
    let (status, out, _) = run(&["diff", &old, &new, "--now", "2029-01-01"]);
    assert_eq!(status, 0);
    for expected in [
        format!("allow -> deny: GET /orders/any by {SHOP} (shop)\n"),
        format!("deny -> allow: POST /orders by {SHOP} (shop)\n"),
        "depends (allowed until 2030-01-01T00:00:00Z) -> depends (allowed until 2031-01-01T00:00:00Z): PATCH".to_owned(),
    ] {
        assert!(out.contains(&expected), "{expected}\n{out}");
    }
    let (status, out, _) = run(&["diff", &old, &old]);
    assert_eq!((status, out.as_str()), (0, "no decision changes\n"));
    assert_eq!(run(&["diff", &old, "/nowhere"]).0, 2);
}

#[test]
fn graph_draws_three_ways() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    for (format, expected) in [
        ("svg", "<svg "),
        ("dot", "digraph "),
        ("markdown", "# orders"),
    ] {
        let (status, out, _) = run(&["graph", &file, "--format", format]);
        assert!(status == 0 && out.starts_with(expected), "{out}");
    }
    assert_eq!(run(&["graph", &file, "--format", "png"]).0, 2);
    assert_eq!(run(&["graph", &file]).0, 2);
}

#[test]
fn graph_draws_the_rules_in_code_of_a_service() {
    let scratch = Scratch::new();
    let file = scratch.file("policy.yaml", POLICY);
    let routes = scratch.file(
        "routes.json",
        r#"[
            { "method": "POST", "path": "/orders.v1.Orders/Pay", "by_policy": true },
            { "method": "POST", "path": "/orders.v1.Orders/Create", "by_policy": false,
              "rule": { "ids": ["spiffe://example.org/ns/batch/**"], "principals": ["shop", "nobody"] } },
            { "method": "POST", "path": "/orders.v1.Orders/List", "by_policy": false,
              "rule": { "authenticated": "any workload may", "denied": ["spiffe://example.org/ns/old/**"] } }
        ]"#,
    );
    let graph = |format| run(&["graph", &file, "--routes", &routes, "--format", format]);
    let (status, table, _) = graph("markdown");
    assert_eq!(status, 0);
    let line = |action: &str, caller: &str| {
        let mut lines = table.lines();
        lines.any(|line| line.contains(action) && line.contains(caller))
    };
    let (create, list) = (
        "`POST /orders.v1.Orders/Create`",
        "`POST /orders.v1.Orders/List`",
    );
    assert!(line(create, "`example.org/ns/batch/**`"), "{table}");
    assert!(
        line(create, "`shop`") && line(create, "`nobody`"),
        "{table}"
    );
    assert!(line(list, "`authenticated`"), "{table}");
    assert!(line(list, "`example.org/ns/old/**`"), "{table}");
    assert!(
        !line("`POST /orders.v1.Orders/Pay`", ""),
        "the policy speaks of that one: {table}"
    );
    assert!(
        graph("svg")
            .1
            .contains("in code: POST /orders.v1.Orders/Create")
    );
    assert!(
        graph("dot")
            .1
            .contains("in code: POST /orders.v1.Orders/Create")
    );

    let bad = scratch.file(
        "bad.json",
        r#"[{ "method": "GET", "path": "/", "rule": { "who": [] } }]"#,
    );
    assert_eq!(
        run(&["graph", &file, "--routes", &bad, "--format", "svg"]).0,
        2
    );
}

#[test]
fn hostile_files_are_refused_by_every_command() {
    let scratch = Scratch::new();
    let large = scratch.path("large.yaml");
    let mut writer = File::create(&large).unwrap();
    let piece = "# a comment that is as good as any other\n".repeat(25_600);
    for _ in 0..100 {
        writer.write_all(piece.as_bytes()).unwrap();
    }
    drop(writer);
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0])
        .collect();
    let huge_line = format!("version: 1\nname: {}\nrules: [", "x".repeat(3_000_000));
    let escapes = "version: 1\nname: \"a\\e[2J\"\n\"\\e]0;x\\a\": 1\nrules:\n  - { name: \"\\u202e\", allow: [\"\\e[2J\"], from: [a\u{85}b] }\n";
    let files = [
        "/nowhere/policy.yaml".to_owned(),
        scratch.0.path().to_str().unwrap().to_owned(),
        large.to_str().unwrap().to_owned(),
        scratch.file("garbage.yaml", &garbage),
        scratch.file("huge.yaml", huge_line),
        scratch.file("escapes.yaml", escapes),
        scratch.file("controls.yaml", "version: 1\nname: \u{1b}[2J\u{9b}2J\n"),
        scratch.file("empty.yaml", ""),
        scratch.file("a\u{1b}[2J.yaml", "version: 3"),
    ];
    let requests = scratch.file("requests.jsonl", "");
    for file in &files {
        for arguments in [
            vec!["check", file],
            vec!["test", file],
            vec!["explain", file, "--request", "GET /"],
            vec!["eval", file, "--requests", &requests],
            vec!["diff", file, file],
            vec!["graph", file, "--format", "svg"],
        ] {
            let (status, out, err) = run(&arguments);
            assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {err}");
            assert!(
                err.starts_with("spiffectl: ") && err.len() < 20_000,
                "{} {err}",
                err.len()
            );
        }
    }
    let (_, _, err) = run(&["check", large.to_str().unwrap()]);
    assert!(err.contains("8 MiB"), "{err}");
}

#[test]
fn names_of_a_good_policy_stay_names() {
    let scratch = Scratch::new();
    let text = "version: 1\nname: '</title><script>alert(1)</script>\"; x -> y'\ntrust_domains: { td: {} }\nprincipals:\n  '|<b>`a`': spiffe://td/ns/a/sa/b\nrules:\n  - { name: \"]]><x>&amp;\", allow: [\"GET /<img src=x>\"], from: ['|<b>`a`'], because: '<i>|' }\n";
    let file = scratch.file("policy.yaml", text);
    let (status, svg, err) = run(&["graph", &file, "--format", "svg"]);
    assert_eq!(status, 0, "{err}");
    for forbidden in ["<script", "<b>", "<img", "<x>", "<i>"] {
        assert!(!svg.contains(forbidden), "{forbidden}\n{svg}");
    }
    assert!(
        svg.contains("&lt;/title&gt;&lt;script&gt;") && svg.contains("&amp;amp;"),
        "{svg}"
    );
    let (_, dot, _) = run(&["graph", &file, "--format", "dot"]);
    assert!(
        dot.starts_with("digraph \"</title><script>alert(1)</script>\\\"; x -> y\" {"),
        "{dot}"
    );
    let (_, markdown, _) = run(&["graph", &file, "--format", "markdown"]);
    let row = markdown.lines().last().unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    assert!(
        row.contains("`` \\|<b>`a` ``") && row.contains("\\<i\\>\\|"),
        "{row}"
    );
}
