//! Starts this project's programs and others beside them, as a person at a terminal would.
//!
//! Everything runs on the loopback interface and on Unix sockets in temporary directories. What a
//! test starts ends with it. No wait is without end.

mod agent;
mod certificates;
mod fake_agent;
mod nginx;
mod node;
mod process;
mod programs;
mod python;
mod server;

pub use agent::Agent;
pub use certificates::Certificates;
pub use fake_agent::{Call, FakeAgent};
pub use nginx::Nginx;
pub use node::node;
pub use process::{Finished, Running};
pub use programs::{installed, program, repository};
pub use python::python;
pub use server::Server;

use std::time::Duration;

/// How long a program may take for one step. Nothing takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
