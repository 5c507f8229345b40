use std::fmt;

use serde_json::{Map, Value};

/// The person, or whoever else, on whose behalf a workload calls.
///
/// It stands beside the workload's [`PeerIdentity`](crate::PeerIdentity) in a request's extensions,
/// put there by whatever has verified the token that speaks of the user. It never becomes an identity
/// of a workload: nothing turns the one into the other.
///
/// ```
/// use serde_json::json;
/// use spiffe_peer::EndUser;
///
/// let user = EndUser::new("https://id.example.com", "ada")
///     .with_scopes(["orders.read"])
///     .with_claims([("department".to_owned(), json!("audit"))]);
/// assert_eq!(user.scopes(), ["orders.read"]);
/// assert_eq!(user.claim("department"), Some(&json!("audit")));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EndUser {
    issuer: String,
    subject: String,
    scopes: Vec<String>,
    claims: Map<String, Value>,
}

impl EndUser {
    /// A user whose token was verified: the issuer and the subject that it names (`iss` and `sub`,
    /// RFC 7519, section 4.1).
    #[must_use]
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            scopes: Vec::new(),
            claims: Map::new(),
        }
    }

    /// The same user with these scopes alone.
    #[must_use]
    pub fn with_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The same user with these claims alone: all that the token holds.
    #[must_use]
    pub fn with_claims(mut self, claims: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.claims = claims.into_iter().collect();
        self
    }

    /// Who issued the token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom the token speaks of, in the words of its issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What the token permits.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// One claim of the token.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// All claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// The issuer and the subject; claims are personal, and stay out of logs.
impl fmt::Debug for EndUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndUser")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
