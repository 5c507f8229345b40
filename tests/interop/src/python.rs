use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Running, repository};

/// The package that the scripts use. Another version is another virtual environment.
const PACKAGE: &str = "spiffe==0.3.2";

/// Python with the package `spiffe`, about to run a script or a directory in python/.
#[must_use]
pub fn python(script: &str) -> Command {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    let interpreter = INTERPRETER.get_or_init(virtual_environment);
    let mut command = Command::new(interpreter);
    command.arg(repository().join("tests/interop/python").join(script));
    // The package takes its agent from an argument alone. Nothing is written beside the scripts.
    command
        .env_remove("SPIFFE_ENDPOINT_SOCKET")
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Makes the environment, unless an earlier run has.
fn virtual_environment() -> PathBuf {
    let all = repository().join("tests/interop/target/python");
    std::fs::create_dir_all(&all).expect("the target directory can be made");
    let lock = File::create(all.join("lock")).expect("the lock file can be made");
    // Test programs run side by side in a workspace.
    lock.lock().expect("the lock can be taken");

    let environment = all.join(PACKAGE);
    let complete = environment.join("complete");
    if !complete.exists() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        run(Command::new(interpreter(&environment))
            .args(["-m", "pip", "install", "--quiet", PACKAGE]));
        File::create(complete).expect("the environment is writable");
    }
    interpreter(&environment)
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn run(command: &mut Command) {
    let _ = Running::start(command).finish().success();
}
