//! Requests that are written down: the `tests` of a file, and the lines for `spiffectl policy eval`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spiffe_peer::{SpiffeId, parse};

use super::super::case::{Case, CaseUser};
use super::super::model::{Effect, TestModel};
use super::fields::{Fields, entries};
use super::problems::{Problems, shown};
use super::rules::Names;
use super::tree::Value;
use super::{actions, value};

const TEST_KEYS: [&str; 8] = [
    "name", "peer", "request", "headers", "user", "resource", "expect", "rule",
];
const LINE_KEYS: [&str; 6] = ["id", "peer", "request", "headers", "user", "resource"];
const EFFECTS: [(&str, Effect); 2] = [("allow", Effect::Allow), ("deny", Effect::Deny)];

/// The `tests` of a file.
pub(super) fn tests(value: Value<'_>, rules: &Names, problems: &mut Problems) -> Vec<TestModel> {
    let Some(items) = value.as_list() else {
        let what = value::described(value);
        problems.add(
            value.at(),
            format!("{what} stands here; write a list of tests, or leave the key out"),
        );
        return Vec::new();
    };
    let mut tests = Vec::new();
    for item in items.items() {
        if problems.is_full() {
            break;
        }
        tests.extend(test(item, rules, problems));
    }
    tests
}

fn test(value: Value<'_>, rules: &Names, problems: &mut Problems) -> Option<TestModel> {
    let fields = Fields::read(value, "a test", &TEST_KEYS, problems)?;
    let name = fields
        .get("name")
        .and_then(|name| value::name(name, "a name, or leave the key out", problems));
    let case = case(&fields, problems);
    let expect = fields
        .required("expect", "`expect: allow` or `expect: deny`", problems)
        .and_then(|expect| value::word(expect, &EFFECTS, problems));
    let rule = fields.get("rule").and_then(|rule| {
        let name = value::text(rule, "the name of a rule, or leave the key out", problems)?;
        if !rules.contains_key(name) {
            let nearest = problems.nearest(name, rules.keys().map(String::as_str));
            let name = shown(name);
            problems.add(
                rule.at(),
                format!(
                    "there is no rule `{name}`{nearest}; write the name of the rule that decides"
                ),
            );
        }
        Some(name.to_owned())
    });
    Some(TestModel {
        name: name.map(str::to_owned),
        case: case?,
        expect: expect?,
        rule,
        at: fields.at,
    })
}

/// One line for `spiffectl policy eval`: the caller's name for it, and the request.
pub(super) fn line(value: Value<'_>, problems: &mut Problems) -> Option<(String, Case)> {
    let fields = Fields::read(value, "a request", &LINE_KEYS, problems)?;
    let example = "a text that names the request, such as `\"id\": \"c1\"`";
    let id = fields
        .required("id", example, problems)
        .and_then(|id| value::any_text(id, example, problems));
    let case = case(&fields, problems);
    Some((id?.to_owned(), case?))
}

fn case(fields: &Fields<'_>, problems: &mut Problems) -> Option<Case> {
    let request = request(fields, problems);
    let given = |name| fields.get(name).filter(|value| !value.is_null());
    let peer = given("peer").map(|peer| workload(peer, problems));
    let headers = fields
        .get("headers")
        .map(|headers| header_map(headers, problems));
    let user = given("user").map(|user| end_user(user, problems));
    let resource = given("resource").map(|resource| value::object(resource, problems));
    let (method, target) = request?;
    Some(Case {
        peer: peer.flatten(),
        method,
        target,
        headers: headers.unwrap_or_default(),
        user: user.flatten(),
        resource: resource.flatten(),
    })
}

fn request(fields: &Fields<'_>, problems: &mut Problems) -> Option<(Method, String)> {
    let example = "a method and a path: `request: GET /orders/7`";
    let value = fields.required("request", example, problems)?;
    let text = value::text(value, example, problems)?;
    actions::request(text)
        .map_err(|why| problems.add(value.at(), why))
        .ok()
}

fn workload(value: Value<'_>, problems: &mut Problems) -> Option<SpiffeId> {
    let example = "the SPIFFE ID of a workload, or `null` for a request without an identity";
    let text = value::text(value, example, problems)?;
    parse::workload_id(text)
        .map_err(|error| problems.add(value.at(), error.to_string()))
        .ok()
}

fn header_map(value: Value<'_>, problems: &mut Problems) -> HeaderMap {
    let example = "a map of names to texts or lists of texts, such as `{ x-tenant: north }`";
    let mut headers = HeaderMap::new();
    for entry in entries(value, example, problems).unwrap_or_default() {
        let Ok(name) = HeaderName::from_bytes(entry.name.as_bytes()) else {
            let name = shown(entry.name);
            problems.add(
                entry.at,
                format!("`{name}` is no name of a header; write a token, such as `x-tenant`"),
            );
            continue;
        };
        let values: Vec<_> = match entry.value.as_list() {
            Some(values) => values.items().collect(),
            None => vec![entry.value],
        };
        for value in values {
            if problems.is_full() {
                return headers;
            }
            let Some(text) = value::any_text(value, "the value as a text", problems) else {
                continue;
            };
            // Whatever the wire can carry: the decision, not the file, says what is too much.
            match HeaderValue::from_bytes(text.as_bytes())
                .map(|text| headers.try_append(&name, text))
            {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => {
                    problems.add(value.at(), "no request has as many headers; leave some out");
                    return headers;
                }
                Err(_) => problems.add(
                    value.at(),
                    "no header has such a value; leave line breaks and control characters out",
                ),
            }
        }
    }
    headers
}

fn end_user(value: Value<'_>, problems: &mut Problems) -> Option<CaseUser> {
    let known = ["issuer", "subject", "scopes", "claims"];
    let fields = Fields::read(value, "the `user` of a request", &known, problems)?;
    let example = "the `iss` of the token: `issuer: https://id.example.org`";
    let issuer = fields
        .required("issuer", example, problems)
        .and_then(|issuer| value::any_text(issuer, example, problems));
    let subject = fields
        .get("subject")
        .and_then(|subject| value::any_text(subject, "the `sub` of the token", problems));
    let scopes = fields
        .get("scopes")
        .map(|scopes| held_scopes(scopes, problems));
    let claims = fields
        .get("claims")
        .map(|claims| value::object(claims, problems).unwrap_or_default());
    Some(CaseUser {
        issuer: issuer?.to_owned(),
        subject: subject.unwrap_or_default().to_owned(),
        scopes: scopes.unwrap_or_default(),
        claims: claims.unwrap_or_default(),
    })
}

/// The scopes of a token, of which there may be none.
fn held_scopes(value: Value<'_>, problems: &mut Problems) -> Vec<String> {
    if value.as_list().is_some_and(|list| list.is_empty()) {
        return Vec::new();
    }
    value::texts(value, "a list of scopes, such as `[orders.read]`", problems).unwrap_or_default()
}
