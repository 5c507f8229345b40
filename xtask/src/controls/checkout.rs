use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use super::control::Edit;

/// A copy of the workspace that may be broken.
pub(super) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Makes the copy what the workspace is now: all files but those that git ignores. A file that
    /// has not changed is not written, so that little is built again.
    pub(super) fn refresh(shell: &Shell, root: PathBuf) -> anyhow::Result<Self> {
        let listed = cmd!(shell, "git ls-files -co --exclude-standard -z")
            .quiet()
            .read()?;
        let mut kept = HashSet::new();
        for file in listed.split('\0').filter(|file| !file.is_empty()) {
            let original = crate::root().join(file);
            // git goes on to list what has been removed but not committed.
            if !original.is_file() {
                continue;
            }
            let copy = root.join(file);
            let content =
                fs::read(&original).with_context(|| format!("{} is read", original.display()))?;
            if fs::read(&copy).ok().as_ref() != Some(&content) {
                write(&copy, &content)?;
            }
            kept.insert(copy);
        }
        prune(&root, &kept)?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the edits, does something with the edited copy, and takes the edits back.
    pub(super) fn with<T>(
        &self,
        edits: &[Edit],
        what: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut originals = Vec::new();
        let outcome = self.edit(edits, &mut originals).and_then(|()| what());
        for (file, content) in originals.into_iter().rev() {
            write(&file, &content)?;
        }
        outcome
    }

    fn edit(&self, edits: &[Edit], originals: &mut Vec<(PathBuf, String)>) -> anyhow::Result<()> {
        for edit in edits {
            let file = self.root.join(edit.file);
            let content = fs::read_to_string(&file)
                .with_context(|| format!("there is no {} any more", edit.file))?;
            match content.matches(edit.text).count() {
                1 => {}
                times => bail!(
                    "what it replaces stands {times} times in {}, not once: {}",
                    edit.file,
                    edit.text.trim()
                ),
            }
            write(&file, content.replacen(edit.text, edit.replacement, 1))?;
            originals.push((file, content));
        }
        Ok(())
    }
}

fn write(file: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, content).with_context(|| format!("{} is written", file.display()))
}

/// Removes every file that is not to be kept: a module that has moved would be there twice.
fn prune(directory: &Path, kept: &HashSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            prune(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
