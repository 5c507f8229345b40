//! The example ends well only if every caller got what its rule says; its routes can be drawn.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn every_outcome_is_the_expected_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_orders-grpc"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("(as expected)").count(), 16, "{text}");
    assert_eq!(text.matches("PermissionDenied").count(), 7, "{text}");
}

#[test]
fn the_routes_fit_the_policy() {
    let output = Command::new(env!("CARGO_BIN_EXE_orders-grpc"))
        .arg("routes")
        .output()
        .unwrap();
    assert!(output.status.success());
    let routes: spiffe_authz::Inventory = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(routes.routes().count(), 7);
    let by_policy = routes.routes().filter(|route| route.is_by_policy());
    let by_policy: Vec<_> = by_policy.map(ToString::to_string).collect();
    assert_eq!(by_policy, ["POST /orders.v1.Orders/List"]);
    let policy = spiffe_authz::Policy::from_yaml(include_str!("../policy.yaml")).unwrap();
    routes.check(&policy).unwrap();
}

#[test]
fn it_serves_until_it_is_interrupted() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_orders-grpc"))
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let interrupt = Command::new("kill")
        .args(["-INT", &server.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert!(server.wait().unwrap().success());
    assert!(
        line.starts_with("SPIFFE_ENDPOINT_SOCKET=unix:///"),
        "{line}"
    );
}
