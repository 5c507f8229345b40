//! What a policy says, as plain data: the loader, the builder and annotations write it, the compiler reads it.
//!
//! Texts are kept as they were written; patterns are parsed, so that nothing in here is malformed.
//! Names of principals and of users are resolved already: an index always points at what is there.

use std::time::SystemTime;

use http::Method;
use serde_json::{Map, Value};
use spiffe_peer::TrustDomain;

use super::caller::CallerPattern;
use super::path::PathPattern;

/// A whole policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) trust_domains: Vec<ListedTrustDomain>,
    pub(crate) principals: Vec<Principal>,
    pub(crate) users: Vec<UserSource>,
    pub(crate) rules: Vec<RuleModel>,
    pub(crate) tests: Vec<TestModel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Enforce,
    Shadow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedTrustDomain {
    pub(crate) name: TrustDomain,
    pub(crate) federated: bool,
    pub(crate) at: Spot,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) patterns: Vec<CallerPattern>,
    pub(crate) at: Spot,
}

/// An issuer of end-user tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserSource {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) bound_to: Binding,
    pub(crate) at: Spot,
}

/// Which claim of a token ties it to the workload that presents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Binding {
    /// `act.sub` is the peer's ID.
    Actor,
    /// `azp` is the peer's ID.
    Azp,
    /// `cnf.x5t#S256` is the fingerprint of the peer's certificate.
    Cnf,
    #[default]
    None,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RuleModel {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(crate) actions: Vec<Action>,
    pub(crate) from: From,
    pub(crate) user: Option<UserDemand>,
    pub(crate) when: Option<Source>,
    pub(crate) because: Option<String>,
    pub(crate) shadow: bool,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) at: Spot,
}

/// What a rule does where it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// Methods and a path, of HTTP and gRPC alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// As it was written.
    pub(crate) text: String,
    pub(crate) methods: Methods,
    pub(crate) path: PathPattern,
    pub(crate) at: Spot,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Methods {
    Every,
    These(Vec<Method>),
}

/// Who a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Anyone,
    Authenticated,
    /// At least one.
    These(Vec<Callers>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Callers {
    /// An index into [`Model::principals`].
    Principal(usize),
    Pattern(CallerPattern, Spot),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum UserDemand {
    Required,
    Absent,
    Like(UserLike),
}

/// What an end user has to be; what is left out plays no part, and not all of it is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct UserLike {
    /// An index into [`Model::users`].
    pub(crate) issuer: Option<usize>,
    pub(crate) subject: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Map<String, Value>,
}

/// A CEL expression as it was written, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) text: String,
    pub(crate) at: Spot,
}

/// A test that a policy file brings along.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestModel {
    pub(crate) name: Option<String>,
    pub(crate) case: super::case::Case,
    pub(crate) expect: Effect,
    pub(crate) rule: Option<String>,
    pub(crate) at: Spot,
}

/// A place in a file, both numbers from 1; zero where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spot {
    pub(crate) line: u32,
    pub(crate) column: u32,
}
