//! The program as it is run: with a file, with the environment, with both, and with what makes no
//! sense.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rustix::process::{Pid, Signal, kill_process};
use spiffe_connector::Connector;
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/server.yaml");
const ORDERS: &str = "spiffe://example.org/service/orders";
const PAYMENTS: &str = "spiffe://example.org/service/payment-processor";
/// Long enough for a loaded machine, and shorter than a source waits for its first SVID.
const PATIENCE: Duration = Duration::from_secs(20);

async fn agent() -> Agent {
    let entry = |id: &str, socket: &str| Entry::new(id).unwrap().on(socket);
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("orders")
        .unix("payments")
        .unix("stock")
        .entry(entry(ORDERS, "orders"))
        .entry(entry(PAYMENTS, "payments"))
        .entry(entry("spiffe://example.org/service/stock", "stock"))
        .start()
        .await
        .unwrap()
}

fn server(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command
        .env_clear()
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = server(arguments, variables).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What the next line says after `start`.
    async fn line(&mut self, start: &str) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = match line.expect("a line in time").unwrap() {
            Some(line) => line,
            None => panic!("ended: {}", self.said().await),
        };
        let rest = line.strip_prefix(start);
        rest.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// The port, after the two lines with which every server begins.
    async fn port(&mut self) -> u16 {
        self.line("").await;
        port(&self.line("listening on ").await)
    }

    async fn said(&mut self) -> String {
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        said
    }

    async fn terminate(mut self) -> String {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.line("draining").await;
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
        self.said().await
    }
}

fn port(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

/// What `socket`'s caller is answered, or none where it gets no connection.
async fn hello(agent: &Agent, socket: &str, port: u16) -> Option<String> {
    let source = Source::workload_api().endpoint(agent.endpoint(socket).unwrap());
    let connector = Connector::new(source.connect().await.unwrap(), ORDERS).unwrap();
    let client = connector.http_client::<Full<Bytes>>();
    let uri = format!("https://127.0.0.1:{port}/api/hello");
    let response = client.get(uri.parse().unwrap()).await.ok()?;
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some(String::from_utf8(body.to_vec()).unwrap())
}

async fn failed(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = timeout(PATIENCE, server(arguments, variables).output());
    let output = output.await.expect("it ends by itself").unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_file_with_two_lines_overridden() {
    let agent = agent().await;
    let variables = [
        ("SPIFFE_ENDPOINT_SOCKET", agent.endpoint("orders").unwrap()),
        ("HTTP_ADDRESS", "127.0.0.1:0"),
        ("HTTP_PROBES_ADDRESS", "127.0.0.1:0"),
    ];
    let mut running = Running::start(&["--config", EXAMPLE], &variables);
    let served = running.port().await;
    let probes = port(&running.line("probes on ").await);

    let answer = hello(&agent, "payments", served).await;
    assert_eq!(answer, Some(format!("hello, {PAYMENTS}\n")));
    let mut probe = TcpStream::connect(("127.0.0.1", probes)).await.unwrap();
    let request = b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n";
    probe.write_all(request).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, probe.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    running.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_alone() {
    let agent = agent().await;
    let variables = [
        ("SPIFFE_ENDPOINT_SOCKET", agent.endpoint("orders").unwrap()),
        ("HTTP_ADDRESS", "127.0.0.1:0"),
        ("AUTH_POLICY", "specific-id"),
        ("ALLOWED_CLIENT_ID", PAYMENTS),
    ];
    let mut running = Running::start(&[], &variables);
    let port = running.port().await;
    assert!(hello(&agent, "payments", port).await.is_some());
    assert_eq!(hello(&agent, "stock", port).await, None);
    running.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_socket_and_the_policy_any() {
    let agent = agent().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    let socket = agent.endpoint("orders").unwrap();
    let text = format!(
        "http:\n  address: 127.0.0.1:0\n  authentication:\n    policy: any\nspire:\n  socket_path: {socket}\n"
    );
    fs::write(&file, text).unwrap();
    // The file names an agent, so that the platform's does not count.
    let platform = [("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/agent.sock")];
    let mut running = Running::start(&["--config", file.to_str().unwrap()], &platform);
    let port = running.port().await;
    assert!(hello(&agent, "stock", port).await.is_some());
    let said = running.terminate().await;
    assert!(
        said.contains("WARN") && said.contains("policy `any`"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_svid_of_another_trust_domain_ends_it_at_once() {
    let agent = agent().await;
    let variables = [
        ("SPIFFE_ENDPOINT_SOCKET", agent.endpoint("orders").unwrap()),
        ("SPIRE_TRUST_DOMAIN", "partner.test"),
    ];
    let said = failed(&["--config", EXAMPLE], &variables).await;
    let expected = "server: SPIRE_TRUST_DOMAIN (spire.trust_domain): the own SVID is to be of `partner.test`, \
                    and is `spiffe://example.org/service/orders`; write `example.org`, or have this workload registered there";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_ends_it_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    let path = file.to_str().unwrap();
    let socket = ("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/agent.sock");

    fs::write(&file, "http:\n  timeout: 30\n").unwrap();
    let said = failed(&["--config", path], &[socket]).await;
    assert!(
        said.contains(&format!(
            "server: {path}:2:12: http.timeout: `30` is no duration"
        )),
        "{said}"
    );
    fs::write(&file, "http:\n  tiemout: 30s\n").unwrap();
    let said = failed(&["--config", path], &[socket]).await;
    assert!(
        said.contains(&format!(
            "{path}:2:3: there is no `tiemout` here; write one of"
        )),
        "{said}"
    );
    let said = failed(&["--config", "/no/such.yaml"], &[socket]).await;
    assert!(
        said.contains("server: /no/such.yaml: it cannot be read: "),
        "{said}"
    );

    let said = failed(&[], &[socket, ("AUTH_POLICY", "one-of")]).await;
    assert!(
        said.contains("the policy is `one-of` (AUTH_POLICY), and nobody is named"),
        "{said}"
    );
    let said = failed(&[], &[socket, ("HTTP_ADDRESS", "localhost:8443")]).await;
    assert!(
        said.contains("HTTP_ADDRESS (http.address): `localhost:8443` is no address"),
        "{said}"
    );
    let said = failed(&[], &[]).await;
    assert!(
        said.contains("spire.socket_path: no agent is named"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken() {
    let agent = agent().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [
        ("SPIFFE_ENDPOINT_SOCKET", agent.endpoint("orders").unwrap()),
        ("HTTP_ADDRESS", address.as_str()),
    ];
    let said = failed(&[], &variables).await;
    let expected = format!("HTTP_ADDRESS (http.address): cannot listen on `{address}`: ");
    assert!(
        said.contains(&expected) && said.contains("write another port"),
        "{said}"
    );
}
