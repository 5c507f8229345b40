//! An agent as a process of its own, so that a test can kill and stop it: `chaos-agent DIRECTORY`.
//! It says `ready` when it listens, and ends with its standard input.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a part of the tests"
)]

use integration::agent;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() {
    let directory = std::env::args_os().nth(1).expect("chaos-agent DIRECTORY");
    let agent = agent().directory(directory).control().start().await;
    let agent = agent.expect("the agent starts");
    println!("ready");
    let mut rest = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
    agent.shutdown().await;
}
