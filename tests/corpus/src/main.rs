//! Writes the corpus into a folder, or verifies mutations of it.

#![allow(
    clippy::print_stdout,
    reason = "it tells the person at the terminal what it does"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use corpus::{cases, manifest, mutation};

const USAGE: &str = "corpus generate DIRECTORY | corpus mutate COUNT";

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let cases = cases::all(SystemTime::now());
    match arguments.as_slice() {
        ["generate", directory] => {
            manifest::write(Path::new(directory), &cases)?;
            println!("{} cases in {directory}", cases.len());
            Ok(ExitCode::SUCCESS)
        }
        ["mutate", count] => {
            let begun = Instant::now();
            let tally = mutation::run(&cases, count.parse()?, begun_at());
            println!("{tally}, in {} s", begun.elapsed().as_secs());
            for bad in tally.accepted.iter().chain(&tally.panics) {
                println!("{bad}");
            }
            let clean = tally.accepted.is_empty() && tally.panics.is_empty();
            Ok(if clean {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        _ => Err(USAGE.into()),
    }
}

/// A seed of its own for every run, which is told.
fn begun_at() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seed = since.as_secs();
    println!("seed {seed}");
    seed
}
