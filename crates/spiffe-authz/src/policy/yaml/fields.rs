//! Maps: with names that the file chooses, or with the keys that the language knows.

use std::collections::HashMap;

use super::super::model::Spot;
use super::problems::{Problems, listed, shown};
use super::scalar::Scalar;
use super::tree::Value;
use super::value::described;

/// A key of a map and what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'d> {
    pub(super) name: &'d str,
    pub(super) at: Spot,
    pub(super) value: Value<'d>,
}

/// What stands in a map, each key once.
pub(super) fn entries<'d>(
    value: Value<'d>,
    example: &str,
    problems: &mut Problems,
) -> Option<Vec<Entry<'d>>> {
    let Some(children) = value.as_map() else {
        let what = described(value);
        problems.add(value.at(), format!("{what} stands here; write {example}"));
        return None;
    };
    let mut lines: HashMap<&str, u32> = HashMap::new();
    let mut entries = Vec::new();
    for (key, value) in children.pairs() {
        if problems.is_full() {
            break;
        }
        let Some(name) = key_text(key, problems) else {
            continue;
        };
        if let Some(line) = lines.insert(name, key.at().line) {
            let first = match line {
                0 => String::new(),
                line => format!(", first in line {line}"),
            };
            let name = shown(name);
            problems.add(
                key.at(),
                format!("the key `{name}` stands in this map twice{first}; leave one out"),
            );
            continue;
        }
        let at = key.at();
        entries.push(Entry { name, at, value });
    }
    Some(entries)
}

fn key_text<'d>(key: Value<'d>, problems: &mut Problems) -> Option<&'d str> {
    let message = match key.as_scalar() {
        Some(Scalar::Text("<<")) if key.is_plain() => {
            "merge keys are not read; write the keys out".to_owned()
        }
        Some(Scalar::Text(text)) => return Some(text),
        Some(Scalar::Null) => "a key is missing before the `:`; write one".to_owned(),
        Some(Scalar::Bool(_) | Scalar::Number(_)) => {
            let written = shown(key.as_written().unwrap_or_default());
            format!("a key is a text; write `{written}` in quotes: `\"{written}\"`")
        }
        None => format!(
            "{} stands here, where a key is meant; write a text",
            described(key)
        ),
    };
    problems.add(key.at(), message);
    None
}

/// A map that has the keys of the language only.
#[derive(Debug)]
pub(super) struct Fields<'d> {
    /// Where the map begins.
    pub(super) at: Spot,
    what: &'static str,
    found: Vec<Entry<'d>>,
}

impl<'d> Fields<'d> {
    /// Reads a map; `what` is its name in messages, such as "a rule".
    pub(super) fn read(
        value: Value<'d>,
        what: &'static str,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let example = format!("the keys of {what}: {}", listed(known));
        let mut found = entries(value, &example, problems)?;
        found.retain(|entry| {
            let is_known = known.contains(&entry.name);
            if !is_known {
                let nearest = problems.nearest(entry.name, known.iter().copied());
                let name = shown(entry.name);
                let known = listed(known);
                problems.add(
                    entry.at,
                    format!("{what} has no key `{name}`{nearest}; its keys are {known}"),
                );
            }
            is_known
        });
        Some(Self {
            at: value.at(),
            what,
            found,
        })
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry<'d>> {
        self.found.iter().find(|entry| entry.name == name).copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<Value<'d>> {
        self.entry(name).map(|entry| entry.value)
    }

    /// The value of a key that has to be there. `example` is what to write.
    pub(super) fn required(
        &self,
        name: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Value<'d>> {
        let value = self.get(name);
        if value.is_none() {
            let what = self.what;
            problems.add(self.at, format!("{what} without `{name}`; write {example}"));
        }
        value
    }
}
