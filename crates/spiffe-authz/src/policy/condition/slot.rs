//! What a condition reads from a request: one slot for each place in its text that reads something.
//!
//! The tree that is evaluated names slots in place of `request.headers["x"]` and the like, so that only
//! what is read is looked up and converted, and absence is reported in the words of the text.

use std::collections::HashMap;
use std::fmt;

use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use http::HeaderName;
use http::header::HOST;

use super::dynamic::{self, Dynamic, Step};
use super::facts::Facts;
use super::pattern::Pattern;

#[derive(Debug)]
pub(super) enum Slot {
    Path(String),
    Id(String),
    Field(Field),
    /// Whether the fact is there, for `has(..)`.
    Known(Field),
    Scopes,
    /// The values of one header.
    Header(HeaderName),
    HasHeader(HeaderName),
    /// Every header with its values, for an index that is computed.
    Headers,
    HeaderNames,
    Dynamic(Root, Vec<Step>),
    /// Whether a map has the key, for `has(..)`.
    HasKey(Root, Vec<Step>, String),
    Pattern(Box<Pattern>),
    /// A list literal, made once.
    Constant(Box<dyn Val>),
}

/// A fact that is one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    PeerId,
    PeerTrustDomain,
    Method,
    RequestPath,
    Host,
    UserSubject,
    UserIssuer,
}

/// Where a dynamic value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Claims,
    Resource,
}

/// Why a slot has nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Absent,
    NotUtf8,
    /// The work that one evaluation may do is used up.
    TooMuch,
    Unfit,
}

impl Slot {
    /// The value; `spend` is told how many pieces it has and says whether there may be so many.
    pub(super) fn read<'b>(
        &'b self,
        facts: &Facts<'b>,
        spend: &mut dyn FnMut(usize) -> bool,
    ) -> Result<CowVal<'b, 'b>, Missing> {
        match self {
            Self::Path(name) => captured(facts.path, name),
            Self::Id(name) => captured(facts.id, name),
            Self::Field(field) => field.of(facts).map(text).ok_or(Missing::Absent),
            Self::Known(field) => Ok(truth(field.of(facts).is_some())),
            Self::Scopes => {
                let scopes = facts.user.ok_or(Missing::Absent)?.scopes;
                paid(spend, scopes.len())?;
                Ok(list(scopes.iter().map(|scope| boxed(scope)).collect()))
            }
            Self::Header(name) => header(facts, name, spend).map(list),
            Self::HasHeader(name) => Ok(truth(facts.headers.contains_key(name))),
            Self::Headers => {
                let mut all: HashMap<CelMapKey<'b>, Box<dyn Val + 'b>> = HashMap::new();
                for name in facts.headers.keys().filter(|name| *name != HOST) {
                    let values = CelList::from(header(facts, name, spend)?);
                    all.insert(CelMapKey::from(name.as_str()), Box::new(values));
                }
                Ok(CowVal::owned(CelMap::from(all)))
            }
            Self::HeaderNames => {
                paid(spend, facts.headers.keys_len())?;
                let names = facts.headers.keys().filter(|name| *name != HOST);
                Ok(list(names.map(|name| boxed(name.as_str())).collect()))
            }
            Self::Dynamic(root, steps) => {
                let found = root.of(facts)?.follow(steps).ok_or(Missing::Absent)?;
                found.convert(spend).map(CowVal::Owned)
            }
            Self::HasKey(root, steps, key) => {
                let found = root.of(facts)?.follow(steps).ok_or(Missing::Absent)?;
                found.has(key).map(truth).ok_or(Missing::Unfit)
            }
            Self::Pattern(pattern) => Ok(CowVal::Borrowed(pattern.as_ref())),
            Self::Constant(value) => Ok(CowVal::Borrowed(value.as_ref())),
        }
    }
}

impl Field {
    fn of<'b>(self, facts: &Facts<'b>) -> Option<&'b str> {
        match self {
            Self::PeerId => facts.peer.map(|(id, _)| id),
            Self::PeerTrustDomain => facts.peer.map(|(_, trust_domain)| trust_domain),
            Self::Method => Some(facts.method),
            Self::RequestPath => Some(facts.request_path),
            Self::Host => facts.host,
            Self::UserSubject => facts.user.map(|user| user.subject),
            Self::UserIssuer => facts.user.map(|user| user.issuer),
        }
    }
}

impl Root {
    fn of<'b>(self, facts: &Facts<'b>) -> Result<Dynamic<'b>, Missing> {
        let found = match self {
            Self::Claims => facts.user.map(|user| Dynamic::Map(user.claims)),
            Self::Resource => facts.resource.map(Dynamic::from),
        };
        found.ok_or(Missing::Absent)
    }
}

pub(super) fn paid(spend: &mut dyn FnMut(usize) -> bool, pieces: usize) -> Result<(), Missing> {
    if spend(pieces) {
        Ok(())
    } else {
        Err(Missing::TooMuch)
    }
}

fn captured<'b>(names: &[(&'b str, &'b str)], name: &str) -> Result<CowVal<'b, 'b>, Missing> {
    names
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| text(value))
        .ok_or(Missing::Absent)
}

fn header<'b>(
    facts: &Facts<'b>,
    name: &HeaderName,
    spend: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<Box<dyn Val + 'b>>, Missing> {
    let mut values = Vec::new();
    for value in facts.headers.get_all(name) {
        paid(spend, 1)?;
        let value = str::from_utf8(value.as_bytes()).map_err(|_| Missing::NotUtf8)?;
        values.push(boxed(value));
    }
    if values.is_empty() {
        Err(Missing::Absent)
    } else {
        Ok(values)
    }
}

fn text<'b>(value: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(value))
}

fn boxed<'b>(value: &'b str) -> Box<dyn Val + 'b> {
    Box::new(CelString::from(value))
}

fn list<'b>(values: Vec<Box<dyn Val + 'b>>) -> CowVal<'b, 'b> {
    CowVal::owned(CelList::from(values))
}

fn truth<'b>(value: bool) -> CowVal<'b, 'b> {
    CowVal::owned(CelBool::from(value))
}

/// As it is written in a condition, without a value of the request.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(name) => write!(f, "path.{name}"),
            Self::Id(name) => write!(f, "id.{name}"),
            Self::Field(field) | Self::Known(field) => field.fmt(f),
            Self::Scopes => f.write_str("user.scopes"),
            Self::Header(name) | Self::HasHeader(name) => {
                write!(f, "request.headers[\"{name}\"]")
            }
            Self::Headers | Self::HeaderNames => f.write_str("request.headers"),
            Self::Dynamic(root, steps) => {
                root.fmt(f)?;
                dynamic::write_steps(f, steps)
            }
            Self::HasKey(root, steps, key) => {
                root.fmt(f)?;
                dynamic::write_steps(f, steps)?;
                write!(f, ".{key}")
            }
            Self::Pattern(_) => f.write_str("a regular expression"),
            Self::Constant(_) => f.write_str("a list"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerId => "peer.id",
            Self::PeerTrustDomain => "peer.trust_domain",
            Self::Method => "request.method",
            Self::RequestPath => "request.path",
            Self::Host => "request.host",
            Self::UserSubject => "user.subject",
            Self::UserIssuer => "user.issuer",
        })
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "user.claims",
            Self::Resource => "resource",
        })
    }
}
