//! `spiffectl dev`: the development agent, and what it is told while it runs.

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use spiffe_devkit::{Agent, AgentBuilder, Command as AgentCommand, send_command};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::print;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the SPIFFE Workload API with identities from a file
    Agent {
        /// The declaration of trust domains, listeners and entries, YAML
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Tell a running agent what to do; `status` shows what it has, a wrong word what it knows
    Ctl {
        /// The control socket, whose path the agent printed
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// The command, `rotate svids` for example
        #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
        words: Vec<String>,
    },
}

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Agent { config } => {
            let builder = AgentBuilder::from_file(&config).map_err(Failure::unusable)?;
            log_to_stderr();
            Runtime::new()
                .map_err(Failure::failed)?
                .block_on(serve(builder))
        }
        Command::Ctl { socket, words } => {
            let command = parse(&words.join(" "))?;
            let told = Runtime::new()
                .map_err(Failure::failed)?
                .block_on(send_command(&socket, &command));
            print(&told.map_err(Failure::failed)?)
        }
    }
}

async fn serve(builder: AgentBuilder) -> Result<(), Failure> {
    // Before the first socket: whoever ends the agent at once finds nothing left either.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let agent = builder.control().start().await.map_err(|error| {
        if error.is_invalid() {
            Failure::unusable(error)
        } else {
            Failure::failed(error)
        }
    })?;
    print(&greeting(&agent))?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    agent.shutdown().await;
    Ok(())
}

/// What to paste into a shell. Every line is a command or a comment.
fn greeting(agent: &Agent) -> String {
    let mut text = String::new();
    for (name, endpoint) in agent.endpoints() {
        text.push_str(&format!(
            "# {name}\nexport SPIFFE_ENDPOINT_SOCKET={endpoint}\n"
        ));
    }
    if let Some(socket) = agent.control_socket().map(Path::display) {
        text.push_str(&format!(
            "# to tell the agent what to do (cargo run -p spiffe-cli -- in place of spiffectl)\n# spiffectl dev ctl --socket {socket} status\n"
        ));
    }
    text
}

fn parse(text: &str) -> Result<AgentCommand, Failure> {
    let command = text.parse().map_err(Failure::unusable)?;
    Ok(match command {
        // The agent may run elsewhere, so a relative path would mean another file to it.
        AgentCommand::AddBundle(name, file) => {
            let file = std::path::absolute(&file).map_err(Failure::unusable)?;
            AgentCommand::AddBundle(name, file)
        }
        other => other,
    })
}

/// `RUST_LOG` says what; without it, who asked and what it got.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}
