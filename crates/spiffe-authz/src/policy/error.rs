use std::fmt;
use std::path::{Path, PathBuf};

use super::model::Spot;

/// How many problems a message shows; the rest are counted.
const SHOWN: usize = 20;

/// A policy that cannot be used, with everything that is wrong with it.
///
/// In a file, each problem has its place, `FILE:LINE:COLUMN`, and says what to write instead.
///
/// ```
/// use spiffe_authz::policy::Policy;
///
/// let error = Policy::from_yaml("version: 1\nname: orders\nrule: []\n").unwrap_err();
/// assert!(error.to_string().contains("3:1: a policy has no key `rule`"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPolicy {
    file: Option<PathBuf>,
    problems: Vec<Problem>,
}

/// One thing that is wrong with a policy.
///
/// ```
/// use spiffe_authz::policy::Policy;
///
/// let error = Policy::from_yaml("version: 2").unwrap_err();
/// assert_eq!(error.problems().first().map(|problem| problem.line()), Some(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(crate) at: Spot,
    pub(crate) message: String,
}

impl InvalidPolicy {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self {
            file: None,
            problems,
        }
    }

    /// One problem that has no place.
    pub(crate) fn plain(message: &str) -> Self {
        Self::new(vec![Problem::plain(message.to_owned())])
    }

    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// What is wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Problem {
    pub(crate) fn new(at: Spot, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    /// A problem that has no place.
    pub(crate) fn plain(message: String) -> Self {
        Self::new(Spot::default(), message)
    }

    /// The line, from 1; zero where the policy comes from no file.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// The column, from 1, in characters; zero where the policy comes from no file.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.at.column
    }

    /// What is wrong and what to write instead, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let Spot { line, column } = problem.at;
            match (&self.file, line) {
                (_, 0) => {}
                (Some(file), _) => write!(f, "{}:{line}:{column}: ", file.display())?,
                (None, _) => write!(f, "{line}:{column}: ")?,
            }
            f.write_str(&problem.message)?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for InvalidPolicy {}
