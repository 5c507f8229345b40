//! What a person gets who calls the client wrongly.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_client"))
        .env_clear()
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn an_expected_id_that_is_none() {
    for (id, why) in [
        ("orders.internal", "does not begin with `spiffe://`"),
        (
            "spiffe://Example.org/service/orders",
            "write `spiffe://example.org/service/orders`",
        ),
        ("spiffe://example.org", "a path is missing"),
        ("spiffe://example.org/pay*", "whole segment"),
    ] {
        let output = client(&["https://localhost:1/", "--expect", id]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && said.contains(why),
            "{id}: {said}"
        );
    }
}

#[test]
fn nobody_is_expected_by_default() {
    let output = client(&["https://localhost:1/"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("--expect"),
        "{said}"
    );
}

#[test]
fn no_socket() {
    let output = client(&[
        "https://localhost:1/",
        "--expect",
        "spiffe://example.org/service/orders",
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("SPIFFE_ENDPOINT_SOCKET is not set"),
        "{said}"
    );
}

#[test]
fn a_url_that_is_not_https() {
    for url in ["http://localhost:1/", "localhost:1/", "/api/hello"] {
        let output = client(&[url, "--expect", "spiffe://example.org/service/orders"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1)
                && (said.contains("begins with `https://`") || said.contains("invalid")),
            "{url}: {said}"
        );
    }
}
