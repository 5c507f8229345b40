//! End users: where their tokens come from, and what a rule asks of them.

use std::collections::HashMap;

use super::super::model::{Binding, UserDemand, UserLike, UserSource};
use super::fields::{Fields, entries};
use super::problems::{Problems, shown};
use super::scalar::Scalar;
use super::tree::Value;
use super::value;

const BINDINGS: [(&str, Binding); 4] = [
    ("actor", Binding::Actor),
    ("azp", Binding::Azp),
    ("cnf", Binding::Cnf),
    ("none", Binding::None),
];
const DEMAND: &str = "`required`, `absent`, or a map with at least one of `issuer`, `subject`, `scopes` and `claims`";
const SCOPES: &str = "a list of scopes, such as `[orders.read]`";

/// The issuers that rules can name.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    names: HashMap<String, usize>,
    /// Whether the section is there but no map, so that nothing can be said of names.
    unreadable: bool,
}

impl Issuers {
    pub(super) fn read(&mut self, value: Value<'_>, problems: &mut Problems) -> Vec<UserSource> {
        let example = "a map of names to `{ issuer, audiences, bound_to }`, or leave the key out";
        let mut sources: Vec<UserSource> = Vec::new();
        let mut issuers: HashMap<String, String> = HashMap::new();
        let entries = entries(value, example, problems);
        self.unreadable = entries.is_none();
        for entry in entries.unwrap_or_default() {
            if problems.is_full() {
                break;
            }
            value::is_name(entry.name, entry.at, problems);
            // A rule may name it even where it is wrong in itself: that is told once.
            self.names.insert(entry.name.to_owned(), sources.len());
            let source = source(entry.value, problems);
            let (issuer, audiences, bound_to) = source.unwrap_or_default();
            if let Some(other) = issuers.insert(issuer.clone(), entry.name.to_owned())
                && !issuer.is_empty()
            {
                let issuer = shown(&issuer);
                let other = shown(&other);
                problems.add(
                    entry.at,
                    format!("`{other}` has the issuer `{issuer}` already, and a token belongs to one entry; put the audiences together there"),
                );
            }
            sources.push(UserSource {
                name: entry.name.to_owned(),
                issuer,
                audiences,
                bound_to,
                at: entry.at,
            });
        }
        sources
    }

    /// The `user` of a rule.
    pub(super) fn demand(&self, value: Value<'_>, problems: &mut Problems) -> Option<UserDemand> {
        if self.unreadable {
            return None;
        }
        if self.names.is_empty() {
            problems.add(
                value.at(),
                "a rule that asks for a user needs `users`, the issuers of the tokens; add it at the top of the file",
            );
            return None;
        }
        match value.as_scalar() {
            Some(Scalar::Text("required")) => Some(UserDemand::Required),
            Some(Scalar::Text("absent")) => Some(UserDemand::Absent),
            None if value.as_map().is_some() => self.like(value, problems).map(UserDemand::Like),
            _ => {
                let what = value::described(value);
                problems.add(value.at(), format!("{what} stands here; write {DEMAND}"));
                None
            }
        }
    }

    fn like(&self, value: Value<'_>, problems: &mut Problems) -> Option<UserLike> {
        let known = ["issuer", "subject", "scopes", "claims"];
        let had_none = value.as_map().is_some_and(|map| map.is_empty());
        let fields = Fields::read(value, "`user`", &known, problems)?;
        if had_none {
            problems.add(
                value.at(),
                format!("this map asks for nothing; write {DEMAND}"),
            );
            return None;
        }
        let mut like = UserLike::default();
        if let Some(issuer) = fields.get("issuer") {
            like.issuer = self.issuer(issuer, problems);
        }
        if let Some(subject) = fields.get("subject") {
            like.subject =
                value::text(subject, "the `sub` of the token", problems).map(str::to_owned);
        }
        if let Some(scopes) = fields.get("scopes") {
            like.scopes = value::texts(scopes, SCOPES, problems).unwrap_or_default();
        }
        if let Some(claims) = fields.get("claims") {
            like.claims = value::object(claims, problems).unwrap_or_default();
            if claims.as_map().is_some_and(|map| map.is_empty()) {
                problems.add(
                    claims.at(),
                    "the map is empty, and empty never means any; write claims, such as `{ office: north }`",
                );
            }
        }
        Some(like)
    }

    fn issuer(&self, value: Value<'_>, problems: &mut Problems) -> Option<usize> {
        let name = value::text(value, "a name that stands under `users`", problems)?;
        let index = self.names.get(name).copied();
        if index.is_none() {
            let nearest = problems.nearest(name, self.names.keys().map(String::as_str));
            let name = shown(name);
            problems.add(
                value.at(),
                format!("there is no `{name}` under `users`{nearest}; write one of its names, not the issuer itself"),
            );
        }
        index
    }
}

fn source(value: Value<'_>, problems: &mut Problems) -> Option<(String, Vec<String>, Binding)> {
    let known = ["issuer", "audiences", "bound_to"];
    let fields = Fields::read(value, "an entry of `users`", &known, problems)?;
    let example = "the `iss` of its tokens: `issuer: https://id.example.org`";
    let issuer = fields
        .required("issuer", example, problems)
        .and_then(|issuer| value::text(issuer, example, problems))
        .unwrap_or_default();
    let example = "the audiences that are this service: `audiences: [orders]`";
    let audiences = fields
        .required("audiences", example, problems)
        .and_then(|audiences| value::texts(audiences, example, problems))
        .unwrap_or_default();
    let bound_to = fields
        .get("bound_to")
        .and_then(|bound_to| value::word(bound_to, &BINDINGS, problems))
        .unwrap_or_default();
    Some((issuer.to_owned(), audiences, bound_to))
}
