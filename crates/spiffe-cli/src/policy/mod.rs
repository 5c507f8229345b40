//! `spiffectl policy`: what a policy says, before a service obeys it.

mod check;
mod diff;
mod eval;
mod excerpt;
mod explain;
mod graph;
mod load;
mod test;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use spiffe_peer::TrustDomain;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a policy, and what looks wrong
    Check(check::Arguments),
    /// Run the tests that policies bring along
    Test(test::Arguments),
    /// Say how one request is decided, and which rules came close
    Explain(explain::Arguments),
    /// Decide on recorded requests: a line of JSON in, a line of JSON out
    Eval(eval::Arguments),
    /// Say who may do what under one of two policies only
    Diff(diff::Arguments),
    /// Draw who may call what
    Graph(graph::Arguments),
}

/// The service that a policy is for.
#[derive(Debug, clap::Args)]
struct Service {
    /// The trust domain that `own:` stands for
    #[arg(long, value_name = "NAME", value_parser = trust_domain)]
    trust_domain: Option<TrustDomain>,
}

/// When it is.
#[derive(Debug, clap::Args)]
struct Clock {
    /// Decide as at this date (midnight UTC) or RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<SystemTime>,
}

impl Clock {
    fn now(&self) -> SystemTime {
        self.now.unwrap_or_else(SystemTime::now)
    }
}

/// A policy file, and the service that it is for.
#[derive(Debug, clap::Args)]
struct File {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    service: Service,
}

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
    }
}

fn trust_domain(text: &str) -> Result<TrustDomain, String> {
    spiffe_peer::parse::trust_domain(text).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<SystemTime, String> {
    let is_date = text.len() == "2031-01-31".len();
    let midnight = if is_date { "T00:00:00Z" } else { "" };
    OffsetDateTime::parse(&format!("{text}{midnight}"), &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| "write a date, such as 2031-01-31, or a time with its zone, such as 2031-01-31T18:00:00Z".to_owned())
}
