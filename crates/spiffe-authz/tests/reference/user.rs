//! Step 2 and the key `user` of a rule.

use serde_json::Value;

use crate::policy::{Binding, Demand, Policy, Request, User, UserSource};
use crate::slip::Slip;

/// The end user that rules may look at, or none; an error where there is a token and it is bad.
pub(crate) fn accepted<'a>(
    policy: &Policy,
    request: &'a Request,
    slip: Option<Slip>,
) -> Result<Option<&'a User>, Bad> {
    if policy.users.is_empty() {
        return Ok(None);
    }
    let Some(user) = &request.user else {
        return Ok(None);
    };
    let issued = policy
        .users
        .iter()
        .filter(|source| source.issuer == user.issuer);
    for source in issued {
        let meant_for_us = slip == Some(Slip::AudienceIsForgotten) || is_audience(source, user);
        let bound =
            slip == Some(Slip::BindingIsForgotten) || is_bound(source.bound_to, user, request);
        if meant_for_us && bound {
            return Ok(Some(user));
        }
    }
    if slip == Some(Slip::BadUserIsAbsent) {
        return Ok(None);
    }
    Err(Bad)
}

#[derive(Debug)]
pub(crate) struct Bad;

fn is_audience(source: &UserSource, user: &User) -> bool {
    let is_listed = |audience: &Value| source.audiences.iter().any(|listed| audience == listed);
    match user.claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_listed),
        Some(audience) => is_listed(audience),
        None => false,
    }
}

fn is_bound(binding: Binding, user: &User, request: &Request) -> bool {
    let is_peer = |claim: Option<&Value>| match (claim, &request.peer) {
        (Some(claim), Some(peer)) => claim == peer,
        _ => false,
    };
    match binding {
        Binding::None => true,
        Binding::Actor => is_peer(user.claims.get("act").and_then(|act| act.get("sub"))),
        Binding::Azp => is_peer(user.claims.get("azp")),
        // Of a peer that is known by its ID alone, `eval` takes it as met.
        Binding::Cnf => request.peer.is_some(),
    }
}

/// Whether the user, or that there is none, is what a rule asks for.
pub(crate) fn is_demanded(
    demand: &Demand,
    user: Option<&User>,
    policy: &Policy,
    slip: Option<Slip>,
) -> bool {
    match (demand, user) {
        _ if slip == Some(Slip::UserIsForgotten) => true,
        (Demand::Required, user) => user.is_some(),
        (Demand::Absent, user) => user.is_none(),
        (Demand::Like { .. }, None) => false,
        (
            Demand::Like {
                issuer,
                subject,
                scopes,
                claims,
            },
            Some(user),
        ) => {
            let issued = |name: &String| {
                policy
                    .users
                    .iter()
                    .any(|source| source.name == *name && source.issuer == user.issuer)
            };
            let mut permitted = scopes.iter().map(|scope| user.scopes.contains(scope));
            let scoped = match slip {
                Some(Slip::OneScopeSuffices) if !scopes.is_empty() => permitted.any(|one| one),
                _ => permitted.all(|one| one),
            };
            issuer.as_ref().is_none_or(issued)
                && subject
                    .as_ref()
                    .is_none_or(|subject| *subject == user.subject)
                && scoped
                && claims
                    .iter()
                    .all(|(name, wanted)| has_claim(user, name, wanted, slip))
        }
    }
}

fn has_claim(user: &User, name: &str, wanted: &Value, slip: Option<Slip>) -> bool {
    let is_wanted = |value: &Value| match slip {
        Some(Slip::ClaimTypesAreForgotten) => as_text(value) == as_text(wanted),
        _ => value == wanted,
    };
    match user.claims.get(name) {
        None => false,
        Some(Value::Array(items)) if slip != Some(Slip::ClaimListsAreForgotten) => {
            items.iter().any(is_wanted)
        }
        Some(value) => is_wanted(value),
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
