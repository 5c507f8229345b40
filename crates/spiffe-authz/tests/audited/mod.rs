//! A policy, and a request for each way in which it can decide.

use axum::body::Body;
use axum::extract::Request;
use serde_json::{Map, Value};
use spiffe_authz::audit::Tenant;
use spiffe_authz::guard::{DecisionPoint, Verdict};
use spiffe_authz::policy::Policy;
use spiffe_peer::EndUser;

use crate::served::WEB;

pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub const SECRET: &str = "s3cr3t";

pub struct Veto;

impl DecisionPoint for Veto {
    type Error = std::convert::Infallible;

    async fn verdict(&self, request: &http::request::Parts) -> Result<Verdict, Self::Error> {
        Ok(if request.headers.contains_key("x-veto") {
            Verdict::deny("the account is frozen")
        } else {
            Verdict::NoObjection
        })
    }
}

pub fn documents() -> Policy {
    Policy::from_yaml(&format!(
        "version: 1\nname: documents\ntrust_domains: {{ example.org: {{}} }}\n\
         users: {{ staff: {{ issuer: https://id.test, audiences: [documents] }} }}\nrules:\n\
         \x20 - {{ name: read, allow: [\"GET /documents/{{id}}\", \"GET /code\"], from: [\"{WEB}\"] }}\n\
         \x20 - {{ name: locked, deny: [\"* /documents/locked\"], from: [\"{WEB}\"] }}\n\
         \x20 - {{ name: erring, deny: [\"* /documents/erring\"], from: authenticated, when: 'request.headers[\"x-none\"] == [\"a\"]' }}\n\
         \x20 - {{ name: frozen, deny: [\"GET /documents/shadowed\"], from: [\"{WEB}\"], shadow: true }}\n"
    ))
    .unwrap()
}

/// A request with everything that a record can show, and with what it must not.
pub fn asked(method: &str, path: &str) -> Request {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?token={SECRET}"))
        .header("host", "good.test")
        .header("authorization", format!("Bearer {SECRET}"))
        .header("cookie", SECRET)
        .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .header("x-request-id", "r-1")
        .body(Body::from(SECRET))
        .unwrap();
    request.extensions_mut().insert(Tenant::new("acme"));
    let claims: Map<String, Value> = [
        ("aud".to_owned(), "documents".into()),
        ("secret".to_owned(), SECRET.into()),
    ]
    .into_iter()
    .collect();
    request.extensions_mut().insert(
        EndUser::new("https://id.test", "jo")
            .with_scopes(["read"])
            .with_claims(claims),
    );
    request
}

/// Every way in which a request can be decided, as the record has to tell it:
/// the request, the decision, the rule and the reason.
pub type Case = (Request, &'static str, Option<&'static str>, &'static str);

pub fn cases() -> Vec<Case> {
    let with = |mut request: Request, name: &'static str| {
        request.headers_mut().insert(name, "1".parse().unwrap());
        request
    };
    let mut stranger = asked("GET", "/documents/7");
    stranger
        .extensions_mut()
        .insert(EndUser::new("https://evil.test", "jo"));
    vec![
        (asked("GET", "/documents/7"), "allow", Some("read"), "rule"),
        (
            asked("GET", "/documents/shadowed"),
            "allow",
            Some("read"),
            "rule",
        ),
        (
            asked("GET", "/documents/locked"),
            "deny",
            Some("locked"),
            "rule",
        ),
        (
            asked("GET", "/documents/erring"),
            "deny",
            Some("erring"),
            "condition_error",
        ),
        (asked("PUT", "/documents/7"), "deny", None, "default"),
        (asked("GET", "/documents//7"), "deny", None, "bad_request"),
        (stranger, "deny", None, "bad_user"),
        (
            with(asked("GET", "/documents/7"), "x-veto"),
            "deny",
            Some("read"),
            "decision_point",
        ),
    ]
}
