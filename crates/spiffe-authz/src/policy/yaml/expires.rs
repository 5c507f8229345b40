//! The end of a rule.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::problems::{Problems, shown};
use super::tree::Value;
use super::value;

const EXAMPLE: &str = "a date, such as `2031-01-31` (from midnight UTC on), or a time with its zone, such as `2031-01-31T18:00:00Z`";

pub(super) fn read(value: Value<'_>, problems: &mut Problems) -> Option<SystemTime> {
    let text = value::text(value, EXAMPLE, problems)?;
    let time = parse(text);
    if time.is_none() {
        let text = shown(text);
        problems.add(value.at(), format!("`{text}` is no date; write {EXAMPLE}"));
    }
    time
}

fn parse(text: &str) -> Option<SystemTime> {
    let is_date = text.len() == "2031-01-31".len();
    let time = if is_date {
        OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339)
    } else {
        OffsetDateTime::parse(text, &Rfc3339)
    };
    time.ok().map(SystemTime::from)
}
