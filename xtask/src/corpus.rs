use std::path::Path;

use xshell::{Shell, cmd};

/// Writes the corpus of SVIDs into a folder, target/corpus unless another is named.
pub(crate) fn write(shell: &Shell, out: Option<&Path>) -> anyhow::Result<()> {
    let usual = crate::root().join("target/corpus");
    let directory = out.unwrap_or(&usual);
    // What an earlier run has left is of other keys.
    let cases = directory.join("cases");
    if cases.exists() {
        shell.remove_path(cases)?;
    }
    cmd!(shell, "cargo run --package corpus -- generate {directory}").run()?;
    Ok(())
}

/// Verifies so many mutated chains; none may be accepted, and the verifier may not panic.
pub(crate) fn mutate(shell: &Shell, count: u32) -> anyhow::Result<()> {
    let count = count.to_string();
    cmd!(
        shell,
        "cargo run --release --package corpus -- mutate {count}"
    )
    .run()?;
    Ok(())
}
