//! What an expression gives for one request and one pair of an action and an ID pattern.

use serde_json::Value;

use crate::canonical::Canonical;
use crate::expression::{Expression, Term};
use crate::pattern::{Captures, split_id};
use crate::policy::{Request, User};
use crate::slip::Slip;

#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request,
    pub(crate) canonical: &'a Canonical,
    pub(crate) user: Option<&'a User>,
    pub(crate) path: &'a Captures,
    pub(crate) id: &'a Captures,
    pub(crate) slip: Option<Slip>,
}

/// Something that is absent was read, or an operator does not take what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

impl Facts<'_> {
    pub(crate) fn holds(&self, expression: &Expression) -> Result<bool, Failed> {
        match expression {
            Expression::Not(inner) => self.holds(inner).map(|truth| !truth),
            Expression::And(left, right) => {
                self.absorbing(self.holds(left), self.holds(right), false)
            }
            Expression::Or(left, right) => {
                self.absorbing(self.holds(left), self.holds(right), true)
            }
            Expression::Equal(left, right) => Ok(self.value(left)? == self.value(right)?),
            Expression::Unequal(left, right) => Ok(self.value(left)? != self.value(right)?),
            Expression::Less(left, right) => less(&self.value(left)?, &self.value(right)?),
            Expression::In(item, of) => contains(&self.value(of)?, &self.value(item)?),
            Expression::StartsWith(text, start) => match (self.value(text)?, self.value(start)?) {
                (Value::String(text), Value::String(start)) => Ok(text.starts_with(&start)),
                _ => Err(Failed),
            },
            Expression::HasHeader(name) => Ok(self.header(name).is_ok()),
        }
    }

    /// `&&` where `decisive` is false, `||` where it is true: a decisive side decides, whatever the other is.
    fn absorbing(
        &self,
        left: Result<bool, Failed>,
        right: Result<bool, Failed>,
        decisive: bool,
    ) -> Result<bool, Failed> {
        if self.slip == Some(Slip::ErrorsAreNotAbsorbed) {
            let (left, right) = (left?, right?);
            return Ok(if decisive {
                left || right
            } else {
                left && right
            });
        }
        if left == Ok(decisive) || right == Ok(decisive) {
            return Ok(decisive);
        }
        left.and(right)
    }

    fn value(&self, term: &Term) -> Result<Value, Failed> {
        let peer = || self.request.peer.as_deref().ok_or(Failed);
        let user = || self.user.ok_or(Failed);
        Ok(match term {
            Term::Text(text) => Value::from(text.as_str()),
            Term::Integer(number) => Value::from(*number),
            Term::Boolean(truth) => Value::from(*truth),
            Term::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                Value::from(items?)
            }
            Term::Path(name) => captured(self.path, name)?,
            Term::Id(name) => captured(self.id, name)?,
            Term::PeerId => Value::from(peer()?),
            Term::PeerTrustDomain => Value::from(split_id(peer()?).0),
            Term::Method => Value::from(self.request.method.as_str()),
            Term::RequestPath => Value::from(self.canonical.path()),
            Term::Host => Value::from(self.canonical.host.as_deref().ok_or(Failed)?),
            Term::Header(name) => Value::from(self.header(name)?),
            Term::HeaderAt(name, index) => {
                let values = self.header(name)?;
                Value::from(*values.get(*index).ok_or(Failed)?)
            }
            Term::UserSubject => Value::from(user()?.subject.as_str()),
            Term::UserIssuer => Value::from(user()?.issuer.as_str()),
            Term::UserScopes => Value::from(user()?.scopes.clone()),
            Term::Claim(keys) => {
                let claims = Value::from(user()?.claims.clone());
                selected(&claims, keys)?
            }
            Term::Resource(keys) => selected(self.request.resource.as_ref().ok_or(Failed)?, keys)?,
        })
    }

    /// Every value of a header that is there.
    fn header(&self, name: &str) -> Result<Vec<&str>, Failed> {
        let mut values: Vec<&str> = Vec::new();
        for (other, value) in &self.request.headers {
            if other == name && name != "host" {
                values.push(value);
            }
        }
        if self.slip == Some(Slip::FirstHeaderCounts) {
            values.truncate(1);
        }
        if values.is_empty() {
            Err(Failed)
        } else {
            Ok(values)
        }
    }
}

fn captured(captures: &Captures, name: &str) -> Result<Value, Failed> {
    let capture = captures.iter().find(|(other, _)| other == name);
    capture
        .map(|(_, text)| Value::from(text.as_str()))
        .ok_or(Failed)
}

fn selected(root: &Value, keys: &[String]) -> Result<Value, Failed> {
    let mut value = root;
    for key in keys {
        let Value::Object(fields) = value else {
            return Err(Failed);
        };
        value = fields.get(key).ok_or(Failed)?;
    }
    Ok(value.clone())
}

fn less(left: &Value, right: &Value) -> Result<bool, Failed> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Ok(left.as_i64().ok_or(Failed)? < right.as_i64().ok_or(Failed)?)
        }
        (Value::String(left), Value::String(right)) => Ok(left < right),
        _ => Err(Failed),
    }
}

fn contains(of: &Value, item: &Value) -> Result<bool, Failed> {
    match (of, item) {
        (Value::Array(items), item) => Ok(items.contains(item)),
        (Value::Object(fields), Value::String(key)) => Ok(fields.contains_key(key)),
        _ => Err(Failed),
    }
}
