use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{PATIENCE, Running, program};

/// Two trust domains that do not know each other, and a listener for each caller; the one for
/// strangers gives nobody an identity.
const DECLARATION: &str = "
directory: sockets
trust_domains:
  - name: example.org
  - name: other.test
listeners:
  - name: server
  - name: caller
  - name: foreigner
  - name: stranger
entries:
  - id: spiffe://example.org/service/greeter
    on: [server]
    dns: [localhost]
  - id: spiffe://example.org/service/caller
    on: [caller]
  - id: spiffe://other.test/service/caller
    on: [foreigner]
";

/// `spiffectl dev agent`: a Workload API for the programs of one test.
pub struct Agent {
    _process: Running,
    directory: TempDir,
}

impl Agent {
    /// Starts an agent with the listeners `server`, `caller`, `foreigner` and `stranger`.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let config = directory.path().join("agent.yaml");
        std::fs::write(&config, DECLARATION).expect("the file can be written");
        let mut command = Command::new(program("spiffectl"));
        command.args(["dev", "agent", "--config"]).arg(config);
        let agent = Self {
            _process: Running::start(&mut command),
            directory,
        };
        for listener in ["server", "caller", "foreigner", "stranger", "control"] {
            let _ = agent.connect(listener);
        }
        agent
    }

    /// Where the Workload API answers, as `SPIFFE_ENDPOINT_SOCKET` says it.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> String {
        format!("unix://{}", self.socket(listener).display())
    }

    /// Tells the agent a command, such as `rotate svids`.
    pub fn tell(&self, command: &str) {
        let mut control = self.connect("control");
        writeln!(control, "{command}").expect("the control socket takes a line");
        let mut answer = String::new();
        control
            .read_to_string(&mut answer)
            .expect("the control socket answers");
        assert!(answer.starts_with("ok"), "{command}: {answer}");
    }

    /// The directory of its sockets, each named after its listener.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.directory.path().join("sockets")
    }

    fn socket(&self, listener: &str) -> PathBuf {
        self.sockets().join(format!("{listener}.sock"))
    }

    /// Waits until the agent listens there.
    fn connect(&self, listener: &str) -> UnixStream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(self.socket(listener)) {
                Ok(stream) => return stream,
                Err(error) => assert!(
                    Instant::now() < deadline,
                    "nobody listens at {listener}: {error}"
                ),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
