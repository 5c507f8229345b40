//! What is no template and no pattern is no program, and the compiler says why.

#![cfg(feature = "macros")]

#[test]
fn what_is_no_template_and_no_pattern_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
