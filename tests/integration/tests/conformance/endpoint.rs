//! Where the agent is (SPIFFE Workload Endpoint, sections 3 and 4).

use std::process::Stdio;

use integration::scripted::{Rpc, ScriptedAgent, message, update};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::{Endpoint, Source};
use tokio::process::Command;

use crate::{ID, PATIENCE, SECOND, authority, issue, refused};

const TCP: &str = "spiffe://example.org/service/over-tcp";

/// An agent with two Unix sockets and a TCP port, and an identity for each.
async fn agent() -> Agent {
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("one")
        .unix("two")
        .tcp("tcp")
        .entry(Entry::new(ID).unwrap().on("one"))
        .entry(Entry::new(SECOND).unwrap().on("two"))
        .entry(Entry::new(TCP).unwrap().on("tcp").over_tcp())
        .start()
        .await
        .unwrap()
}

async fn id_from(endpoint: &str) -> String {
    let source = Source::workload_api().endpoint(endpoint);
    let source = source.connect().await.unwrap();
    source.snapshot().svid().unwrap().spiffe_id().to_string()
}

#[tokio::test]
async fn conformance_52_the_agent_is_reached_with_grpc_over_unix_and_over_tcp() {
    let agent = agent().await;
    assert_eq!(id_from(agent.endpoint("one").unwrap()).await, ID);
    assert_eq!(id_from(agent.endpoint("tcp").unwrap()).await, TCP);
}

/// The name of the variable that makes this test the workload whose environment is asked.
const WORKLOAD: &str = "CONFORMANCE_57_WORKLOAD";

#[tokio::test]
async fn conformance_57_what_is_configured_wins_over_the_environment_and_nothing_is_guessed() {
    if let Ok(configured) = std::env::var(WORKLOAD) {
        return be_the_workload(&configured).await;
    }
    let agent = agent().await;
    let (one, two) = (
        agent.endpoint("one").unwrap(),
        agent.endpoint("two").unwrap(),
    );
    let absent = "unix:///nonexistent/agent.sock";
    for (configured, variable, alias, said) in [
        (None, Some(one), None, format!("is {ID}")),
        (None, Some(two), Some(one), format!("is {SECOND}")),
        (None, None, Some(two), format!("is {SECOND}")),
        (Some(two), Some(one), None, format!("is {SECOND}")),
        (Some(two), Some(absent), None, format!("is {SECOND}")),
        (Some(two), Some("no endpoint"), None, format!("is {SECOND}")),
        (
            None,
            Some("unix://a/b.sock"),
            Some(one),
            "SPIFFE_ENDPOINT_SOCKET: ".to_owned(),
        ),
        (
            None,
            None,
            None,
            "SPIFFE_ENDPOINT_SOCKET is not set".to_owned(),
        ),
        (
            None,
            Some(""),
            None,
            "SPIFFE_ENDPOINT_SOCKET is not set".to_owned(),
        ),
    ] {
        let output = workload(configured, variable, alias).await;
        let case = format!("{configured:?} {variable:?} {alias:?}");
        assert!(output.contains(&said), "{case}: {output}");
    }
}

/// What a process of its own says with this configuration and this environment.
async fn workload(configured: Option<&str>, variable: Option<&str>, alias: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "endpoint::conformance_57_what_is_configured_wins_over_the_environment_and_nothing_is_guessed";
    command
        .args(["--exact", test, "--nocapture"])
        .env(WORKLOAD, configured.unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, value) in [
        ("SPIFFE_ENDPOINT_SOCKET", variable),
        ("SPIRE_AGENT_SOCKET", alias),
    ] {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = tokio::time::timeout(PATIENCE, command.output());
    String::from_utf8(output.await.unwrap().unwrap().stdout).unwrap()
}

#[expect(
    clippy::print_stdout,
    reason = "the test that started this process reads it"
)]
async fn be_the_workload(configured: &str) {
    let mut source = Source::workload_api();
    if !configured.is_empty() {
        source = source.endpoint(configured);
    }
    match source.connect().await {
        Ok(source) => println!("is {}", source.snapshot().svid().unwrap().spiffe_id()),
        Err(error) => {
            assert!(error.is_configuration(), "{error}");
            println!("refused: {error}");
        }
    }
}

/// An endpoint that is none is refused at once, without a call to anybody.
async fn is_no_endpoint(text: &str) -> String {
    let error = tokio::time::timeout(PATIENCE / 3, refused(text)).await;
    let error = error.expect("nothing is waited for");
    assert!(error.is_configuration(), "{text:?}: {error}");
    assert!(text.parse::<Endpoint>().is_err());
    error.to_string()
}

#[tokio::test]
async fn conformance_58_the_scheme_is_unix_or_tcp() {
    for text in [
        "http://127.0.0.1:8081",
        "https://127.0.0.1:8081",
        "file:///run/agent.sock",
        "npipe:agent",
        "vsock://2:8081",
        "unix-abstract:agent",
        "dns:///127.0.0.1:8081",
        "127.0.0.1:8081",
        "UNIX:///run/agent.sock",
        "Tcp://127.0.0.1:8081",
        " unix:///run/agent.sock",
        "",
    ] {
        is_no_endpoint(text).await;
    }
}

#[tokio::test]
async fn conformance_59_a_unix_endpoint_is_an_absolute_path_and_nothing_else() {
    let agent = agent().await;
    let endpoint = agent.endpoint("one").unwrap();
    let path = endpoint.strip_prefix("unix://").unwrap();
    assert!(path.starts_with('/'));
    assert_eq!(id_from(&format!("unix://{path}")).await, ID);
    assert_eq!(id_from(&format!("unix:{path}")).await, ID);
    for text in [
        format!("{endpoint}?x"),
        format!("{endpoint}#x"),
        format!("unix://localhost{path}"),
        format!("unix://user@{path}"),
        "unix:".to_owned(),
        "unix://".to_owned(),
        "unix:///".to_owned(),
        "unix:agent.sock".to_owned(),
        "unix:./agent.sock".to_owned(),
        path.to_owned(),
    ] {
        is_no_endpoint(&text).await;
    }
}

/// What looks like a path is a host to whoever reads the URI, and a path to whoever cuts `unix://`
/// off.
#[tokio::test]
async fn conformance_59_trap_two_slashes_are_refused_and_the_third_is_suggested() {
    for (bad, good) in [
        ("unix://run/agent.sock", "unix:///run/agent.sock"),
        ("unix://tmp", "unix:///tmp"),
        ("/run/agent.sock", "unix:///run/agent.sock"),
    ] {
        let error = is_no_endpoint(bad).await;
        assert!(error.contains(&format!("write `{good}`")), "{error}");
        good.parse::<Endpoint>().unwrap();
    }
}

#[tokio::test]
async fn conformance_60_a_tcp_endpoint_is_an_address_and_a_port_and_nothing_else() {
    let agent = ScriptedAgent::start_tcp().await;
    let authority = authority();
    let connect = tokio::spawn(Source::workload_api().endpoint(agent.endpoint()).connect());
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.send(&update([message(&authority, &issue(&authority, ID))]));
    connect.await.unwrap().unwrap();

    "tcp://[::1]:8000".parse::<Endpoint>().unwrap();
    for text in [
        "tcp://localhost:8000",
        "tcp://1.2.3.4",
        "tcp://1.2.3.4:",
        "tcp://[::1]",
        "tcp://::1:8000",
        "tcp://1.2.3.4:65536",
        "tcp://1.2.3.4:8000/",
        "tcp://1.2.3.4:8000/foo",
        "tcp://u@1.2.3.4:8000",
        "tcp://1.2.3.4:8000?x",
        "tcp://1.2.3.4:8000#x",
        "tcp:1.2.3.4:8000",
        "tcp:///1.2.3.4:8000",
        "tcp://",
    ] {
        is_no_endpoint(text).await;
    }
}
