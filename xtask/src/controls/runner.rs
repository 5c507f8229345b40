use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use super::control::Test;

/// The most seconds that a build may take; the first builds every dependency.
const BUILD_SECONDS: &str = "1800";

/// The most seconds that a test may take: several times what the slowest needs on a loaded machine.
const TEST_SECONDS: &str = "180";

/// How a test has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    /// It was still running when its time was up.
    Hung,
    /// There is no such test, or its process ended without a word on it.
    Unknown,
}

/// Builds and runs tests of the copy, apart from everything else that is built here.
pub(super) struct Runner<'a> {
    shell: &'a Shell,
    checkout: &'a Path,
    packages: Vec<&'static str>,
    target: PathBuf,
    logs: PathBuf,
}

impl<'a> Runner<'a> {
    /// `packages` are all that have tests to run. They are always built together, since cargo would
    /// build what they depend on once for each choice of them: the features differ.
    pub(super) fn new(
        shell: &'a Shell,
        checkout: &'a Path,
        packages: &[&'static str],
        kept: &Path,
    ) -> anyhow::Result<Self> {
        let logs = kept.join("logs");
        shell.create_dir(&logs)?;
        Ok(Self {
            shell,
            checkout,
            packages: packages
                .iter()
                .flat_map(|package| ["--package", package])
                .collect(),
            target: kept.join("target"),
            logs,
        })
    }

    /// Builds one target, and runs the tests of it that are named. What cargo says is kept under
    /// `log`.
    ///
    /// # Errors
    ///
    /// Where the target does not compile.
    pub(super) fn run(&self, log: &str, tests: &[Test]) -> anyhow::Result<Vec<Verdict>> {
        let Some(first) = tests.first() else {
            return Ok(Vec::new());
        };
        let log = self.logs.join(format!("{log}.txt"));
        let target = first.target.flags();
        let (_, built) = self.cargo(BUILD_SECONDS, &target, &["--no-run"], &log)?;
        if !built {
            let shown = log.strip_prefix(crate::root()).unwrap_or(&log);
            bail!("it does not compile: {}", shown.display());
        }
        let names = tests.iter().map(|test| test.name);
        let chosen: Vec<_> = ["--no-fail-fast", "--", "--exact"]
            .into_iter()
            .chain(names)
            .collect();
        let (printed, _) = self.cargo(TEST_SECONDS, &target, &chosen, &log)?;
        Ok(tests
            .iter()
            .map(|test| verdict(&printed, test.name))
            .collect())
    }

    /// What a bounded run of cargo prints, and whether it succeeded. `timeout` runs it in a process
    /// group of its own and ends all of that, also where this program has been ended meanwhile.
    fn cargo(
        &self,
        seconds: &str,
        target: &[&str],
        arguments: &[&str],
        log: &Path,
    ) -> anyhow::Result<(Printed, bool)> {
        let packages = &self.packages;
        let _inside = self.shell.push_dir(self.checkout);
        let output = cmd!(
            self.shell,
            "timeout --kill-after=5 {seconds} cargo test {packages...} {target...} {arguments...}"
        )
        .env("CARGO_TARGET_DIR", &self.target)
        .env("CARGO_TERM_COLOR", "never")
        // Small changes are built many times, and nobody debugs them.
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .quiet()
        .ignore_status()
        .output()
        .context("cargo is run under coreutils' `timeout`")?;
        self.shell
            .write_file(log, [output.stderr, output.stdout.clone()].concat())?;
        let printed = Printed {
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            // Of `timeout`; by a signal where even that had to be killed.
            in_time: !matches!(output.status.code(), None | Some(124 | 137)),
        };
        Ok((printed, output.status.success()))
    }
}

struct Printed {
    text: String,
    in_time: bool,
}

fn verdict(printed: &Printed, name: &str) -> Verdict {
    let line = format!("test {name} ... ");
    let told = printed
        .text
        .lines()
        .find_map(|printed| printed.strip_prefix(&line));
    match told {
        Some("ok") => Verdict::Passed,
        Some("FAILED") => Verdict::Failed,
        _ if !printed.in_time => Verdict::Hung,
        _ => Verdict::Unknown,
    }
}
