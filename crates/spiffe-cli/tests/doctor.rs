//! `spiffectl doctor` and `spiffectl svid watch`, as processes: each fault is told at its step, with
//! what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use spiffe_devkit::{Agent, Entry, Fault, TrustDomainSpec};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

const ID: &str = "spiffe://example.org/service/orders";
const SERVER: &str = "spiffe://example.org/service/payments";

async fn agent() -> Agent {
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("own")
        .unix("server")
        .unix("stranger")
        .entry(Entry::new(ID).unwrap().on("own"))
        .entry(Entry::new(SERVER).unwrap().on("server"))
        .start()
        .await
        .unwrap()
}

fn spiffectl(endpoint: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiffectl"));
    command.env_clear().args(arguments).kill_on_drop(true);
    if let Some(endpoint) = endpoint {
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint);
    }
    command
}

async fn doctor(endpoint: Option<&str>, arguments: &[&str]) -> (Output, String) {
    let mut command = spiffectl(endpoint, &["doctor", "--wait", "1"]);
    let output = command.args(arguments).output();
    let output = tokio::time::timeout(Duration::from_secs(30), output)
        .await
        .expect("bounded")
        .unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// Whether there is a line with this verdict for this step that says this.
fn says(text: &str, verdict: &str, step: &str, what: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(verdict) && words.next() == Some(step) && line.contains(what)
    })
}

#[tokio::test]
async fn a_good_way_is_good_at_every_step() {
    let agent = agent().await;
    let source = spiffe_source::Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .connect()
        .await
        .unwrap();
    let listener = spiffe_acceptor::Acceptor::builder(source)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = axum::Router::new();
    let server = tokio::spawn(spiffe_acceptor::serve(listener, app).into_future());

    let peer = ["--peer", &address, "--expect", SERVER];
    let (output, text) = doctor(agent.endpoint("own"), &peer).await;
    assert!(output.status.success(), "{text}");
    for (step, what) in [
        ("variable", "unix:///"),
        ("socket", "mode"),
        ("agent", "Workload API"),
        ("entry", "identity"),
        ("svid", ID),
        ("clock", "valid since"),
        ("bundle", "example.org has 1 authorities"),
        ("bundle", "JWT"),
        ("peer", SERVER),
    ] {
        assert!(says(&text, "ok", step, what), "{step}: {text}");
    }
    assert!(
        !text.contains("FAIL") && !text.contains("PRIVATE"),
        "{text}"
    );

    let wrong = [
        "--peer",
        &address,
        "--expect",
        "spiffe://example.org/service/other",
    ];
    let (output, text) = doctor(agent.endpoint("own"), &wrong).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(says(&text, "FAIL", "peer", SERVER), "{text}");
    server.abort();

    let closed = ["--peer", "127.0.0.1:1", "--expect", SERVER];
    let (_, text) = doctor(agent.endpoint("own"), &closed).await;
    assert!(says(&text, "FAIL", "peer", "is it running"), "{text}");
}

#[tokio::test]
async fn bad_input_each_fault_is_told_at_its_step() {
    let agent = agent().await;
    let own = agent.endpoint("own").unwrap().to_owned();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let file = format!("unix://{}", file.display());
    for (endpoint, step, why) in [
        (None, "variable", "SPIFFE_ENDPOINT_SOCKET is not set"),
        (Some("unix://tmp/x"), "variable", "write `unix:///tmp/x`"),
        (
            Some("unix:///nonexistent/agent.sock"),
            "socket",
            "start the agent",
        ),
        (Some(file.as_str()), "socket", "is no socket"),
        (agent.endpoint("stranger"), "entry", "register an entry"),
    ] {
        let (output, text) = doctor(endpoint, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{endpoint:?}: {text}");
        assert!(says(&text, "FAIL", step, why), "{endpoint:?}: {text}");
        assert!(says(&text, "skip", "bundle", ""), "{endpoint:?}: {text}");
    }

    let (output, text) = doctor(Some(&own), &["--trust", "partner.test"]).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(says(&text, "FAIL", "bundle", "partner.test"), "{text}");
    let (output, _) = doctor(Some(&own), &["--trust", "Partner.test"]).await;
    assert_eq!(output.status.code(), Some(2));
    let (output, _) = doctor(Some(&own), &["--peer", "nonsense", "--expect", ID]).await;
    assert_eq!(output.status.code(), Some(2));

    agent.fault("own", Fault::Hang).unwrap();
    let (_, text) = doctor(Some(&own), &[]).await;
    assert!(says(&text, "FAIL", "agent", "has not answered"), "{text}");
}

#[tokio::test]
async fn threats_78_a_socket_that_anybody_may_replace_is_a_doubt() {
    let agent = agent().await;
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("open");
    std::fs::create_dir(&directory).unwrap();
    let link = directory.join("agent.sock");
    let socket = agent.endpoint("own").unwrap().trim_start_matches("unix://");
    std::os::unix::fs::symlink(socket, &link).unwrap();
    let endpoint = format!("unix://{}", link.display());

    let (_, text) = doctor(Some(&endpoint), &[]).await;
    assert!(says(&text, "ok", "socket", ""), "control: {text}");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (output, text) = doctor(Some(&endpoint), &[]).await;
    assert!(output.status.success(), "{text}");
    assert!(says(&text, "warn", "socket", "writable for all"), "{text}");
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, what: &str) -> String {
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it goes on");
            if line.contains(what) {
                return line;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found)
        .await
        .unwrap_or_else(|_| panic!("no line with `{what}`"))
}

#[tokio::test]
async fn watch_shows_a_rotation_a_withdrawal_and_a_return() {
    let agent = agent().await;
    for json in [false, true] {
        let arguments: &[&str] = if json {
            &["svid", "watch", "--json"]
        } else {
            &["svid", "watch"]
        };
        let mut watch = spiffectl(agent.endpoint("own"), arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let first = line_with(&mut lines, ID).await;
        assert!(first.contains("ready"), "{first}");
        agent.rotate_svids();
        let rotation = line_with(&mut lines, "update").await;
        assert!(rotation.contains(ID), "{rotation}");
        let id = spiffe_peer::parse::workload_id(ID).unwrap();
        agent.withdraw(&id).unwrap();
        line_with(&mut lines, "withdrawal").await;
        line_with(&mut lines, "denied").await;
        agent.restore(&id).unwrap();
        let back = line_with(&mut lines, ID).await;
        assert!(!back.contains("PRIVATE"));
        watch.kill().await.unwrap();
    }
}
