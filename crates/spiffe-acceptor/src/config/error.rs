use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::key::{Given, Key, Mark, Origin};

/// What is wrong with a configuration, or with what came of it: where it is said, what it says, and
/// what to write instead.
///
/// ```
/// use spiffe_acceptor::config::Config;
///
/// let error = Config::from_yaml("http:\n  timeout: 30\n").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 2, column 12: http.timeout: `30` is no duration; write a number with its unit, such as `30s`",
/// );
/// assert_eq!((error.key(), error.line()), (Some("http.timeout"), Some(2)));
/// ```
#[derive(Debug, Clone)]
pub struct ConfigError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    key: Option<Key>,
    origin: Option<Origin>,
    message: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ConfigError {
    pub(super) fn new(key: Key, origin: Option<Origin>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            key: Some(key),
            origin,
            message: message.into(),
            cause: None,
        }))
    }

    pub(super) fn of<T>(key: Key, given: &Given<T>, message: impl Into<String>) -> Self {
        Self::new(key, Some(given.origin.clone()), message)
    }

    pub(super) fn in_file(mark: Mark, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            key: None,
            origin: Some(Origin::File(mark)),
            message: message.into(),
            cause: None,
        }))
    }

    /// What another crate has refused; it says why.
    pub(super) fn caused(
        key: Option<Key>,
        origin: Option<Origin>,
        cause: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(Inner {
            key,
            origin,
            message: cause.to_string(),
            cause: Some(Arc::new(cause)),
        }))
    }

    /// The key in question, as it is written in a file with a dot before each level.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.map(Key::path)
    }

    /// The environment variable that holds the value, where one does.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &self.0.origin {
            Some(Origin::Variable(name)) => Some(name),
            _ => None,
        }
    }

    /// The line of the file, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.at().map(|(line, _)| line)
    }

    /// The column of the file in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        self.at().map(|(_, column)| column)
    }

    fn at(&self) -> Option<(u64, u64)> {
        match &self.0.origin {
            Some(Origin::File(mark)) => mark.at,
            _ => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        match (&inner.origin, inner.key) {
            (Some(Origin::File(mark)), Some(key)) => write!(f, "{mark}: {}: ", key.path())?,
            (Some(Origin::File(mark)), None) => write!(f, "{mark}: ")?,
            (Some(Origin::Variable(name)), Some(key)) => write!(f, "{name} ({}): ", key.path())?,
            (_, Some(key)) => write!(f, "{}: ", key.path())?,
            (_, None) => {}
        }
        f.write_str(&inner.message)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        }
    }
}
