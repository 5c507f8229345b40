//! `spiffectl`: what a person does with SPIFFE services on a command line.
//!
//! It ends with the status 0 where it did what it was told, 1 where that failed, and 2 where what it
//! was given cannot be used.

mod advice;
mod call;
mod dev;
mod doctor;
mod failure;
mod policy;
mod svid;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

#[derive(Debug, Parser)]
#[command(
    name = "spiffectl",
    version,
    about = "SPIFFE services on the command line"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call a server whose identity is proved and expected, over HTTP or gRPC: a curl for SVIDs
    Call(call::Arguments),
    /// An agent for development, in place of SPIRE
    #[command(subcommand)]
    Dev(dev::Command),
    /// Check the way from the variable to the agent, the identity and a peer, step by step
    Doctor(doctor::Arguments),
    /// Policies of services: check, test, explain and compare them
    #[command(subcommand)]
    Policy(policy::Command),
    /// The identity of this process, as the Workload API gives it
    #[command(subcommand)]
    Svid(svid::Command),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Call(arguments) => call::run(arguments),
        Command::Dev(command) => dev::run(command),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Policy(command) => policy::run(command),
        Command::Svid(command) => svid::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody reads it: there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "spiffectl: {failure}");
            failure.status()
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush())
        .map_err(Failure::failed)
}
