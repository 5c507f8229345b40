//! Everything that is wrong with a file, up to a bound.

use super::super::error::Problem;
use super::super::model::Spot;

/// How many problems are collected.
pub(super) const MAX_PROBLEMS: usize = 100;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 600;

/// How much of a text from the file a message shows, in characters.
const SHOWN: usize = 80;

/// How many names are compared for suggestions in one file.
const MAX_COMPARISONS: u32 = 20_000;

/// The longest name that a suggestion is looked for, in bytes.
const MAX_COMPARED: usize = 64;

#[derive(Debug)]
pub(super) struct Problems {
    found: Vec<Problem>,
    comparisons_left: u32,
}

impl Problems {
    pub(super) fn new() -> Self {
        Self {
            found: Vec::new(),
            comparisons_left: MAX_COMPARISONS,
        }
    }

    pub(super) fn add(&mut self, at: Spot, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let message = message.into();
        let message = match message.char_indices().nth(MAX_MESSAGE) {
            Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
            None => message,
        };
        self.found.push(Problem::new(at, message));
    }

    /// Whether reading on would tell nothing more.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found
            .sort_by_key(|problem| (problem.at.line, problem.at.column));
        // What an alias repeats is wrong in one place.
        self.found.dedup();
        self.found
    }

    /// A remark that names the most alike of the names there are.
    pub(super) fn nearest<'n>(
        &mut self,
        wanted: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> String {
        let allowed = (wanted.len() / 3).clamp(1, 3);
        let mut best: Option<(usize, &str)> = None;
        for name in names {
            if wanted.len() > MAX_COMPARED || self.comparisons_left == 0 {
                break;
            }
            if name.len().abs_diff(wanted.len()) > allowed {
                continue;
            }
            self.comparisons_left -= 1;
            let apart = strsim::osa_distance(wanted, name);
            if apart <= allowed && best.is_none_or(|best| (apart, name) < best) {
                best = Some((apart, name));
            }
        }
        best.map_or_else(String::new, |(_, name)| {
            format!(" (did you mean `{}`?)", shown(name))
        })
    }
}

/// A text from the file, short and on one line.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for sign in text.chars().take(SHOWN) {
        match sign {
            '"' | '\'' | '\\' => shown.push(sign),
            _ => shown.extend(sign.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Names in a sentence: "`a`, `b` and `c`".
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
