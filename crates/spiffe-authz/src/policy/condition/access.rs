//! Members and indexes: `path.office`, `request.headers["x"]`, `resource.tags[0]`, `has(..)`.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, SelectExpr, operators};
use http::HeaderName;
use http::header::HOST;

use super::check::{Checked, Shape, Walk, plain_call};
use super::dynamic::Step;
use super::problem::{ConditionProblem, NO_CEL};
use super::slot::{Field, Root, Slot};
use super::space::{Space, quoted};
use super::types::Type;

impl Walk<'_> {
    pub(super) fn select(&mut self, at: u64, mut select: SelectExpr) -> Checked<(Expr, Shape)> {
        let field = select.field.clone();
        match self.shape(&mut select.operand)? {
            Shape::Space(Space::Headers) => self.header(at, &field),
            Shape::Space(space) => self.member(at, space, &field),
            Shape::Value(Type::Dynamic) => {
                if let Some(Slot::Dynamic(_, steps)) = self.last_dynamic(&select.operand) {
                    steps.push(Step::Key(field));
                    return Ok((select.operand.expr, Shape::Value(Type::Dynamic)));
                }
                Ok((Expr::Select(select), Shape::Value(Type::Dynamic)))
            }
            Shape::Value(Type::Map(value)) => Ok((Expr::Select(select), Shape::Value(*value))),
            Shape::Value(other) => {
                let message = format!("{other} has no member `{field}`");
                Err(self.problem_at_name(at, &field, message))
            }
        }
    }

    fn member(&mut self, at: u64, space: Space, name: &str) -> Checked<(Expr, Shape)> {
        Ok(match (space, name) {
            (Space::Path, _) => {
                self.capture(at, name)?;
                (
                    self.slot(Slot::Path(name.to_owned())),
                    Shape::Value(Type::Text),
                )
            }
            (Space::Id, _) => {
                self.id_capture(at, name)?;
                (
                    self.slot(Slot::Id(name.to_owned())),
                    Shape::Value(Type::Text),
                )
            }
            (Space::Request, "headers") => (Expr::Unspecified, Shape::Space(Space::Headers)),
            (Space::User, "scopes") => (
                self.slot(Slot::Scopes),
                Shape::Value(Type::list_of(Type::Text)),
            ),
            (Space::User, "claims") => (
                self.slot(Slot::Dynamic(Root::Claims, Vec::new())),
                Shape::Value(Type::Dynamic),
            ),
            _ => match fact(space, name) {
                Some(field) => self.field(field),
                None => return Err(self.no_member(at, space, name)),
            },
        })
    }

    fn no_member(&self, at: u64, space: Space, name: &str) -> ConditionProblem {
        let message = format!(
            "`{}` has no member `{name}`; it has {}",
            space.name(),
            quoted(space.members().iter().copied())
        );
        self.problem_at_name(at, name, message)
    }

    fn capture(&self, at: u64, name: &str) -> Checked<()> {
        if self.scope.path.contains(&name) {
            return Ok(());
        }
        let message = if self.scope.some_path.contains(&name) {
            format!(
                "not every action of the rule captures `{{{name}}}`: write it into each, or split the rule"
            )
        } else if self.scope.path.is_empty() {
            format!("no path of the rule captures `{{{name}}}`")
        } else {
            format!(
                "no path of the rule captures `{{{name}}}`; captured are {}",
                quoted(self.scope.path.iter().copied())
            )
        };
        Err(self.problem_at_name(at, name, message))
    }

    fn id_capture(&self, at: u64, name: &str) -> Checked<()> {
        let message = match self.scope.id {
            Some(names) if names.contains(&name) => return Ok(()),
            None => "the rule has no ID patterns, so nothing of an ID is captured; `peer.id` is the whole ID".to_owned(),
            Some(_) if self.scope.some_id.contains(&name) => {
                format!("not every ID pattern of the rule captures `{{{name}}}`: write it into each, or split the rule")
            }
            Some([]) => format!("no ID pattern of the rule captures `{{{name}}}`"),
            Some(names) => format!(
                "no ID pattern of the rule captures `{{{name}}}`; captured are {}",
                quoted(names.iter().copied())
            ),
        };
        Err(self.problem_at_name(at, name, message))
    }

    fn header(&mut self, at: u64, name: &str) -> Checked<(Expr, Shape)> {
        let header = self.header_name(at, name)?;
        self.headers_read.insert(name.to_owned());
        Ok((
            self.slot(Slot::Header(header)),
            Shape::Value(Type::list_of(Type::Text)),
        ))
    }

    /// The name of a header as a text has it.
    pub(super) fn header_name(&self, at: u64, name: &str) -> Checked<HeaderName> {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let message = match parsed {
            Ok(HOST) => {
                "`host` is not among the headers: the one authority is `request.host`".to_owned()
            }
            Ok(header) if header.as_str() == name => return Ok(header),
            Ok(header) => format!("names of headers are in lower case; write `{header}`"),
            Err(_) => format!("`{}` is no name of a header", name.escape_debug()),
        };
        Err(self.problem(at, message))
    }

    /// `has(operand.field)`
    pub(super) fn test(&mut self, at: u64, mut select: SelectExpr) -> Checked<(Expr, Shape)> {
        let shape = Shape::Value(Type::Bool);
        let name = select.field.clone();
        match self.shape(&mut select.operand)? {
            Shape::Space(Space::Headers) => {
                let header = self.header_name(at, &name)?;
                self.headers_tested.insert(name);
                Ok((self.slot(Slot::HasHeader(header)), shape))
            }
            Shape::Space(Space::Path) => {
                self.capture(at, &name)?;
                Err(self.problem(
                    at,
                    format!("`path.{name}` is always there; leave `has` out"),
                ))
            }
            Shape::Space(Space::Id) => {
                self.id_capture(at, &name)?;
                Err(self.problem(at, format!("`id.{name}` is always there; leave `has` out")))
            }
            Shape::Space(space) => match (fact(space, &name), name.as_str()) {
                (Some(Field::Method | Field::RequestPath), _) | (None, "headers") => Err(self
                    .problem(
                        at,
                        format!("`{}.{name}` is always there; leave `has` out", space.name()),
                    )),
                (Some(field), _) => Ok((self.slot(Slot::Known(field)), shape)),
                // All of a user is there or nothing is.
                (None, "scopes" | "claims") => {
                    Ok((self.slot(Slot::Known(Field::UserSubject)), shape))
                }
                (None, _) => Err(self.no_member(at, space, &name)),
            },
            Shape::Value(Type::Dynamic) => {
                if let Some(Slot::Dynamic(root, steps)) = self.last_dynamic(&select.operand) {
                    let test = Slot::HasKey(*root, std::mem::take(steps), name);
                    self.slots.pop();
                    return Ok((self.slot(test), shape));
                }
                Ok((Expr::Select(select), shape))
            }
            Shape::Value(Type::Map(_)) => Ok((Expr::Select(select), shape)),
            Shape::Value(other) => Err(self.problem(at, format!("{other} has no member `{name}`"))),
        }
    }

    /// `args[0][args[1]]`
    pub(super) fn index(&mut self, at: u64, mut args: Vec<IdedExpr>) -> Checked<(Expr, Shape)> {
        let [target, index] = args.as_mut_slice() else {
            return Err(self.problem(at, NO_CEL));
        };
        let found = match self.shape(target)? {
            Shape::Space(Space::Headers) => {
                if let Expr::Literal(LiteralValue::String(name)) = &index.expr {
                    let name = name.inner().to_owned();
                    return self.header(index.id, &name);
                }
                self.value_of(index, &Type::Text, "the name of a header is")?;
                target.expr = self.slot(Slot::Headers);
                Type::list_of(Type::Text)
            }
            Shape::Space(space) => {
                let message = format!("write `{}.NAME`", space.name());
                return Err(self.problem(at, message));
            }
            Shape::Value(Type::Dynamic) => {
                if let Some(step) = step(index)
                    && let Some(Slot::Dynamic(_, steps)) = self.last_dynamic(target)
                {
                    steps.push(step);
                    return Ok((
                        std::mem::take(&mut target.expr),
                        Shape::Value(Type::Dynamic),
                    ));
                }
                self.value(index)?;
                Type::Dynamic
            }
            Shape::Value(Type::List(element)) => {
                let by = self.value(index)?;
                if !matches!(by, Type::Int | Type::Uint | Type::Dynamic) {
                    let message = format!("a list is indexed with a whole number; this is {by}");
                    return Err(self.problem(index.id, message));
                }
                *element
            }
            Shape::Value(Type::Map(value)) => {
                self.value_of(index, &Type::Text, "the key of a map is")?;
                *value
            }
            Shape::Value(other) => {
                return Err(self.problem(at, format!("{other} cannot be indexed")));
            }
        };
        Ok((plain_call(operators::INDEX, args), Shape::Value(found)))
    }
}

/// The text that a member is, where it is one.
fn fact(space: Space, name: &str) -> Option<Field> {
    match (space, name) {
        (Space::Peer, "id") => Some(Field::PeerId),
        (Space::Peer, "trust_domain") => Some(Field::PeerTrustDomain),
        (Space::Request, "method") => Some(Field::Method),
        (Space::Request, "path") => Some(Field::RequestPath),
        (Space::Request, "host") => Some(Field::Host),
        (Space::User, "subject") => Some(Field::UserSubject),
        (Space::User, "issuer") => Some(Field::UserIssuer),
        _ => None,
    }
}

/// An index that is written out.
fn step(index: &IdedExpr) -> Option<Step> {
    match &index.expr {
        Expr::Literal(LiteralValue::String(key)) => Some(Step::Key(key.inner().to_owned())),
        Expr::Literal(LiteralValue::Int(at)) => {
            usize::try_from(*at.inner()).ok().map(Step::Position)
        }
        _ => None,
    }
}
