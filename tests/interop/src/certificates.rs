use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Agent, Running, program};

/// An SVID, its key and its bundle in files, as `spiffectl svid write` writes them.
pub struct Certificates(TempDir);

impl Certificates {
    /// Writes what the agent gives to the callers at that listener.
    #[must_use]
    pub fn write(agent: &Agent, listener: &str) -> Self {
        let certificates = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        certificates.write_again(agent, listener);
        certificates
    }

    /// Replaces them by what the agent gives now.
    pub fn write_again(&self, agent: &Agent, listener: &str) {
        let mut command = Command::new(program("spiffectl"));
        command
            .args(["svid", "write", "--dir"])
            .arg(self.directory());
        command.env("SPIFFE_ENDPOINT_SOCKET", agent.endpoint(listener));
        let _ = Running::start(&mut command).finish().success();
    }

    /// The chain of the SVID.
    #[must_use]
    pub fn svid(&self) -> PathBuf {
        self.file("svid.pem")
    }

    /// The key of the SVID.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.file("svid_key.pem")
    }

    /// The authorities of the SVID's trust domain.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.file("bundle.pem")
    }

    /// The directory that they are in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
