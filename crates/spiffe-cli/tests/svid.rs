//! `spiffectl svid`, as a process: good answers, and errors that say what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use spiffe_devkit::{Agent, Entry, Fault, TrustDomainSpec};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const ID: &str = "spiffe://example.org/service/orders";

async fn agent() -> Agent {
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("own")
        .unix("stranger")
        .entry(Entry::new(ID).unwrap().on("own"))
        .start()
        .await
        .unwrap()
}

fn spiffectl(endpoint: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiffectl"));
    command
        .env_clear()
        .arg("svid")
        .args(arguments)
        .kill_on_drop(true);
    if let Some(endpoint) = endpoint {
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint);
    }
    command
}

async fn run(endpoint: Option<&str>, arguments: &[&str]) -> Output {
    let output = spiffectl(endpoint, arguments).output();
    tokio::time::timeout(Duration::from_secs(30), output)
        .await
        .expect("bounded")
        .unwrap()
}

#[tokio::test]
async fn show_says_who_one_is_and_nothing_secret() {
    let agent = agent().await;
    let output = run(agent.endpoint("own"), &["show"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains(ID) && text.contains("bundle of example.org"),
        "{text}"
    );
    assert!(!text.contains("PRIVATE"), "{text}");
}

#[tokio::test]
async fn bad_input_each_gets_its_error() {
    let agent = agent().await;
    let hung = agent.endpoint("own");
    agent.fault("own", Fault::Hang).unwrap();
    for (endpoint, status, why) in [
        (None, 2, "SPIFFE_ENDPOINT_SOCKET is not set"),
        (Some("http://127.0.0.1:80"), 2, "neither `unix` nor `tcp`"),
        (Some("unix://tmp/x"), 2, "write `unix:///tmp/x`"),
        (
            Some("unix:///nonexistent/agent.sock"),
            1,
            "is the agent running",
        ),
        (hung, 1, "has not answered within"),
        (agent.endpoint("stranger"), 1, "register an entry"),
    ] {
        let output = run(endpoint, &["show", "--wait", "1"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{endpoint:?}: {said}");
        assert!(
            said.starts_with("spiffectl: ") && said.contains(why),
            "{endpoint:?}: {said}"
        );
    }
}

#[tokio::test]
async fn write_changes_all_files_at_once_and_keeps_the_key_to_itself() {
    let agent = agent().await;
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("files");
    let mut follow = spiffectl(
        agent.endpoint("own"),
        &["write", "--follow", "--dir", directory.to_str().unwrap()],
    );
    let mut follow = follow.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().unwrap();

    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let first = (read("svid.pem"), read("svid_key.pem"), read("bundle.pem"));
    assert_eq!(
        first.0.matches("BEGIN CERTIFICATE").count(),
        2,
        "leaf and intermediate"
    );
    assert!(
        first.1.starts_with("-----BEGIN PRIVATE KEY-----")
            && first.2.starts_with("-----BEGIN CERTIFICATE-----")
    );
    assert_eq!(
        fs::metadata(directory.join("svid_key.pem"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let data = fs::read_link(directory.join("..data")).unwrap();
    assert_eq!(
        fs::read_link(directory.join("svid.pem")).unwrap().to_str(),
        Some("..data/svid.pem")
    );

    agent.rotate_svids();
    lines.next_line().await.unwrap().unwrap();
    assert!(
        read("svid.pem") != first.0
            && read("svid_key.pem") != first.1
            && read("bundle.pem") == first.2
    );
    assert_ne!(fs::read_link(directory.join("..data")).unwrap(), data);
    let left: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        left.len(),
        5,
        "three links, the data and the link to it: {left:?}"
    );
    follow.kill().await.unwrap();
}
