use std::path::PathBuf;

use clap::Args;
use spiffe_authz::policy::review;

use super::excerpt::Excerpts;
use super::{Clock, Service};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    clock: Clock,
}

/// Goes through all files: one that cannot be used hides nothing of the others.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let now = arguments.clock.now();
    let (mut failed, mut all) = (0_usize, 0_usize);
    let mut unusable = Vec::new();
    for path in &arguments.files {
        let policy = match arguments.service.load(path) {
            Ok(policy) => policy,
            Err(failure) => {
                unusable.push(failure.to_string());
                continue;
            }
        };
        let excerpts = Excerpts::of(path);
        let outcomes = review::tests(&policy, now);
        let bad = outcomes.iter().filter(|outcome| !outcome.is_passed());
        let mut text = String::new();
        let mut bad_here = 0_usize;
        for outcome in bad {
            bad_here += 1;
            text.push_str(&excerpts.message(
                outcome.line(),
                outcome.column(),
                &outcome.to_string(),
            ));
        }
        let passed = outcomes.len().saturating_sub(bad_here);
        text.push_str(&match outcomes.len() {
            0 => format!("{}: no tests\n", excerpts.file()),
            _ => format!("{}: {passed} passed, {bad_here} failed\n", excerpts.file()),
        });
        print(&text)?;
        failed += bad_here;
        all += outcomes.len();
    }
    if !unusable.is_empty() {
        Err(Failure::unusable(unusable.join("\n")))
    } else if failed > 0 {
        Err(Failure::failed(format!("{failed} of {all} tests failed")))
    } else {
        Ok(())
    }
}
