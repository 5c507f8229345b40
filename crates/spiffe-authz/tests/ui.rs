//! A route or an RPC without a rule is no program, and the compiler says what to write.

#![cfg(feature = "axum")]

#[test]
fn a_route_without_a_rule_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}

#[cfg(feature = "tonic")]
#[test]
fn an_rpc_without_a_rule_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui_authorize/*.rs");
}
