//! Schemas with rules, compiled without `protoc`, and what is made of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use spiffe_authz_build::{Error, INCLUDE, Rules};

/// The descriptor set of a schema that holds these methods.
fn schema(methods: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "syntax = \"proto3\";\npackage shop.v1;\nimport \"spiffe/authz/v1/authz.proto\";\n\
         message Order {{}}\nservice OrderBook {{\n{methods}\n}}\n"
    );
    std::fs::write(directory.path().join("orders.proto"), text).unwrap();
    let mut compiler = protox::Compiler::new([directory.path(), INCLUDE.as_ref()]).unwrap();
    compiler
        .include_imports(true)
        .open_file("orders.proto")
        .unwrap();
    compiler.encode_file_descriptor_set()
}

fn method(name: &str, option: &str) -> String {
    let option = match option {
        "" => String::new(),
        option => format!("option (spiffe.authz.v1.permit) = {{ {option} }};"),
    };
    format!("rpc {name}(Order) returns (Order) {{ {option} }}")
}

fn generate(option: &str) -> Result<String, Error> {
    Rules::new().generate(&schema(&method("Create", option)))
}

#[test]
fn each_kind_of_rule_becomes_its_value() {
    for (option, value) in [
        (
            r#"id: "spiffe://example.org/a" id: "spiffe://example.org/b/**""#,
            r#"Callers { ids: &["spiffe://example.org/a", "spiffe://example.org/b/**"], principals: &[] }"#,
        ),
        (
            r#"principal: "payments""#,
            r#"Callers { ids: &[], principals: &["payments"] }"#,
        ),
        (
            r#"authenticated_because: "say \"why\"""#,
            r#"Authenticated { because: "say \"why\"" }"#,
        ),
        (
            r#"anyone_because: "probes""#,
            r#"Anyone { because: "probes" }"#,
        ),
        ("policy: true", "Policy"),
    ] {
        let code = generate(option).unwrap();
        let expected = format!("RpcRule::new(\"Create\", ::spiffe_authz::grpc::Permit::{value})");
        assert!(code.contains(&expected), "{expected}\n{code}");
        assert!(code.contains("pub const ORDER_BOOK: "), "{code}");
        assert!(
            code.contains("ServiceRules::new(\"shop.v1.OrderBook\""),
            "{code}"
        );
    }
}

#[test]
fn a_method_without_a_rule_fails_the_build_and_so_does_one_that_cannot_be() {
    for (option, why) in [
        (
            "",
            "it has no rule that says who may call it; write one of\n",
        ),
        ("policy: false", "its rule names nobody; write one of\n"),
        (r#"id: "example.org/a""#, "`example.org/a` is no ID pattern"),
        (r#"id: "spiffe://example.org/pay*""#, "whole segment"),
        (r#"anyone_because: " ""#, "the reason is blank"),
        (r#"authenticated_because: " ""#, "the reason is blank"),
        (r#"principal: " ""#, "a principal has a name"),
        (
            r#"id: "spiffe://example.org/a" policy: true"#,
            "either names callers",
        ),
        (
            r#"authenticated_because: "x" anyone_because: "y""#,
            "either names callers",
        ),
    ] {
        let error = generate(option).unwrap_err();
        let problems: Vec<_> = error.problems().collect();
        assert_eq!(problems.len(), 1, "{option}: {error}");
        let start = "orders.proto: shop.v1.OrderBook/Create: ";
        assert!(
            problems.iter().all(|problem| problem.starts_with(start)),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{option}: {error}");
    }
}

#[test]
fn only_the_services_that_are_named_need_rules() {
    let schema = schema(&method("Create", ""));
    assert!(Rules::new().generate(&schema).is_err());
    let error = Rules::new()
        .service("shop.v1.Orders")
        .generate(&schema)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the schema has no service `shop.v1.Orders`"),
        "{error}"
    );
    assert!(
        Rules::new()
            .service("shop.v1.OrderBook")
            .generate(&schema)
            .is_err()
    );
}

#[cfg(feature = "policy")]
#[test]
fn what_a_policy_file_covers_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let policy = "version: 1\nname: shop\ntrust_domains: { example.org: {} }\nrules:\n  \
        - { name: create, allow: [\"grpc shop.v1.OrderBook/Create\"], from: [\"spiffe://example.org/a\"] }\n  \
        - { name: list, deny: [\"grpc shop.v1.OrderBook/List\"], from: [\"spiffe://example.org/b\"] }\n";
    std::fs::write(&file, policy).unwrap();
    let rules = || Rules::new().policy_file(&file).unwrap();

    let code = rules().generate(&schema(&method("Create", ""))).unwrap();
    assert!(
        code.contains("RpcRule::new(\"Create\", ::spiffe_authz::grpc::Permit::Policy)"),
        "{code}"
    );
    let both = method("Create", "") + &method("List", "") + &method("Show", "");
    let error = rules().generate(&schema(&both)).unwrap_err().to_string();
    assert!(!error.contains("/Create:"), "{error}");
    assert!(
        error.contains("/List:") && error.contains("/Show:"),
        "a deny covers nothing: {error}"
    );

    std::fs::write(&file, "no policy").unwrap();
    let error = Rules::new().policy_file(&file).unwrap_err();
    assert!(error.to_string().contains("policy.yaml:1:"), "{error}");
}
