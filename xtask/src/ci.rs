use std::time::Instant;

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::satellite::{self, Satellite};

type Step = (&'static str, fn(&Shell) -> anyhow::Result<()>);

/// What a change has to pass: the quickest to fail first, the tests last.
const STEPS: [Step; 9] = [
    ("format", format),
    ("clippy", clippy),
    ("features", features),
    ("ring", ring),
    ("docs", docs),
    ("dependencies", dependencies),
    ("satellites", satellites),
    ("interop", |shell| satellite::interop(shell, &[])),
    ("tests", tests),
];

/// Runs the steps, or only those that are named.
pub(crate) fn run(shell: &Shell, only: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = only
        .iter()
        .find(|only| !STEPS.iter().any(|(name, _)| name == only))
    {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no step `{unknown}`; the steps are {}",
            names.join(", ")
        );
    }
    for (name, step) in STEPS {
        if only.is_empty() || only.iter().any(|only| only == name) {
            println!("=== {name}");
            let begun = Instant::now();
            step(shell).with_context(|| format!("step `{name}`"))?;
            println!("=== {name}: passed after {} s", begun.elapsed().as_secs());
        }
    }
    Ok(())
}

fn format(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    for satellite in Satellite::ALL {
        let manifest = satellite.manifest();
        cmd!(shell, "cargo fmt --manifest-path {manifest} --check").run()?;
    }
    Ok(())
}

fn clippy(shell: &Shell) -> anyhow::Result<()> {
    cmd!(
        shell,
        "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings"
    )
    .run()?;
    Ok(())
}

/// Each library as small as it can be had: what another crate of the workspace asks for hides what is
/// missing. Where keys or certificates are read, a crypto provider is part of the least.
const LEAST: [(&str, &str); 10] = [
    ("spiffe-peer", ""),
    ("spiffe-verify", "aws-lc-rs"),
    ("spiffe-source", "aws-lc-rs"),
    ("spiffe-tls", "aws-lc-rs"),
    ("spiffe-acceptor", "aws-lc-rs"),
    ("spiffe-connector", "aws-lc-rs"),
    ("spiffe-authz", ""),
    ("spiffe-authz", "axum"),
    ("spiffe-authz", "tonic"),
    ("spiffe-authz-build", ""),
];

fn features(shell: &Shell) -> anyhow::Result<()> {
    for (package, features) in LEAST {
        cmd!(
            shell,
            "cargo clippy --locked -p {package} --no-default-features --features {features} -- -D warnings"
        )
        .run()?;
    }
    Ok(())
}

/// The features of the crypto providers are additive: the build with ring alone has to work too.
fn ring(shell: &Shell) -> anyhow::Result<()> {
    cmd!(
        shell,
        "cargo test --locked -p spiffe-verify --no-default-features --features ring"
    )
    .run()?;
    Ok(())
}

fn docs(shell: &Shell) -> anyhow::Result<()> {
    let doc = cmd!(
        shell,
        "cargo doc --locked --workspace --no-deps --all-features"
    );
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

/// Licences, banned crates and sources (deny.toml), where cargo-deny is installed.
fn dependencies(shell: &Shell) -> anyhow::Result<()> {
    if cmd!(shell, "cargo deny --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_err()
    {
        println!("cargo deny: not available");
        return Ok(());
    }
    cmd!(
        shell,
        "cargo deny --all-features check licenses bans sources"
    )
    .run()?;
    Ok(())
}

fn satellites(shell: &Shell) -> anyhow::Result<()> {
    for satellite in Satellite::ALL {
        let manifest = satellite.manifest();
        cmd!(
            shell,
            "cargo clippy --manifest-path {manifest} --all-targets -- -D warnings"
        )
        .run()?;
    }
    Ok(())
}

/// The command that the README gives.
fn tests(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo test --workspace").run()?;
    Ok(())
}
