//! One request as a file writes it: an entry of a policy's `tests`, or a line for `spiffectl policy eval`.

use http::{HeaderMap, Method};
use serde_json::{Map, Value};
use spiffe_peer::SpiffeId;

/// A request, who makes it, and what is known about both. Nothing in it is malformed but, perhaps, its path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    pub(crate) peer: Option<SpiffeId>,
    pub(crate) method: Method,
    /// The request target as it would arrive, query and all: not checked.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) user: Option<CaseUser>,
    pub(crate) resource: Option<Map<String, Value>>,
}

/// The end user of a [`Case`]. `claims` holds every claim of the token.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct CaseUser {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Map<String, Value>,
}
