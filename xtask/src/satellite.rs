use std::ffi::OsString;

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

/// A workspace of its own, so that what it depends on never reaches the libraries.
#[derive(Clone, Copy)]
pub(crate) enum Satellite {
    Interop,
    Bench,
    Fuzz,
    Cedar,
}

impl Satellite {
    pub(crate) const ALL: [Self; 4] = [Self::Interop, Self::Bench, Self::Fuzz, Self::Cedar];

    /// Its manifest, from the root.
    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Interop => "tests/interop/Cargo.toml",
            Self::Bench => "tests/bench/Cargo.toml",
            Self::Fuzz => "tests/fuzz/Cargo.toml",
            Self::Cedar => "examples/cedar/Cargo.toml",
        }
    }
}

/// Runs the tests against other programs.
pub(crate) fn interop(shell: &Shell, args: &[OsString]) -> anyhow::Result<()> {
    let manifest = Satellite::Interop.manifest();
    cmd!(shell, "cargo test --manifest-path {manifest} -- {args...}").run()?;
    Ok(())
}

/// Runs the benches that are named; all of them where none is.
pub(crate) fn bench(shell: &Shell, names: &[String]) -> anyhow::Result<()> {
    let manifest = Satellite::Bench.manifest();
    let results = crate::root().join("target/bench");
    for name in chosen(shell, "tests/bench/src/bin", names)? {
        println!("=== {name}");
        cmd!(
            shell,
            "cargo run --release --manifest-path {manifest} --bin {name} -- {results}"
        )
        .run()?;
    }
    Ok(())
}

/// Runs the load programs that are named; all of them where none is.
pub(crate) fn load(shell: &Shell, names: &[String], amount: Option<u32>) -> anyhow::Result<()> {
    let amount = &amount.map(|amount| amount.to_string());
    for name in chosen(shell, "tests/load/src/bin", names)? {
        println!("=== {name}");
        cmd!(
            shell,
            "cargo run --release --package load --bin {name} -- {amount...}"
        )
        .run()?;
    }
    Ok(())
}

/// What makes the compiler note which code an input reaches, the way libFuzzer reads it. The
/// sanitizers would need a nightly compiler; safe code has little use for them.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code -Ccodegen-units=1 --cfg fuzzing";

/// Runs the fuzz targets that are named, so many seconds each; all of them where none is.
pub(crate) fn fuzz(shell: &Shell, names: &[String], seconds: u32) -> anyhow::Result<()> {
    let manifest = Satellite::Fuzz.manifest();
    let target = host(shell)?;
    let kept = crate::root().join("tests/fuzz/target");
    let seconds = seconds.to_string();
    for name in chosen(shell, "tests/fuzz/fuzz_targets", names)? {
        println!("=== {name}");
        let (corpus, crashes) = (
            kept.join("corpus").join(&name),
            kept.join("crashes").join(&name),
        );
        shell.create_dir(&corpus)?;
        shell.create_dir(&crashes)?;
        // libFuzzer takes it as the beginning of a file name.
        let crashes = crashes.join("");
        // A target is named, so that build scripts are compiled without the flags.
        let run = cmd!(
            shell,
            "cargo run --release --manifest-path {manifest} --target {target} --bin {name} -- {corpus}"
        );
        let limits = [
            "-max_len=20000".into(),
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}", crashes.display()),
        ];
        run.args(limits).env("RUSTFLAGS", COVERAGE).run()?;
    }
    Ok(())
}

fn host(shell: &Shell) -> anyhow::Result<String> {
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not name its host")
}

/// The programs in a directory that are named; all of them where none is.
fn chosen(shell: &Shell, directory: &str, names: &[String]) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for file in shell.read_dir(directory)? {
        if file.extension().is_some_and(|extension| extension == "rs") {
            all.extend(
                file.file_stem()
                    .and_then(|name| name.to_str())
                    .map(str::to_owned),
            );
        }
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no `{unknown}` in {directory}; there are {}",
            all.join(", ")
        );
    }
    Ok(if names.is_empty() {
        all
    } else {
        names.to_vec()
    })
}
