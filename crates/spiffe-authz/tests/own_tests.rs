//! Policies that bring their own tests along, and what becomes of tests that fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;

use spiffe_authz::policy::review;

mod documents {
    spiffe_authz::policy_tests!("tests/policies/documents.yaml");
}

mod own {
    spiffe_authz::policy_tests!("tests/policies/own.yaml", own = "example.org");
}

/// The rows of the policy table and of the authorization matrix.
#[test]
fn every_row_has_a_test() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies/documents.yaml");
    let text = fs::read_to_string(file).unwrap();
    for row in (27..=32).chain(105..=110) {
        let name = format!("name: S4-{row}");
        let named = text.lines().filter_map(|line| line.split_once(&name));
        let mut rests = named.map(|(_, rest)| rest);
        assert!(
            rests.any(|rest| rest.is_empty() || rest.starts_with(',')),
            "S4-{row}"
        );
    }
}

#[test]
fn every_change_of_a_rule_is_noticed_by_a_test() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies/documents.yaml");
    let text = fs::read_to_string(file).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let changed = scratch.path().join("documents.yaml");
    for (was, is) in [
        ("    when: resource.tenant == path.tenant\n", "\n"),
        (
            "    user: { issuer: staff, scopes: [evidence.raw.read] }\n",
            "",
        ),
        (", scopes: [evidence.raw.read] }", " }"),
        (" && resource.state == \"expired_draft\"", ""),
        ("bound_to: actor", "bound_to: none"),
        ("resource.break_glass == \"active\"", "true"),
        ("resource.regulated && ", "true && "),
        (
            "    deny: [\"* /**\"]\n    from: [staging]",
            "    deny: [\"* /**\"]\n    from: [support-tool]",
        ),
        (
            "    from: [case-api]",
            "    from: authenticated\n    because: a test",
        ),
    ] {
        assert!(text.contains(was), "{was}");
        fs::write(&changed, text.replacen(was, is, 1)).unwrap();
        let failed = review::run_file(&changed, None).unwrap_err().to_string();
        assert!(failed.contains("tests failed"), "{was} -> {is}: {failed}");
    }
}

#[test]
fn what_failed_is_told_with_its_place() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("policy.yaml");
    let text = "
version: 1
name: health
rules:
  - { name: health, allow: ['GET /healthz'], from: anyone, because: probes }
  - { name: ready, allow: ['GET /healthz'], from: anyone, because: probes }
tests:
  - { request: GET /healthz, expect: allow, rule: health }
  - { name: wrong rule, request: GET /healthz, expect: allow, rule: ready }
  - { request: GET /admin, expect: allow }
  - { request: GET /a/../healthz, expect: allow }
";
    fs::write(&file, text).unwrap();
    let failed = review::run_file(&file, None).unwrap_err().to_string();
    let place = file.display();
    assert_eq!(
        failed.lines().collect::<Vec<_>>(),
        [
            format!("{place}: 3 of 4 tests failed"),
            format!(
                "{place}:9:5: `wrong rule`: GET /healthz: expected allow by `ready`, got allow by `health`"
            ),
            format!("{place}:10:5: test 3: GET /admin: expected allow, got deny (no_identity)"),
            format!(
                "{place}:11:5: test 4: GET /a/../healthz: expected allow, got deny (bad_request): the path has a dot segment"
            ),
        ]
    );

    fs::write(&file, "{ version: 1, name: empty, rules: [] }").unwrap();
    let failed = review::run_file(&file, None).unwrap_err().to_string();
    assert!(failed.contains("has no `tests`"), "{failed}");
    let failed = review::run_file(&file, Some("Not A Domain"))
        .unwrap_err()
        .to_string();
    assert!(failed.contains("Not A Domain"), "{failed}");
    let failed = review::run_file(scratch.path().join("nowhere.yaml"), None)
        .unwrap_err()
        .to_string();
    assert!(failed.contains("cannot read"), "{failed}");
}
