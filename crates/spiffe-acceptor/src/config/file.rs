use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::{Error as YamlError, Location, MergeKeyPolicy};

use super::error::ConfigError;
use super::key::Mark;
use super::schema::Document;

/// Some thousand IDs; nobody writes more by hand.
pub(super) const MAX_BYTES: u64 = 64 * 1024;

const EVERYBODY_WRITES: u32 = 0o002;

/// Reads a regular file of limited size. Blocks for as long as the disk takes.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let wrong = |why: String| {
        let file = Some(Arc::from(path));
        ConfigError::in_file(Mark { file, at: None }, why)
    };
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => wrong("it is no text in UTF-8".to_owned()),
        _ => wrong(format!("it cannot be read: {error}")),
    };
    // A FIFO would be waited for without end, so it is not opened.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "a directory"
        } else {
            "no regular file"
        };
        return Err(wrong(format!("it is {what}; name a YAML file")));
    }
    if metadata.permissions().mode() & EVERYBODY_WRITES != 0 {
        tracing::warn!(target: "spiffe_acceptor", file = %path.display(), "every user can write the configuration, and so decide who gets in");
    }
    let mut text = String::new();
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if is_too_long(&text) {
        return Err(wrong(TOO_LONG.to_owned()));
    }
    Ok(text)
}

pub(super) const TOO_LONG: &str = "it has more than 64 KiB, which no configuration needs";

pub(super) fn is_too_long(text: &str) -> bool {
    u64::try_from(text.len()).map_or(true, |length| length > MAX_BYTES)
}

pub(super) fn parse(text: &str, file: Option<&Arc<Path>>) -> Result<Document, ConfigError> {
    let whole = || Mark {
        file: file.cloned(),
        at: None,
    };
    if is_too_long(text) {
        return Err(ConfigError::in_file(whole(), TOO_LONG));
    }
    let options = serde_saphyr::options! {
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let mark = mark(file, error.location().unwrap_or(Location::UNKNOWN));
        ConfigError::in_file(mark, told(error))
    })
}

pub(super) fn mark(file: Option<&Arc<Path>>, location: Location) -> Mark {
    Mark {
        file: file.cloned(),
        at: (location != Location::UNKNOWN).then(|| (location.line(), location.column())),
    }
}

fn told(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField { field, .. } if field == "enabled" => {
            "there is no `enabled`: a listener is there when the program binds it; leave it out".to_owned()
        }
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let known: Vec<_> = expected.iter().map(|name| format!("`{name}`")).collect();
            let field = super::value::shown(field);
            format!("there is no `{field}` here; write one of {}", known.join(", "))
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = super::value::shown(key.as_deref().unwrap_or("a key"));
            format!("`{key}` stands here twice; leave one out")
        }
        YamlError::MergeKeyNotAllowed { .. } => {
            "merge keys are not read; write the keys out".to_owned()
        }
        YamlError::NullIntoString { .. } => {
            "nothing is written here, which does not mean the default; leave the key out, or write a value".to_owned()
        }
        YamlError::Unexpected { expected, .. } if *expected == "mapping start" => {
            "a block of `key: value` lines belongs here".to_owned()
        }
        other => {
            let told = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            // The place stands at the front already.
            super::value::shown(told.split(" at line ").next().unwrap_or_default())
        }
    }
}
