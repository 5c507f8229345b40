mod accepted;
mod evaluated;
mod hostile;
mod measured;
mod refused;
mod sound;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::{Condition, ConditionError, ConditionProblem, Facts, Scope, UserFacts};

/// A rule whose every action captures `office` and `doc`, and only some `draft`.
const SCOPE: Scope<'static> = Scope {
    path: &["office", "doc"],
    some_path: &["draft"],
    id: Some(&["office", "ns"]),
    some_id: &["sa"],
    users: true,
};

fn compile(text: &str) -> Result<Condition, ConditionProblem> {
    Condition::compile(text, &SCOPE)
}

fn compiled(text: &str) -> Condition {
    compile(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"))
}

/// A request that a condition of [`SCOPE`] can be evaluated for.
struct Request {
    headers: HeaderMap,
    scopes: Vec<String>,
    claims: Map<String, Value>,
    resource: Option<Value>,
    peer: bool,
    user: bool,
    host: bool,
}

impl Request {
    fn new() -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", &b"docs.example.com"[..]),
            ("accept", b"text/html"),
            ("accept", b"*/*"),
            ("x-tenant", b"north"),
            ("x-latin", b"caf\xe9"),
            ("x-utf8", "grün".as_bytes()),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        let claims = json!({
            "groups": ["auditors", "staff"],
            "level": 7,
            "verified": true,
            "nested": { "a": { "b": [10, 20] } },
        });
        Self {
            headers,
            scopes: vec!["evidence.raw.read".to_owned(), "openid".to_owned()],
            claims: claims.as_object().unwrap().clone(),
            resource: Some(json!({
                "state": "expired_draft",
                "owner": null,
                "size": 12,
                "huge": 18_446_744_073_709_551_615_u64,
                "ratio": 0.5,
                "twelve": 12.0,
                "public": false,
                "text": "12",
                "tags": ["a", "b"],
                "rows": [{ "n": 1 }, { "n": 2 }, { "m": 3 }],
            })),
            peer: true,
            user: true,
            host: true,
        }
    }

    fn holds(&self, text: &str) -> Result<bool, ConditionError> {
        compiled(text).holds(&Facts {
            path: &[("office", "north"), ("doc", "7")],
            id: &[("office", "north"), ("ns", "case")],
            peer: (self.peer)
                .then_some(("spiffe://example.org/office/north/client", "example.org")),
            method: "GET",
            request_path: "/offices/north/disclosures/7",
            host: self.host.then_some("docs.example.com"),
            headers: &self.headers,
            user: self.user.then_some(UserFacts {
                subject: "alice",
                issuer: "https://id.example.com",
                scopes: &self.scopes,
                claims: &self.claims,
            }),
            resource: self.resource.as_ref(),
        })
    }
}

/// A small generator of its own: the same texts at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit).unwrap();
        usize::try_from(self.0 % limit).unwrap()
    }
}
