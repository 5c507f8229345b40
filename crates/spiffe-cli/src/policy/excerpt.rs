//! What stands at a place in a file, for a person, with nothing in it that a terminal obeys.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The most of a file that is read for excerpts: more than the loader takes.
const MAX_BYTES: u64 = 9 * 1024 * 1024;

/// The most of a line that is shown, in characters, on either side of the place.
const SHOWN: usize = 60;

/// The lines of a file that messages speak of.
pub(super) struct Excerpts {
    file: String,
    text: String,
}

impl Excerpts {
    /// A file that cannot be read any more has no excerpts.
    pub(super) fn of(path: &Path) -> Self {
        let mut bytes = Vec::new();
        if path.is_file()
            && let Ok(file) = File::open(path)
        {
            let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
        }
        Self {
            file: harmless(&path.display().to_string()),
            text: String::from_utf8(bytes).unwrap_or_default(),
        }
    }

    /// The message at its place, and the line with a caret below the column.
    pub(super) fn message(&self, line: u32, column: u32, message: &str) -> String {
        let message = harmless(message);
        if line == 0 {
            return format!("{}: {message}\n", self.file);
        }
        let mut text = format!("{}:{line}:{column}: {message}\n", self.file);
        let index = usize::try_from(line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let found = self.text.lines().nth(index);
        if let Some(source) = found {
            let column = usize::try_from(column)
                .unwrap_or(usize::MAX)
                .saturating_sub(1);
            let from = column.saturating_sub(SHOWN);
            let before: String = source.chars().skip(from).take(column - from).collect();
            let after: String = source.chars().skip(column).take(SHOWN).collect();
            let (before, after) = (harmless(&before), harmless(&after));
            let caret = before.chars().count();
            let _ = writeln!(text, "{line:>6} | {before}{after}");
            let _ = writeln!(text, "       | {:caret$}^", "");
        }
        text
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }
}

/// The text with everything escaped that is no plain sign: controls, and what turns or hides text.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\t' => shown.push(' '),
            '"' | '\'' | '\\' => shown.push(sign),
            _ => shown.extend(sign.escape_debug()),
        }
    }
    shown
}
