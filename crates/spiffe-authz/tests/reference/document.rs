//! A policy as the tree that its YAML stands for.

use serde_json::Value;

use crate::policy::{Binding, Demand, Effect, From, Policy, Rule, UserSource};
use crate::random::Random;

/// Maps keep the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Keys are in an order of their own; conditions and moments are written in one of several ways.
pub(crate) fn policy(policy: &Policy, random: &mut Random) -> Node {
    let rules = policy.rules.iter().map(|one| rule(one, random)).collect();
    let mut entries = vec![
        entry("version", 1),
        entry("name", policy.name.as_str()),
        entry("rules", Node::List(rules)),
    ];
    if policy.shadow || random.percent(10) {
        let mode = if policy.shadow { "shadow" } else { "enforce" };
        entries.push(entry("mode", mode));
    }
    let trust_domains = policy.trust_domains.iter().map(|domain| {
        let settings = match domain.federated {
            true => Node::Map(vec![entry("federated", true)]),
            false if random.percent(20) => Node::Map(vec![entry("federated", false)]),
            false if random.percent(20) => Node::Null,
            false => Node::Map(vec![]),
        };
        (domain.name.clone(), settings)
    });
    entries.push(entry("trust_domains", Node::Map(trust_domains.collect())));
    if !policy.principals.is_empty() {
        let principals = policy.principals.iter().map(|principal| {
            let patterns = match principal.patterns.as_slice() {
                [one] if random.percent(70) => text(one),
                several => texts(several),
            };
            (principal.name.clone(), patterns)
        });
        entries.push(entry("principals", Node::Map(principals.collect())));
    }
    if !policy.users.is_empty() {
        let users = policy
            .users
            .iter()
            .map(|source| (source.name.clone(), user_source(source, random)));
        entries.push(entry("users", Node::Map(users.collect())));
    }
    random.shuffle(&mut entries);
    Node::Map(entries)
}

fn rule(rule: &Rule, random: &mut Random) -> Node {
    let effect = match rule.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let from = match &rule.from {
        From::Anyone => text("anyone"),
        From::Authenticated => text("authenticated"),
        From::These(entries) => texts(entries),
    };
    let mut entries = vec![
        entry("name", rule.name.as_str()),
        entry(effect, texts(&rule.actions)),
        entry("from", from),
    ];
    if let Some(demand) = &rule.user {
        entries.push(entry("user", user(demand)));
    }
    if let Some(when) = &rule.when {
        entries.push(entry("when", when.text(random)));
    }
    if let Some(because) = &rule.because {
        entries.push(entry("because", because.as_str()));
    }
    if rule.shadow || random.percent(3) {
        entries.push(entry("shadow", rule.shadow));
    }
    if let Some(expires) = rule.expires {
        entries.push(entry("expires", moment(expires, random)));
    }
    random.shuffle(&mut entries);
    Node::Map(entries)
}

fn user_source(source: &UserSource, random: &mut Random) -> Node {
    let mut entries = vec![
        entry("issuer", source.issuer.as_str()),
        entry("audiences", texts(&source.audiences)),
    ];
    let bound_to = match source.bound_to {
        Binding::Actor => Some("actor"),
        Binding::Azp => Some("azp"),
        Binding::Cnf => Some("cnf"),
        Binding::None => random.percent(50).then_some("none"),
    };
    entries.extend(bound_to.map(|claim| entry("bound_to", claim)));
    Node::Map(entries)
}

fn user(demand: &Demand) -> Node {
    let Demand::Like {
        issuer,
        subject,
        scopes,
        claims,
    } = demand
    else {
        return text(match demand {
            Demand::Required => "required",
            _ => "absent",
        });
    };
    let mut entries = Vec::new();
    entries.extend(issuer.as_deref().map(|issuer| entry("issuer", issuer)));
    entries.extend(subject.as_deref().map(|subject| entry("subject", subject)));
    if !scopes.is_empty() {
        entries.push(entry("scopes", texts(scopes)));
    }
    if !claims.is_empty() {
        entries.push(entry("claims", &Value::Object(claims.clone())));
    }
    Node::Map(entries)
}

/// A date where that says it, or a time, in one of several zones.
fn moment(seconds: u64, random: &mut Random) -> String {
    if seconds.is_multiple_of(86_400) && random.percent(60) {
        let (year, month, day) = date(seconds / 86_400);
        return format!("{year:04}-{month:02}-{day:02}");
    }
    let (zone, offset) = *random.item(&[
        ("Z", 0),
        ("+00:00", 0),
        ("+02:00", 7200),
        ("-09:30", -34_200),
    ]);
    let local = seconds.checked_add_signed(offset).unwrap();
    let (year, month, day) = date(local / 86_400);
    let (hour, minute, second) = (local / 3600 % 24, local / 60 % 60, local % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
}

/// The date that is so many days after 1 January 1970, counted year by year and month by month.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn entry(key: &str, value: impl Into<Node>) -> (String, Node) {
    (key.to_owned(), value.into())
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn texts(items: &[String]) -> Node {
    Node::List(items.iter().map(|item| text(item)).collect())
}

impl std::convert::From<bool> for Node {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl std::convert::From<i64> for Node {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl std::convert::From<&str> for Node {
    fn from(value: &str) -> Self {
        text(value)
    }
}

impl std::convert::From<String> for Node {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl std::convert::From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Boolean(*truth),
            Value::Number(number) => Self::Integer(number.as_i64().unwrap()),
            Value::String(value) => text(value),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| entry(key, value));
                Self::Map(fields.collect())
            }
        }
    }
}

#[test]
fn dates() {
    for (seconds, expected) in [
        (0, (1970, 1, 1)),
        (68_169_600, (1972, 2, 29)),
        (68_256_000, (1972, 3, 1)),
        (951_782_400, (2000, 2, 29)),
        (1_781_524_800, (2026, 6, 15)),
        (1_798_675_200, (2026, 12, 31)),
    ] {
        assert_eq!(date(seconds / 86_400), expected);
    }
}
