//! End users, who issues their tokens, and what rules demand of them.

use serde_json::{Map, Value, json};

use super::peers::any_peer;
use super::vocabulary::{AUDIENCES, ISSUERS, SCOPES, SUBJECTS};
use crate::policy::{Binding, Demand, Policy, Rule, THUMBPRINT, User, UserSource};
use crate::random::Random;

pub(super) fn sources(random: &mut Random) -> Vec<UserSource> {
    if random.percent(45) {
        return Vec::new();
    }
    let issuers = ISSUERS
        .iter()
        .zip(["staff", "no"])
        .take(random.between(1, 2));
    issuers
        .map(|(issuer, name)| UserSource {
            name: name.to_owned(),
            issuer: (*issuer).to_owned(),
            audiences: some(AUDIENCES, random),
            bound_to: *random.item(&[
                Binding::None,
                Binding::None,
                Binding::Actor,
                Binding::Azp,
                Binding::Cnf,
            ]),
        })
        .collect()
}

pub(super) fn demand(policy: &Policy, random: &mut Random) -> Demand {
    match random.below(100) {
        0..25 => return Demand::Required,
        25..45 => return Demand::Absent,
        _ => {}
    }
    let mut claims = Map::new();
    if random.percent(40) {
        claims.insert(
            random.one_of(&["level", "team", "admin"]).to_owned(),
            claim(random),
        );
    }
    let issuer = random.item(&policy.users).name.clone();
    let issuer = random.percent(40).then_some(issuer);
    let subject = random.one_of(SUBJECTS).to_owned();
    let subject = random.percent(25).then_some(subject);
    let nothing_so_far = issuer.is_none() && subject.is_none() && claims.is_empty();
    let scopes = if nothing_so_far || random.percent(30) {
        some(SCOPES, random)
    } else {
        Vec::new()
    };
    Demand::Like {
        issuer,
        subject,
        scopes,
        claims,
    }
}

/// An end user whom the rule is likely to ask for; bad at times.
pub(super) fn user(
    aim: Option<&Rule>,
    policy: &Policy,
    peer: Option<&String>,
    random: &mut Random,
) -> Option<User> {
    let demand = aim.and_then(|rule| rule.user.as_ref());
    let chance = match demand {
        _ if policy.users.is_empty() => 10,
        Some(Demand::Absent) => 15,
        Some(_) => 90,
        None => 45,
    };
    if !random.percent(chance) {
        return None;
    }
    let mut user = User {
        issuer: random.one_of(ISSUERS).to_owned(),
        subject: random.one_of(SUBJECTS).to_owned(),
        scopes: some(SCOPES, random),
        claims: Map::new(),
    };
    for name in ["level", "team", "admin"] {
        match random.below(4) {
            0 => user.claims.insert(name.to_owned(), claim(random)),
            1 => user
                .claims
                .insert(name.to_owned(), json!([claim(random), claim(random)])),
            _ => None,
        };
    }
    if random.percent(80) {
        comply(&mut user, demand, policy, random);
    }
    prove(&mut user, policy, peer, random);
    Some(user)
}

fn comply(user: &mut User, demand: Option<&Demand>, policy: &Policy, random: &mut Random) {
    let Some(Demand::Like {
        issuer,
        subject,
        scopes,
        claims,
    }) = demand
    else {
        return;
    };
    let source = policy
        .users
        .iter()
        .find(|source| issuer.as_ref() == Some(&source.name));
    if let Some(source) = source {
        user.issuer.clone_from(&source.issuer);
    }
    if let Some(subject) = subject {
        user.subject.clone_from(subject);
    }
    if random.percent(80) {
        user.scopes.extend(scopes.iter().cloned());
    }
    for (name, wanted) in claims {
        let value = match random.below(3) {
            0 => json!([claim(random), wanted]),
            1 => wanted.clone(),
            _ => claim(random),
        };
        user.claims.insert(name.clone(), value);
    }
}

/// Adds the audience and the binding that the issuer's tokens are asked for, unless it is to be bad.
fn prove(user: &mut User, policy: &Policy, peer: Option<&String>, random: &mut Random) {
    let source = policy
        .users
        .iter()
        .find(|source| source.issuer == user.issuer);
    let audience = match source {
        Some(source) if random.percent(94) => random.item(&source.audiences).clone(),
        _ => random.one_of(AUDIENCES).to_owned(),
    };
    let audiences = match random.below(20) {
        0..8 => Some(json!(audience)),
        8..19 => Some(json!(["else", audience])),
        _ => None,
    };
    user.claims
        .extend(audiences.map(|value| ("aud".to_owned(), value)));
    let presenter = match peer {
        Some(peer) if random.percent(94) => peer.clone(),
        _ => any_peer(random),
    };
    match source.map(|source| source.bound_to) {
        Some(Binding::Actor) => {
            user.claims
                .insert("act".to_owned(), json!({ "sub": presenter }));
        }
        Some(Binding::Azp) => {
            user.claims.insert("azp".to_owned(), json!(presenter));
        }
        Some(Binding::Cnf) => {
            user.claims
                .insert("cnf".to_owned(), json!({ "x5t#S256": THUMBPRINT }));
        }
        Some(Binding::None) | None => {}
    }
}

/// A value that other types write alike.
fn claim(random: &mut Random) -> Value {
    random
        .item(&[
            json!("7"),
            json!(7),
            json!("true"),
            json!(true),
            json!("web"),
            json!(-1),
        ])
        .clone()
}

/// At least one of the words.
fn some(words: &[&str], random: &mut Random) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    random.shuffle(&mut words);
    words.truncate(random.between(1, words.len()));
    words
}
