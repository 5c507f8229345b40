//! What a person sees who runs it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

#[test]
fn calls_and_a_stream_outlive_rotations() {
    let output = Command::new(env!("CARGO_BIN_EXE_client-tonic"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{errors}");
    assert!(
        said.contains("to spiffe://example.org/service/billing"),
        "{said}"
    );
    assert!(
        said.contains("20 rotations, 0 failed calls, 1 stream"),
        "{said}"
    );
    assert!(!said.contains(" 1 SVIDs of the server"), "{said}");
}
