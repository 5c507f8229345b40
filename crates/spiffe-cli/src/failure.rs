use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was told, for the person who gave it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried, and failed.
    Failed(String),
    /// What was given cannot be used; trying again is of no use.
    Unusable(String),
}

impl Failure {
    pub(crate) fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub(crate) fn unusable(error: impl fmt::Display) -> Self {
        Self::Unusable(error.to_string())
    }

    pub(crate) fn status(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Unusable(_) => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Unusable(message) => f.write_str(message),
        }
    }
}
