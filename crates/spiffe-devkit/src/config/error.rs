use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::{Error as YamlError, Location};

/// What is wrong with a declaration in a file: `FILE:LINE:COLUMN: what; what to write instead`.
///
/// See [`AgentBuilder::from_yaml`](crate::AgentBuilder::from_yaml) for an example.
#[derive(Debug, Clone)]
pub struct InvalidConfig {
    file: PathBuf,
    problem: Problem,
}

/// What is wrong, and in which line and column where that is known.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    at: Option<(u64, u64)>,
    message: String,
}

impl InvalidConfig {
    pub(super) fn new(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            problem,
        }
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.problem.at.map(|(line, _)| line)
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.problem.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem.message)
    }
}

impl std::error::Error for InvalidConfig {}

impl Problem {
    pub(super) fn at(location: Location, message: impl Into<String>) -> Self {
        let at = (location != Location::UNKNOWN).then(|| (location.line(), location.column()));
        Self {
            at,
            message: message.into(),
        }
    }

    pub(super) fn somewhere(message: impl Into<String>) -> Self {
        Self {
            at: None,
            message: message.into(),
        }
    }
}

impl From<YamlError> for Problem {
    fn from(error: YamlError) -> Self {
        let error = error.without_snippet();
        let message = match error {
            YamlError::SerdeUnknownField {
                field, expected, ..
            } => {
                format!(
                    "there is no `{}` here; write one of {}",
                    field.escape_debug(),
                    quoted(expected)
                )
            }
            YamlError::SerdeMissingField { field, .. } => {
                format!("`{field}` is missing; add `{field}:`")
            }
            YamlError::DuplicateMappingKey { key, .. } => {
                let key = key.as_deref().unwrap_or("a key").escape_debug().to_string();
                format!("`{key}` stands here twice; leave one out")
            }
            YamlError::MergeKeyNotAllowed { .. } => {
                "merge keys are not read; write the fields out".to_owned()
            }
            YamlError::InvalidBooleanStrict { .. } => {
                "it is neither true nor false; write `true` or `false`".to_owned()
            }
            YamlError::InvalidScalar { .. } => {
                "a whole number belongs here, such as `1000`".to_owned()
            }
            YamlError::Unexpected { expected, .. } => format!("{} belongs here", shape(expected)),
            YamlError::NullIntoString { .. } => {
                "a text belongs here, and nothing is written".to_owned()
            }
            YamlError::Eof { .. } => {
                "the file is empty; declare `trust_domains` and `listeners`".to_owned()
            }
            other => {
                let told = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
                // It stands at the front already.
                told.split(" at line ")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        Self::at(error.location().unwrap_or(Location::UNKNOWN), message)
    }
}

fn shape(expected: &str) -> String {
    match expected {
        "sequence start" => "a list, each line of which begins with `- `,".to_owned(),
        "mapping start" => "a block of `field: value` lines".to_owned(),
        other => other.to_owned(),
    }
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
