//! `spiffectl dev` as a person uses it: the program, its output and its status.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const CONFIG: &str = "
trust_domains:
  - name: example.org
listeners:
  - name: orders
  - name: tcp
    tcp: 127.0.0.1:0
entries:
  - id: spiffe://example.org/service/orders
    on: [orders]
";

/// A directory of a test, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("spiffectl-test-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spiffectl() -> Command {
    Command::new(env!("CARGO_BIN_EXE_spiffectl"))
}

/// A running agent with what it printed; it ends with the test at the latest.
struct Agent {
    process: Child,
    endpoint: PathBuf,
    control: PathBuf,
}

impl Agent {
    fn start(config: &Path) -> Self {
        let mut process = spiffectl()
            .args(["dev", "agent", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.as_mut().unwrap())
            .lines()
            .map(Result::unwrap);
        let endpoint = lines.find_map(|line| {
            Some(
                line.strip_prefix("export SPIFFE_ENDPOINT_SOCKET=unix://")?
                    .into(),
            )
        });
        let tcp =
            lines.find(|line| line.starts_with("export SPIFFE_ENDPOINT_SOCKET=tcp://127.0.0.1:"));
        let control = lines.find_map(|line| {
            let socket = line.strip_prefix("# spiffectl dev ctl --socket ")?;
            socket.strip_suffix(" status").map(PathBuf::from)
        });
        assert!(tcp.is_some());
        let (endpoint, control) = (endpoint.unwrap(), control.unwrap());
        Self {
            process,
            endpoint,
            control,
        }
    }

    fn ctl(&self, words: &[&str]) -> Output {
        spiffectl()
            .args(["dev", "ctl", "--socket"])
            .arg(&self.control)
            .args(words)
            .output()
            .unwrap()
    }

    /// Ends it with a signal; the status and what it logged.
    fn end(&mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let status = self.process.wait().unwrap().code();
        let mut log = String::new();
        self.process
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (status, log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn an_agent_serves_obeys_and_leaves_nothing_behind() {
    let scratch = Scratch::new("serves");
    let mut agent = Agent::start(&scratch.file("agent.yaml", CONFIG));
    UnixStream::connect(&agent.endpoint).unwrap();

    let status = agent.ctl(&["status"]);
    assert_eq!(status.status.code(), Some(0));
    let shown = text(&status.stdout);
    assert!(
        shown.contains("example.org  roots 1") && shown.contains("nobody has asked"),
        "{shown}"
    );

    let done = agent.ctl(&["rotate", "authority", "example.org"]);
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&agent.ctl(&["status"]).stdout).contains("example.org  roots 2"));
    assert_eq!(
        agent
            .ctl(&["withdraw", "spiffe://example.org/service/orders"])
            .status
            .code(),
        Some(0)
    );
    assert!(text(&agent.ctl(&["status"]).stdout).contains("withdrawn"));

    let unknown = agent.ctl(&["withdraw", "spiffe://example.org/service/other"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).contains("there is `spiffe://example.org/service/orders`"),
        "{unknown:?}"
    );
    let wrong = agent.ctl(&["explode"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("there is no command `explode`"),
        "{wrong:?}"
    );

    let (status, log) = agent.end("-TERM");
    assert_eq!(status, Some(0), "{log}");
    assert!(!agent.endpoint.exists() && !agent.control.exists());
    assert!(
        log.contains("spiffe://example.org/service/orders is withdrawn"),
        "{log}"
    );

    let gone = agent.ctl(&["status"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        text(&gone.stderr).contains("no agent answers at"),
        "{gone:?}"
    );
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let scratch = Scratch::new("interrupt");
    let mut agent = Agent::start(&scratch.file("agent.yaml", CONFIG));
    assert_eq!(agent.end("-INT").0, Some(0));
    assert!(!agent.endpoint.exists() && !agent.control.exists());
}

#[test]
fn a_bundle_is_read_from_where_the_person_stands() {
    let scratch = Scratch::new("bundle");
    scratch.file("partner.pem", "no certificate");
    let mut agent = Agent::start(&scratch.file("agent.yaml", CONFIG));
    let mut ctl = spiffectl();
    ctl.args(["dev", "ctl", "--socket"])
        .arg(&agent.control)
        .args(["add-bundle", "partner.test", "partner.pem"]);
    let output = ctl.current_dir(&scratch.0).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains("partner.pem: there is no certificate in it, neither PEM nor DER"),
        "{told}"
    );
    assert_eq!(agent.end("-TERM").0, Some(0));
}

#[test]
fn an_unusable_declaration_is_told_with_file_and_line() {
    let scratch = Scratch::new("unusable");
    let config = scratch.file(
        "agent.yaml",
        &CONFIG.replace("on: [orders]", "on: [ordres]"),
    );
    let output = spiffectl()
        .args(["dev", "agent", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let wanted = format!(
        "spiffectl: {}:10:10: no listener `ordres` is declared; there is `orders`, `tcp`\n",
        config.display()
    );
    assert_eq!(text(&output.stderr), wanted);

    let missing = spiffectl()
        .args(["dev", "agent", "--config", "/no/such/file"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(
        spiffectl()
            .args(["dev", "agent"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn what_the_system_refuses_is_a_failure() {
    let scratch = Scratch::new("refused");
    let config = CONFIG.replace("- name: orders\n", "- name: orders\n    unix: file\n");
    scratch.file("file", "");
    fs::set_permissions(
        &scratch.0,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let config = scratch.file("agent.yaml", &config);
    let output = spiffectl()
        .args(["dev", "agent", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).ends_with("exists and is no socket\n"),
        "{output:?}"
    );
}
