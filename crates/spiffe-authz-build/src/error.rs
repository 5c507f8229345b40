use std::fmt;

/// Rules that cannot be made, with everything that is wrong and what to write instead.
///
/// ```
/// let error = spiffe_authz_build::Rules::new().generate(b"no descriptor set").unwrap_err();
/// assert!(error.to_string().contains("descriptor set"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    problems: Vec<String>,
}

impl Error {
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    pub(crate) fn one(problem: String) -> Self {
        Self::new(vec![problem])
    }

    /// What is wrong, each with its file, service and method.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no rules can be made of the schema")?;
        self.problems()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// A build script that returns an error shows it in this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
