use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use tempfile::TempDir;

use crate::{Running, program};

/// Two trust domains that do not know each other, and a listener for each caller; one gives several
/// identities, and the one for strangers gives nobody any.
const DECLARATION: &str = "
directory: sockets
trust_domains:
  - name: example.org
  - name: other.test
listeners:
  - name: server
  - name: caller
  - name: foreigner
  - name: several
  - name: stranger
entries:
  - id: spiffe://example.org/service/greeter
    on: [server]
    dns: [localhost]
  - id: spiffe://example.org/service/caller
    on: [caller]
  - id: spiffe://other.test/service/caller
    on: [foreigner]
  - id: spiffe://example.org/several/inside
    on: [several]
    hint: internal
  - id: spiffe://example.org/several/plain
    on: [several]
  - id: spiffe://example.org/several/outside
    on: [several]
    hint: external
";

const LISTENERS: usize = 5;

/// `spiffectl dev agent`: a Workload API for the programs of one test.
pub struct Agent {
    _process: Running,
    directory: TempDir,
    endpoints: BTreeMap<String, String>,
}

impl Agent {
    /// Starts an agent with the listeners `server`, `caller`, `foreigner`, `several` and `stranger`.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let config = directory.path().join("agent.yaml");
        std::fs::write(&config, DECLARATION).expect("the file can be written");
        let mut command = Command::new(program("spiffectl"));
        command.args(["dev", "agent", "--config"]).arg(config);
        let mut process = Running::start(&mut command);
        // It listens when it says so.
        let endpoints = (0..LISTENERS).map(|_| {
            let listener = process.line("# ");
            (listener, process.line("export SPIFFE_ENDPOINT_SOCKET="))
        });
        let endpoints = endpoints.collect();
        Self {
            _process: process,
            directory,
            endpoints,
        }
    }

    /// Where the Workload API answers, as the agent tells a person to set `SPIFFE_ENDPOINT_SOCKET`.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> &str {
        self.endpoints
            .get(listener)
            .unwrap_or_else(|| panic!("there is no listener `{listener}`: {:?}", self.endpoints))
    }

    /// Tells the agent a command, such as `rotate svids`.
    pub fn tell(&self, command: &str) {
        let socket = self.directory.path().join("sockets/control.sock");
        let mut control = UnixStream::connect(socket).expect("the agent takes commands");
        writeln!(control, "{command}").expect("the control socket takes a line");
        let mut answer = String::new();
        control
            .read_to_string(&mut answer)
            .expect("the control socket answers");
        assert!(answer.starts_with("ok"), "{command}: {answer}");
    }
}
