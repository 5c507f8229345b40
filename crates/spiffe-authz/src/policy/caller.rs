//! Patterns of callers, in a named trust domain or in the service's own.

use std::fmt;

use spiffe_peer::{IdPattern, InvalidPattern, TrustDomain};

use super::path::{InvalidPathPattern, capture_name};

/// What stands before a pattern in the service's own trust domain.
const OWN: &str = "own:";

/// A pattern that has not been tied to a service yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallerPattern {
    Absolute(IdPattern),
    /// The path of a pattern in the trust domain of whichever service it is bound to.
    Own(String),
}

impl CallerPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidCaller> {
        let pattern = match text.strip_prefix(OWN) {
            None => Self::Absolute(text.parse().map_err(InvalidCaller::Pattern)?),
            Some(path) if !path.starts_with('/') => return Err(InvalidCaller::OwnWithoutPath),
            Some(path) => {
                // Any trust domain will do to judge the rest.
                let checked = format!("spiffe://own{path}").parse::<IdPattern>();
                checked.map_err(InvalidCaller::Pattern)?;
                Self::Own(path.to_owned())
            }
        };
        for name in pattern.captures() {
            capture_name(name).map_err(InvalidCaller::Capture)?;
        }
        Ok(pattern)
    }

    /// The names of what it captures, in the order of the path.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').filter_map(|part| {
            part.strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
        })
    }

    /// The pattern, in the trust domain of the service where it names none.
    pub(crate) fn bind(&self, own: Option<&TrustDomain>) -> Result<IdPattern, UnknownOwn> {
        match self {
            Self::Absolute(pattern) => Ok(pattern.clone()),
            Self::Own(path) => own
                .and_then(|own| format!("spiffe://{own}{path}").parse().ok())
                .ok_or_else(|| UnknownOwn(path.clone())),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Absolute(pattern) => pattern
                .as_str()
                .trim_start_matches("spiffe://")
                .split_once('/')
                .map_or("", |(_, path)| path),
            Self::Own(path) => path,
        }
    }
}

impl fmt::Display for CallerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(pattern) => pattern.fmt(f),
            Self::Own(path) => write!(f, "{OWN}{path}"),
        }
    }
}

/// Why a text is no [`CallerPattern`], and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidCaller {
    Pattern(InvalidPattern),
    OwnWithoutPath,
    Capture(InvalidPathPattern),
}

impl fmt::Display for InvalidCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(error) => error.fmt(f),
            Self::OwnWithoutPath => f.write_str(
                "after `own:` stands a path, as in `own:/ns/shop/sa/orders`: the trust domain is the service's own",
            ),
            Self::Capture(error) => error.fmt(f),
        }
    }
}

/// A pattern in the own trust domain, where nobody has said which that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownOwn(String);

impl fmt::Display for UnknownOwn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{OWN}{}` is in the service's own trust domain, which is not known here: say which it is",
            self.0
        )
    }
}
