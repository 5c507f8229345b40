use std::process::Command;

use crate::{installed, repository};

/// Node, about to run a script in node/; `None` where it is [not installed](installed).
#[must_use]
pub fn node(script: &str) -> Option<Command> {
    let mut command = Command::new(installed("node")?);
    command.arg(repository().join("tests/interop/node").join(script));
    // Nothing from outside decides what is trusted.
    command
        .env_remove("NODE_OPTIONS")
        .env_remove("NODE_EXTRA_CA_CERTS");
    Some(command)
}
