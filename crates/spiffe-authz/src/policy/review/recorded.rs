use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;
use spiffe_peer::EndUser;

use crate::policy::case::Case;
use crate::policy::error::Problem;
use crate::policy::query::Query;
use crate::policy::yaml;

/// A request that is written down: a line of a log, or an entry of a policy's `tests`.
///
/// ```
/// use spiffe_authz::policy::review::RecordedRequest;
///
/// let request = RecordedRequest::from_json(r#"{"id": "c1", "request": "GET /orders/7"}"#)?;
/// assert_eq!(request.id(), "c1");
///
/// let error = RecordedRequest::from_json(r#"{"id": "c1", "request": "GET /", "peers": null}"#).unwrap_err();
/// assert!(error.to_string().contains("no key `peers`"), "{error}");
/// # Ok::<(), spiffe_authz::policy::review::InvalidRequest>(())
/// ```
#[derive(Clone)]
pub struct RecordedRequest {
    id: String,
    case: Case,
    user: Option<EndUser>,
    resource: Option<Value>,
}

impl RecordedRequest {
    /// Reads one object of JSON: `id`, `request`, and as they are known `peer`, `headers`, `user` and `resource`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] where it is no such object. A request that a server would refuse is none the less
    /// one: what becomes of it is a decision.
    pub fn from_json(line: &str) -> Result<Self, InvalidRequest> {
        match yaml::case(line) {
            Ok((id, case)) => Ok(Self::new(id, case)),
            Err(problems) => Self::without_method(line, &problems).ok_or(InvalidRequest(problems)),
        }
    }

    pub(super) fn new(id: String, case: Case) -> Self {
        let user = case.user.as_ref().map(|user| {
            EndUser::new(user.issuer.as_str(), user.subject.as_str())
                .with_scopes(user.scopes.iter().cloned())
                .with_claims(user.claims.clone())
        });
        Self {
            id,
            user,
            resource: case.resource.clone().map(Value::Object),
            case,
        }
    }

    /// A request whose method is no token, and nothing else is wrong with the line: it is not canonical.
    ///
    /// [`http::Method`] cannot hold what it asks for. It is decided like one whose target is none, since
    /// a request that is not canonical is refused whatever else it says.
    fn without_method(line: &str, problems: &[Problem]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
            request: String,
        }
        let [_] = problems else {
            return None;
        };
        let Named { id, request } = serde_json::from_str(line).ok()?;
        let (method, _) = request.split_once(' ')?;
        if method == "grpc" || http::Method::from_bytes(method.as_bytes()).is_ok() {
            return None;
        }
        let nothing = Case {
            peer: None,
            method: http::Method::GET,
            target: String::new(),
            headers: http::HeaderMap::new(),
            user: None,
            resource: None,
        };
        Some(Self::new(id, nothing))
    }

    /// The name that its author gave it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What a policy is asked about it.
    pub fn query(&self, at: SystemTime) -> Query<'_> {
        let Case {
            peer,
            method,
            target,
            headers,
            ..
        } = &self.case;
        let mut query = Query::new(method, target, headers).at(at);
        if let Some(peer) = peer {
            query = query.peer(peer);
        }
        if let Some(user) = &self.user {
            query = query.user(user);
        }
        if let Some(resource) = &self.resource {
            query = query.resource(resource);
        }
        query
    }
}

/// Headers, claims and resources are personal or secret, and stay out.
impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("id", &self.id)
            .field("method", &self.case.method)
            .field("peer", &self.case.peer)
            .finish_non_exhaustive()
    }
}

/// A text that is no [`RecordedRequest`].
///
/// ```
/// use spiffe_authz::policy::review::RecordedRequest;
///
/// let error = RecordedRequest::from_json("{").unwrap_err();
/// assert_eq!(error.column(), Some(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRequest(Vec<Problem>);

impl InvalidRequest {
    /// The column of an error of syntax, from 1.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        let column = self.0.first()?.column();
        (column > 0).then_some(column)
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(problem.message())?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidRequest {}
