//! The Python package `spiffe` as a client of the devkit's Workload API.

use std::process::Command;

use interop::{Agent, Running};

/// A script in python/, about to ask the agent at that listener.
fn python(script: &str, agent: &Agent, listener: &str) -> Command {
    let mut command = interop::python(script);
    let endpoint = agent.endpoint(listener);
    // gRPC's C core escapes an absolute path into `:authority`, which is no host then.
    assert!(endpoint.starts_with("unix:///"), "{endpoint}");
    command.arg(endpoint);
    command
}

#[test]
fn it_fetches_svids_and_bundles() {
    let agent = Agent::start();
    let mut fetch = python("fetch.py", &agent, "caller");
    fetch.arg("spiffe://example.org/service/caller");
    let said = Running::start(&mut fetch).finish().success();
    assert_eq!(
        said,
        "x509 svid\nx509 bundles\njwt svid\njwt bundles\njwt validation"
    );
}

#[test]
fn it_sees_every_rotation() {
    let agent = Agent::start();
    let mut rotation = python("rotation.py", &agent, "caller");
    rotation.arg("spiffe://example.org/service/caller");
    let mut rotation = Running::start(&mut rotation);

    rotation.line("waiting for another svid");
    agent.tell("rotate svids");
    rotation.line("waiting for another bundle");
    agent.tell("prepare authority example.org");
    rotation.line("waiting for another issuer");
    agent.tell("activate authority example.org");
    agent.tell("rotate svids");
    let said = rotation.finish().success();
    assert!(said.ends_with("done"), "{said}");
}

#[test]
fn it_sees_federation_come_and_go() {
    let agent = Agent::start();
    let mut federation = python("federation.py", &agent, "caller");
    federation.arg(agent.endpoint("foreigner"));
    let mut federation = Running::start(&mut federation);

    federation.line("waiting for federation");
    agent.tell("federate example.org other.test");
    federation.line("waiting for the end of federation");
    agent.tell("remove-bundle other.test");
    let said = federation.finish().success();
    assert_eq!(
        said,
        "waiting for federation\nx509 bundles\njwt bundles\njwt validation\n\
         waiting for the end of federation\ndone"
    );
}

#[test]
fn it_is_denied_while_its_entry_is_withdrawn_and_comes_back_with_it() {
    let agent = Agent::start();
    let mut withdrawal = python("withdrawal.py", &agent, "caller");
    withdrawal.arg("spiffe://example.org/service/caller");
    let mut withdrawal = Running::start(&mut withdrawal);

    withdrawal.line("waiting for the withdrawal");
    agent.tell("withdraw spiffe://example.org/service/caller");
    withdrawal.line("waiting for the return");
    agent.tell("restore spiffe://example.org/service/caller");
    let said = withdrawal.finish().success();
    assert!(said.ends_with("done"), "{said}");
}

#[test]
fn it_has_the_agent_validate_tokens() {
    let agent = Agent::start();
    let mut validation = python("validation.py", &agent, "caller");
    validation.arg("spiffe://example.org/service/caller");
    let said = Running::start(&mut validation).finish().success();
    assert_eq!(
        said,
        "sound: accepted\nno token: refused\nother claims: refused\nanother key: refused\n\
         an unknown key: refused\nno signature: refused\nanother trust domain: refused\nclaims"
    );
}

#[test]
fn it_tells_several_svids_apart() {
    let agent = Agent::start();
    let mut several = python("several.py", &agent, "several");
    several.args([
        "spiffe://example.org/several/inside#internal",
        "spiffe://example.org/several/plain",
        "spiffe://example.org/several/outside#external",
    ]);
    let said = Running::start(&mut several).finish().success();
    assert_eq!(said, "x509 svids\njwt svids\nanother than the first\nhints");
}

#[test]
fn it_is_refused_where_there_is_no_entry() {
    let agent = Agent::start();
    let mut refused = python("refused.py", &agent, "stranger");
    let said = Running::start(&mut refused).finish().success();
    assert_eq!(
        said,
        "x509 svid refused\nx509 bundles refused\njwt svid refused\njwt bundles refused"
    );
}

#[test]
fn conformance_54_a_call_without_the_security_header_is_refused() {
    let agent = Agent::start();
    let mut refused = python("no_header.py", &agent, "caller");
    let said = Running::start(&mut refused).finish().success();
    assert_eq!(
        said,
        "absent: INVALID_ARGUMENT\nTrue: INVALID_ARGUMENT\ntrue: OK"
    );
}
