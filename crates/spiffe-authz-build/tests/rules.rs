//! Schemas with rules, compiled without `protoc`, and what is made of them.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

use spiffe_authz_build::{Error, INCLUDE, Rules};

/// The descriptor set of a schema that holds these methods.
fn schema(methods: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let import = if methods.contains("option") {
        "import \"spiffe/authz/v1/authz.proto\";"
    } else {
        ""
    };
    let text = format!(
        "syntax = \"proto3\";\npackage shop.v1;\n{import}\n\
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

/// The descriptor set of a schema whose only method has an option of another file.
fn with_option_of(file: &str, text: &str, option: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    let name = file.strip_prefix(directory.path()).unwrap().display();
    let text = format!(
        "syntax = \"proto3\";\npackage shop.v1;\nimport \"{name}\";\nmessage Order {{}}\n\
         service OrderBook {{\nrpc Create(Order) returns (Order) {{ option {option}; }}\n}}\n"
    );
    std::fs::write(directory.path().join("orders.proto"), text).unwrap();
    let mut compiler = protox::Compiler::new([directory.path()]).unwrap();
    compiler
        .include_imports(true)
        .open_file("orders.proto")
        .unwrap();
    compiler.encode_file_descriptor_set()
}

#[test]
fn an_option_that_is_another_with_the_same_number_is_no_rule() {
    let extend = "extend google.protobuf.MethodOptions { Owner owner = 77133; }";
    let owner = "message Owner { string team = 3; }";
    let head =
        "syntax = \"proto2\";\npackage corp;\nimport \"google/protobuf/descriptor.proto\";\n";
    let owner = owner.replace("string", "optional string");
    let extend = extend.replace("Owner owner", "optional Owner owner");
    for (text, option, name) in [
        (
            format!("{head}{owner}\n{extend}"),
            "(corp.owner) = { team: \"storefront\" }",
            "corp.owner",
        ),
        (
            format!("{head}{owner}\nmessage Inside {{ {extend} }}"),
            "(corp.Inside.owner) = { team: \"storefront\" }",
            "corp.Inside.owner",
        ),
    ] {
        let schema = with_option_of("corp/owner.proto", &text, option);
        let error = Rules::new().generate(&schema).unwrap_err();
        let expected = format!(
            "corp/owner.proto: the option `{name}` has the number 77133, which is that of `spiffe.authz.v1.permit`: give it another"
        );
        assert_eq!(error.problems().collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn a_rule_that_says_more_than_is_known_here_is_none() {
    let text = std::fs::read_to_string(format!("{INCLUDE}/spiffe/authz/v1/authz.proto")).unwrap();
    let newer = text.replace(
        "  bool policy = 5;\n",
        "  bool policy = 5;\n  repeated string deny = 6;\n",
    );
    let file = "spiffe/authz/v1/authz.proto";
    let option = |more: &str| {
        format!("(spiffe.authz.v1.permit) = {{ id: \"spiffe://example.org/**\" {more} }}")
    };
    let schema = with_option_of(
        file,
        &newer,
        &option("deny: \"spiffe://example.org/guest\""),
    );
    let error = Rules::new().generate(&schema).unwrap_err().to_string();
    assert!(
        error.contains(
            "orders.proto: shop.v1.OrderBook/Create: its rule has a field 6 that is not known here"
        ),
        "{error}"
    );
    let schema = with_option_of(file, &newer, &option(""));
    assert!(Rules::new().generate(&schema).is_ok());

    // A field of another type is no descriptor set's fault.
    let other = text.replace("  bool policy = 5;\n", "  string policy = 5;\n");
    let schema = with_option_of(
        file,
        &other,
        "(spiffe.authz.v1.permit) = { policy: \"yes\" }",
    );
    let error = Rules::new().generate(&schema).unwrap_err().to_string();
    assert!(
        error.contains("shop.v1.OrderBook/Create: its rule cannot be read"),
        "{error}"
    );
}

#[test]
fn a_set_whose_options_were_dropped_is_found_out() {
    use prost::Message;

    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "syntax = \"proto3\";\npackage shop.v1;\nimport \"spiffe/authz/v1/authz.proto\";\n\
         message Order {{}}\nservice OrderBook {{\n{}\n}}\n",
        method("Create", "id: \"spiffe://example.org/a\"")
    );
    std::fs::write(directory.path().join("orders.proto"), text).unwrap();
    let mut compiler = protox::Compiler::new([directory.path(), INCLUDE.as_ref()]).unwrap();
    compiler.open_file("orders.proto").unwrap();
    let error = Rules::new()
        .generate(&compiler.file_descriptor_set().encode_to_vec())
        .unwrap_err();
    assert!(
        error.problems().any(|problem| problem.starts_with(
            "orders.proto: it imports `spiffe/authz/v1/authz.proto`, and no method has the option"
        )),
        "{error}"
    );
    // Without imports there is nothing to compare the number with, and the rules are the same.
    let code = Rules::new().generate(&compiler.encode_file_descriptor_set());
    assert!(code.unwrap().contains("spiffe://example.org/a"));
}

#[test]
fn an_option_in_parts_is_one_rule() {
    let parts = "rpc Create(Order) returns (Order) {\n\
        option (spiffe.authz.v1.permit).id = \"spiffe://example.org/a\";\n\
        option (spiffe.authz.v1.permit).policy = true;\n}";
    let error = Rules::new().generate(&schema(parts)).unwrap_err();
    assert!(
        error.to_string().contains("either names callers"),
        "{error}"
    );
}

#[test]
fn a_set_that_is_cut_off_anywhere_makes_no_other_rules() {
    let option = r#"id: "spiffe://example.org/service/payment-processor""#;
    let whole = schema(&method("Create", option));
    let code = Rules::new().generate(&whole).unwrap();
    for end in 0..whole.len() {
        let cut = Rules::new()
            .service("shop.v1.OrderBook")
            .generate(&whole[..end]);
        // Sets are files one after the other: an end between two of them is a good one.
        assert!(cut.is_err() || cut.unwrap() == code, "cut at {end}");
    }
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
