//! One value of the kind that is meant, or a problem that says what to write instead.

use serde_json::{Map, Value as Json};

use super::super::model::Spot;
use super::fields::entries;
use super::problems::{Problems, shown};
use super::scalar::Scalar;
use super::tree::{Children, Value};

/// A text that is not blank. `example` says what could stand there.
pub(super) fn text<'d>(
    value: Value<'d>,
    example: &str,
    problems: &mut Problems,
) -> Option<&'d str> {
    let text = any_text(value, example, problems)?;
    if text.trim().is_empty() {
        problems.add(value.at(), format!("the text is blank; write {example}"));
        return None;
    }
    Some(text)
}

/// A text, which may be empty.
pub(super) fn any_text<'d>(
    value: Value<'d>,
    example: &str,
    problems: &mut Problems,
) -> Option<&'d str> {
    let message = match value.as_scalar() {
        Some(Scalar::Text(text)) => return Some(text),
        Some(Scalar::Null) => format!("nothing is written here; write {example}"),
        Some(Scalar::Bool(_) | Scalar::Number(_)) => {
            let written = shown(value.as_written().unwrap_or_default());
            let kind = kind(value);
            format!("`{written}` is {kind}: put it in quotes, `\"{written}\"`, or write {example}")
        }
        None => format!(
            "{} stands here, where a text is meant; write {example}",
            kind(value)
        ),
    };
    problems.add(value.at(), message);
    None
}

/// A name for people and records: one line.
pub(super) fn name<'d>(
    value: Value<'d>,
    example: &str,
    problems: &mut Problems,
) -> Option<&'d str> {
    let name = text(value, example, problems)?;
    is_name(name, value.at(), problems).then_some(name)
}

/// Whether a text can stand in a line of a log as it is.
pub(super) fn is_name(name: &str, at: Spot, problems: &mut Problems) -> bool {
    if name.trim().is_empty() {
        problems.add(at, "the name is blank; write a name");
        return false;
    }
    if name.contains(char::is_control) {
        let name = shown(name);
        problems.add(
            at,
            format!("`{name}` is no name; a name is one line without control characters"),
        );
        return false;
    }
    true
}

/// `true` or `false`.
pub(super) fn boolean(value: Value<'_>, problems: &mut Problems) -> Option<bool> {
    if let Some(Scalar::Bool(boolean)) = value.as_scalar() {
        return Some(boolean);
    }
    let what = described(value);
    problems.add(
        value.at(),
        format!("{what} stands here; write `true` or `false`"),
    );
    None
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    value: Value<'_>,
    words: &[(&'static str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let meant = match value.as_scalar() {
        Some(Scalar::Text(text)) => words.iter().find(|(word, _)| *word == text),
        _ => None,
    };
    if meant.is_none() {
        let what = described(value);
        let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        problems.add(
            value.at(),
            format!("{what} stands here; write {}", words.join(" or ")),
        );
    }
    meant.map(|(_, meant)| *meant)
}

/// A list of at least one item. `example` is a whole list.
pub(super) fn list<'d>(
    value: Value<'d>,
    example: &str,
    problems: &mut Problems,
) -> Option<Children<'d>> {
    let message = match value.as_list() {
        Some(items) if !items.is_empty() => return Some(items),
        Some(_) => format!("the list is empty, and empty never means any; write {example}"),
        None => match value.as_scalar() {
            Some(Scalar::Text(text)) => format!(
                "`{}` stands here, where a list is meant; write {example}",
                shown(text)
            ),
            _ => format!("{} stands here; write {example}", described(value)),
        },
    };
    problems.add(value.at(), message);
    None
}

/// A list of texts that are not blank, at least one.
pub(super) fn texts(
    value: Value<'_>,
    example: &str,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for item in list(value, example, problems)?.items() {
        if let Some(item) = text(item, &format!("a text, as in {example}"), problems) {
            texts.push(item.to_owned());
        }
    }
    Some(texts)
}

/// Any value that JSON has.
pub(super) fn json(value: Value<'_>, problems: &mut Problems) -> Option<Json> {
    if let Some(items) = value.as_list() {
        let mut list = Vec::new();
        for item in items.items() {
            list.push(json(item, problems)?);
        }
        return Some(Json::Array(list));
    }
    match value.as_scalar() {
        None => object(value, problems).map(Json::Object),
        Some(Scalar::Null) => Some(Json::Null),
        Some(Scalar::Bool(boolean)) => Some(Json::Bool(boolean)),
        Some(Scalar::Text(text)) => Some(Json::String(text.to_owned())),
        Some(Scalar::Number(Some(number))) => Some(Json::Number(number)),
        Some(Scalar::Number(None)) => {
            let written = shown(value.as_written().unwrap_or_default());
            problems.add(
                value.at(),
                format!("`{written}` is no number of JSON with 64 bits; write a smaller one, or a text in quotes"),
            );
            None
        }
    }
}

/// A map whose values are anything that JSON has.
pub(super) fn object(value: Value<'_>, problems: &mut Problems) -> Option<Map<String, Json>> {
    let mut map = Map::new();
    for entry in entries(value, "a map, such as `{ state: open }`", problems)? {
        map.insert(entry.name.to_owned(), json(entry.value, problems)?);
    }
    Some(map)
}

/// What a value is, for a message: "`x`", "nothing", "a list".
pub(super) fn described(value: Value<'_>) -> String {
    match value.as_scalar() {
        Some(Scalar::Null) => "nothing".to_owned(),
        Some(Scalar::Text(text)) => format!("the text `{}`", shown(text)),
        Some(Scalar::Bool(_) | Scalar::Number(_)) => {
            format!("`{}`", shown(value.as_written().unwrap_or_default()))
        }
        None => kind(value).to_owned(),
    }
}

fn kind(value: Value<'_>) -> &'static str {
    match value.as_scalar() {
        Some(Scalar::Null) => "nothing",
        Some(Scalar::Bool(_)) => "`true` or `false`, not a text",
        Some(Scalar::Number(_)) => "a number, not a text",
        Some(Scalar::Text(_)) => "a text",
        None if value.as_list().is_some() => "a list",
        None => "a map",
    }
}
