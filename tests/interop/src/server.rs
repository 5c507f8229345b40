use std::process::Command;

use crate::{Agent, Finished, Running, program};

/// The example server, listening.
pub struct Server {
    process: Running,
    address: String,
}

impl Server {
    /// Starts the server with what the agent gives to the callers at that listener.
    #[must_use]
    pub fn start(agent: &Agent, listener: &str) -> Self {
        let mut command = Command::new(program("server"));
        command
            .env("SPIFFE_ENDPOINT_SOCKET", agent.endpoint(listener))
            .env("HTTP_ADDRESS", "127.0.0.1:0");
        let mut process = Running::start(&mut command);
        let address = process.line("listening on ");
        Self { process, address }
    }

    /// Its address, such as `127.0.0.1:45123`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> &str {
        self.address
            .rsplit(':')
            .next()
            .expect("an address has a port")
    }

    /// Sends SIGTERM and waits for the end.
    #[must_use]
    pub fn terminate(self) -> Finished {
        self.process.terminate()
    }
}
