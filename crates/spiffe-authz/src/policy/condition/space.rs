//! The names that a condition can begin with, and what they have.

/// The names that a condition can begin with.
pub(super) const NAMES: [&str; 6] = ["path", "id", "peer", "request", "user", "resource"];

/// A name that has members and is no value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Path,
    Id,
    Peer,
    Request,
    Headers,
    User,
}

impl Space {
    pub(super) fn is_no_value(self) -> String {
        match self {
            Self::Path => "`path` is no value; write `path.NAME` with a name that the paths of the rule capture".to_owned(),
            Self::Id => "`id` is no value; write `id.NAME` with a name that the ID patterns of the rule capture".to_owned(),
            Self::Headers => "`request.headers` is no value; write `request.headers[\"x\"]`, which is a list, or `\"x\" in request.headers`".to_owned(),
            Self::Peer | Self::Request | Self::User => {
                format!("`{}` is no value; it has {}", self.name(), quoted(self.members().iter().copied()))
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Id => "id",
            Self::Peer => "peer",
            Self::Request => "request",
            Self::Headers => "request.headers",
            Self::User => "user",
        }
    }

    pub(super) fn members(self) -> &'static [&'static str] {
        match self {
            Self::Path | Self::Id | Self::Headers => &[],
            Self::Peer => &["id", "trust_domain"],
            Self::Request => &["method", "path", "host", "headers"],
            Self::User => &["subject", "issuer", "scopes", "claims"],
        }
    }
}

/// Names in a sentence.
pub(super) fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
