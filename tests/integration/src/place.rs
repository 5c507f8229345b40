//! An agent as a real process, that can be killed, stopped and replaced.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use spiffe_source::{Builder, Source, Status, WorkloadApi};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// How long the source may take to come to the right state. Far more than it needs, since the
/// machine may be busy, and far less than the longest back-off.
pub const BOUND: Duration = Duration::from_secs(10);

/// A directory for an agent's sockets, and perhaps an agent in it.
pub struct Place {
    /// Where the sockets are.
    pub directory: PathBuf,
    program: &'static str,
    _scratch: TempDir,
}

impl Place {
    /// `program` is the path of `chaos-agent`, which only a test can know.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self {
            program,
            directory: scratch.path().join("agent"),
            _scratch: scratch,
        }
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.directory.join("server.sock").display())
    }

    /// A source of the agent here.
    pub fn source(&self) -> Builder<WorkloadApi> {
        Source::workload_api().endpoint(self.endpoint())
    }

    /// Starts an agent, and waits until it listens.
    pub async fn agent(&self) -> AgentProcess {
        AgentProcess::start(self.program, &self.directory).await
    }

    /// Gives the agent a command at its control socket.
    pub async fn command(&self, line: &str) {
        let mut control = UnixStream::connect(self.directory.join("control.sock"))
            .await
            .unwrap();
        control.write_all(line.as_bytes()).await.unwrap();
        control.write_all(b"\n").await.unwrap();
        let mut answer = String::new();
        control.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("ok"), "{line}: {answer}");
    }
}

/// An agent as a process; it is killed with this.
pub struct AgentProcess(Child);

impl AgentProcess {
    async fn start(program: &str, directory: &Path) -> Self {
        let mut child = Command::new(program)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .next_line()
            .await;
        assert_eq!(said.unwrap().as_deref(), Some("ready"));
        Self(child)
    }

    /// Kills it, without a word.
    pub async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Sends a signal by its name.
    pub async fn signal(&self, name: &str) {
        let id = self.0.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }
}

/// Waits until the source's status is what is waited for, and says how long that took.
pub async fn until(source: &Source, what: impl Fn(&Status) -> bool) -> Duration {
    let began = Instant::now();
    let mut statuses = source.statuses();
    let comes = async {
        while !what(&source.status()) {
            statuses.next().await.unwrap();
        }
    };
    if tokio::time::timeout(BOUND, comes).await.is_err() {
        panic!("the source stays: {}", source.status());
    }
    began.elapsed()
}

/// The memory of this process, in KiB.
#[must_use]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.unwrap().parse().unwrap()
}

/// How long a process has kept processors busy, all in all.
#[must_use]
pub fn cpu_time(process: u32) -> Duration {
    /// Ticks in a second, as Linux tells them to programs on every architecture.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program may have spaces, and ends with the last parenthesis.
    let (_, figures) = stat.rsplit_once(')').unwrap();
    let ticks = figures.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}
