//! The example client and the example server, as two processes.

use std::process::Command;

use interop::{Agent, Finished, Running, Server, program};

fn call(agent: &Agent, listener: &str, url: &str, expect: &str, further: &[&str]) -> Finished {
    let mut command = Command::new(program("client"));
    command.args([url, "--expect", expect]).args(further);
    command.env("SPIFFE_ENDPOINT_SOCKET", agent.endpoint(listener));
    Running::start(&mut command).finish()
}

#[test]
fn the_client_calls_the_server_that_it_expects() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let url = format!("https://{}/api/hello", server.address());
    for expect in [
        "spiffe://example.org/service/greeter",
        "spiffe://example.org/service/*",
    ] {
        let said = call(&agent, "caller", &url, expect, &[]).success();
        assert!(
            said.starts_with("200") && said.contains("spiffe://example.org/service/caller"),
            "{said}"
        );
    }

    let url = format!("https://{}/api/echo", server.address());
    let said = call(
        &agent,
        "caller",
        &url,
        "spiffe://example.org/service/greeter",
        &["--method", "POST", "--data", "hello"],
    )
    .success();
    assert!(said.starts_with("200") && said.contains("hello"), "{said}");
}

#[test]
fn an_answer_that_is_no_success_fails_the_client() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let url = format!("https://{}/nowhere", server.address());
    let failed = call(
        &agent,
        "caller",
        &url,
        "spiffe://example.org/service/greeter",
        &[],
    );
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stdout.starts_with('4'), "{failed:?}");
}

#[test]
fn another_server_than_the_expected_is_not_called_and_the_client_says_why() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let url = format!("https://{}/api/hello", server.address());
    let failed = call(
        &agent,
        "caller",
        &url,
        "spiffe://example.org/service/payments",
        &[],
    );
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stdout.is_empty(), "{failed:?}");
    let names_both = failed
        .stderr
        .contains("spiffe://example.org/service/payments")
        && failed
            .stderr
            .contains("spiffe://example.org/service/greeter");
    assert!(names_both, "{failed:?}");
}

#[test]
fn a_foreigner_and_the_server_refuse_each_other() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let url = format!("https://{}/api/hello", server.address());
    let failed = call(
        &agent,
        "foreigner",
        &url,
        "spiffe://example.org/service/greeter",
        &[],
    );
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(
        failed.stdout.is_empty() && !failed.stderr.is_empty(),
        "{failed:?}"
    );
}
