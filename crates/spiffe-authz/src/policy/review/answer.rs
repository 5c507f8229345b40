use std::fmt::Write as _;
use std::time::SystemTime;

use serde::Serialize;

use super::RecordedRequest;
use crate::policy::{Decision, Policy};

/// Decides on a request and writes the decision as one line of JSON, without a line break.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml("{ version: 1, name: closed, rules: [] }")?;
/// let request = review::RecordedRequest::from_json(r#"{"id": "c1", "request": "GET /"}"#)?;
/// assert_eq!(
///     review::answer(&policy, &request, SystemTime::now()),
///     r#"{"id":"c1","decision":"deny","status":401,"rule":null,"reason":"no_identity","shadow":null}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn answer(policy: &Policy, request: &RecordedRequest, at: SystemTime) -> String {
    let decision = policy.decide(&request.query(at));
    let line = Line::new(request.id(), &decision);
    // Texts, numbers and nulls are always JSON.
    let json = serde_json::to_string(&line).unwrap_or_default();
    escaped(json)
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    decision: &'static str,
    status: u16,
    rule: Option<&'a str>,
    reason: &'static str,
    shadow: Option<Other<'a>>,
}

#[derive(Serialize)]
struct Other<'a> {
    decision: &'static str,
    rule: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(id: &'a str, decision: &Decision<'a>) -> Self {
        Self {
            id,
            decision: word(decision.is_allowed()),
            status: decision.status(),
            rule: decision.rule(),
            reason: decision.reason(),
            shadow: decision.shadow().map(|shadow| Other {
                decision: word(shadow.is_allowed()),
                rule: shadow.rule(),
            }),
        }
    }
}

pub(super) fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

/// The same JSON where nothing that a terminal obeys stands as it is: JSON itself escapes the first 32
/// characters only.
fn escaped(json: String) -> String {
    let is_plain = |sign: char| sign == '"' || sign == '\\' || sign.escape_debug().len() == 1;
    if json.chars().all(is_plain) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len());
    for sign in json.chars() {
        if is_plain(sign) {
            escaped.push(sign);
        } else {
            for unit in sign.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn answered(policy: &str, line: &str) -> String {
        let policy = Policy::from_yaml(policy).unwrap();
        answer(&policy, &RecordedRequest::from_json(line).unwrap(), NOW)
    }

    const OPEN: &str = "
version: 1
name: open
rules:
  - { name: all, allow: ['* /**'], from: anyone, because: a test }
  - { name: later, deny: ['PUT /**'], from: anyone, shadow: true }
";

    #[test]
    fn the_line_is_as_the_language_says() {
        assert_eq!(
            answered(OPEN, r#"{"id":"a","request":"PUT /x","peer":null}"#),
            r#"{"id":"a","decision":"allow","status":200,"rule":"all","reason":"rule","shadow":{"decision":"deny","rule":"later"}}"#
        );
        assert_eq!(
            answered(OPEN, r#"{"id":"a","request":"PUT /x/../y"}"#),
            r#"{"id":"a","decision":"deny","status":400,"rule":null,"reason":"bad_request","shadow":{"decision":"deny","rule":null}}"#
        );
    }

    #[test]
    fn a_method_that_is_no_token_is_no_canonical_request() {
        for request in ["G@T /x", "GÉT /x", " /x", "GE\\u0000T /x"] {
            let line = format!(r#"{{"id":"a","request":"{request}"}}"#);
            let said = answered(OPEN, &line);
            assert!(
                said.contains(r#""status":400,"rule":null,"reason":"bad_request""#),
                "{said}"
            );
        }
        for unusable in [
            r#"{"id":"a","request":"G@T /x","peer":"spiffe://td"}"#,
            r#"{"id":"a","request":"G@T /x","x":1}"#,
            r#"{"id":"a","id":"b","request":"G@T /x"}"#,
            r#"{"id":"a","request":"GET"}"#,
            r#"{"id":"a","request":"grpc x"}"#,
            r#"{"request":"G@T /x"}"#,
        ] {
            assert!(RecordedRequest::from_json(unusable).is_err(), "{unusable}");
        }
    }

    #[test]
    fn nothing_in_it_speaks_to_a_terminal() {
        let said = answered(
            OPEN,
            "{\"id\":\"\u{9b}2J\u{202e}é\\u001b\u{e0001}\",\"request\":\"GET /\"}",
        );
        assert!(
            said.starts_with(r#"{"id":"\u009b2J\u202eé\u001b\udb40\udc01","#),
            "{said}"
        );
    }
}
