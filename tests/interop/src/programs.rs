use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The packages whose programs are wanted.
const PACKAGES: [&str; 3] = ["spiffe-cli", "example-server", "example-client"];

/// The directory of the workspace that these tests are about.
#[must_use]
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors()
        .nth(2)
        .expect("tests/interop lies in the repository")
        .to_owned()
}

/// One of the project's programs: `spiffectl`, `server` or `client`. They are built when the first is
/// asked for.
#[must_use]
pub fn program(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(build);
    built
        .get(name)
        .unwrap_or_else(|| panic!("there is no program `{name}` among {built:?}"))
}

/// A program that some machines lack, in `PATH` or where Debian keeps servers. Where it is absent, that is
/// said; it is an error if `INTEROP_DEMANDS_ALL` is set, as it is in CI.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let demanded = std::env::var_os("INTEROP_DEMANDS_ALL").is_some();
        assert!(!demanded, "{name} is not installed");
        // Not captured, as what a passing test prints would be.
        writeln!(
            stderr(),
            "{name} is not installed: nothing is shown with it"
        )
        .ok();
    }
    found
}

fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--bins",
        "--message-format",
        "json-render-diagnostics",
    ]);
    cargo
        .current_dir(repository())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "the programs do not build");
    let messages = output.stdout.split(|byte| *byte == b'\n');
    messages
        .filter_map(|line| executable(&serde_json::from_slice(line).ok()?))
        .collect()
}

/// The name and the path of a program, in one of cargo's messages.
fn executable(message: &Value) -> Option<(String, PathBuf)> {
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), path.into()))
}
