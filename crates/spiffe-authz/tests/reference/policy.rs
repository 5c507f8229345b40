//! What the reference reads and what it answers: plain data, with patterns as the texts that a file has.

use serde_json::{Map, Value};

use crate::expression::Expression;

/// What a token says of the certificate of its peer: 32 bytes of zero, in base64url (RFC 8705, section 3.1).
pub(crate) const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// `mode: shadow`
    pub(crate) shadow: bool,
    pub(crate) trust_domains: Vec<TrustDomain>,
    pub(crate) principals: Vec<Principal>,
    pub(crate) users: Vec<UserSource>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(crate) struct TrustDomain {
    pub(crate) name: String,
    pub(crate) federated: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) patterns: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct UserSource {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) bound_to: Binding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    Actor,
    Azp,
    Cnf,
    None,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(crate) actions: Vec<String>,
    pub(crate) from: From,
    pub(crate) user: Option<Demand>,
    pub(crate) when: Option<Expression>,
    pub(crate) because: Option<String>,
    pub(crate) shadow: bool,
    /// In seconds since 1970.
    pub(crate) expires: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone)]
pub(crate) enum From {
    Anyone,
    Authenticated,
    /// Names of principals and ID patterns.
    These(Vec<String>),
}

#[derive(Debug, Clone)]
pub(crate) enum Demand {
    Required,
    Absent,
    Like {
        issuer: Option<String>,
        subject: Option<String>,
        scopes: Vec<String>,
        claims: Map<String, Value>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path and, perhaps, a query, as they arrived.
    pub(crate) target: String,
    /// `:authority`, or the authority of an absolute target.
    pub(crate) authority: Option<String>,
    /// Names in lower case, `host` among them.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) peer: Option<String>,
    pub(crate) user: Option<User>,
    pub(crate) resource: Option<Value>,
    /// In seconds since 1970.
    pub(crate) at: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) allowed: bool,
    pub(crate) status: u16,
    pub(crate) rule: Option<String>,
    pub(crate) reason: &'static str,
    pub(crate) shadow: Option<Shadow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shadow {
    pub(crate) allowed: bool,
    pub(crate) rule: Option<String>,
}
