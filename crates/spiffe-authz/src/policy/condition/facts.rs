//! What is known about a request when its condition is evaluated.

use http::HeaderMap;
use serde_json::{Map, Value};

/// Everything a condition can read. What a condition does not read may be left out: see
/// [`Condition::reads_resource`](super::Condition::reads_resource) and the like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The names that the action's path captured, and what they hold, decoded.
    pub(crate) path: &'a [(&'a str, &'a str)],
    /// The same for the pattern that the peer's ID met.
    pub(crate) id: &'a [(&'a str, &'a str)],
    /// Who calls: the ID and its trust domain.
    pub(crate) peer: Option<(&'a str, &'a str)>,
    pub(crate) method: &'a str,
    /// Canonical, decoded, without a query.
    pub(crate) request_path: &'a str,
    /// The one authority, lower case, without a port.
    pub(crate) host: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) user: Option<UserFacts<'a>>,
    pub(crate) resource: Option<&'a Value>,
}

/// The end user beside the caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserFacts<'a> {
    pub(crate) subject: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) claims: &'a Map<String, Value>,
}
