//! What a person sees who runs it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

#[test]
fn the_expected_server_answers_and_another_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_client-reqwest"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let hello = "200 OK: hello, spiffe://example.org/service/billing\n";
    assert!(said.starts_with(hello), "{said}");
    let refused = "the server is spiffe://example.org/service/orders, expected was spiffe://example.org/service/stock";
    assert!(said.contains(refused), "{said}");
}
