//! The walk over the tree that the parser made: names, types, functions.
//!
//! It refuses what cannot exist where the rule applies, and puts slots in place of what reads the
//! request, so that the evaluator sees a tree without a single name that a text could have chosen.

use std::collections::BTreeSet;
use std::mem;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedEntryExpr, ListExpr, LiteralValue, MapExpr, SourceInfo,
};

use super::Scope;
use super::eval;
use super::problem::{ConditionProblem, NO_CEL};
use super::slot::{Field, Root, Slot};
use super::space::{NAMES, Space, quoted};
use super::types::Type;

/// What an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Value(Type),
    /// A name that has members and is no value itself.
    Space(Space),
}

/// What the rest of a tree becomes, and what it stands for.
pub(super) type Checked<T> = Result<T, ConditionProblem>;

pub(super) struct Walk<'s> {
    pub(super) scope: &'s Scope<'s>,
    source: &'s SourceInfo,
    pub(super) slots: Vec<Slot>,
    /// The names that comprehensions have bound, innermost last.
    pub(super) variables: Vec<(String, Type)>,
    /// How many comprehensions the walk is inside of.
    pub(super) repeated: usize,
    /// How many lists that are gone through the walk is inside of.
    pub(super) ranges: usize,
    pub(super) headers_read: BTreeSet<String>,
    pub(super) headers_tested: BTreeSet<String>,
    pub(super) unanchored: Vec<String>,
}

impl<'s> Walk<'s> {
    pub(super) fn new(scope: &'s Scope<'s>, source: &'s SourceInfo) -> Self {
        Self {
            scope,
            source,
            slots: Vec::new(),
            variables: Vec::new(),
            repeated: 0,
            ranges: 0,
            headers_read: BTreeSet::new(),
            headers_tested: BTreeSet::new(),
            unanchored: Vec::new(),
        }
    }

    /// Checks a whole condition.
    pub(super) fn condition(&mut self, tree: &mut IdedExpr) -> Checked<()> {
        let found = self.value(tree)?;
        if found.may_be(&Type::Bool) {
            Ok(())
        } else {
            let message = format!("a condition is true or false; this is {found}");
            Err(ConditionProblem::at(&self.source.source, 0, message))
        }
    }

    /// Checks what has to be a value.
    pub(super) fn value(&mut self, tree: &mut IdedExpr) -> Checked<Type> {
        match self.shape(tree)? {
            Shape::Value(found) => Ok(found),
            Shape::Space(space) => Err(self.problem(tree.id, space.is_no_value())),
        }
    }

    /// Checks what has to be a value of one type, or a dynamic one.
    pub(super) fn value_of(
        &mut self,
        tree: &mut IdedExpr,
        wanted: &Type,
        what: &str,
    ) -> Checked<()> {
        let found = self.value(tree)?;
        if found.may_be(wanted) {
            Ok(())
        } else {
            Err(self.problem(tree.id, format!("{what} {wanted}; this is {found}")))
        }
    }

    pub(super) fn shape(&mut self, tree: &mut IdedExpr) -> Checked<Shape> {
        let (expr, shape) = self.node(tree.id, mem::take(&mut tree.expr))?;
        tree.expr = expr;
        Ok(shape)
    }

    fn node(&mut self, at: u64, expr: Expr) -> Checked<(Expr, Shape)> {
        match expr {
            Expr::Ident(name) => self.name(at, name),
            Expr::Literal(literal) => {
                let found = self.literal(at, &literal)?;
                Ok((Expr::Literal(literal), Shape::Value(found)))
            }
            Expr::Select(select) if select.test => self.test(at, select),
            Expr::Select(select) => self.select(at, select),
            Expr::Call(call) => self.call(at, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(at, map),
            Expr::Comprehension(comprehension) => self.comprehension(at, *comprehension),
            Expr::Struct(_) => Err(self.problem(at, "there are no types to construct here")),
            Expr::Unspecified => Err(self.problem(at, NO_CEL)),
        }
    }

    fn name(&mut self, at: u64, name: String) -> Checked<(Expr, Shape)> {
        if let Some((_, found)) = self.variables.iter().rfind(|(known, _)| *known == name) {
            let found = found.clone();
            return Ok((Expr::Ident(name), Shape::Value(found)));
        }
        let space = match name.as_str() {
            "path" => Space::Path,
            "id" => Space::Id,
            "peer" => Space::Peer,
            "request" => Space::Request,
            "user" if self.scope.users => Space::User,
            "user" => {
                return Err(self.problem(
                    at,
                    "the policy looks at no end users: list the issuers of their tokens under `users`",
                ));
            }
            "resource" => {
                let read = self.slot(Slot::Dynamic(Root::Resource, Vec::new()));
                return Ok((read, Shape::Value(Type::Dynamic)));
            }
            _ => {
                let shown = name.escape_debug();
                return Err(self.problem(
                    at,
                    format!(
                        "`{shown}` is no name; there are {}, and a text stands in quotes",
                        quoted(NAMES)
                    ),
                ));
            }
        };
        Ok((Expr::Unspecified, Shape::Space(space)))
    }

    fn literal(&self, at: u64, literal: &LiteralValue) -> Checked<Type> {
        match literal {
            LiteralValue::Boolean(_) => Ok(Type::Bool),
            LiteralValue::Double(_) => Ok(Type::Double),
            LiteralValue::Int(_) => Ok(Type::Int),
            LiteralValue::Null => Ok(Type::Null),
            LiteralValue::String(_) => Ok(Type::Text),
            LiteralValue::UInt(_) => Ok(Type::Uint),
            LiteralValue::Bytes(_) => Err(self.problem(
                at,
                "nothing in a request is compared as bytes; write a text",
            )),
        }
    }

    fn list(&mut self, mut list: ListExpr) -> Checked<(Expr, Shape)> {
        let mut joined: Option<Type> = None;
        for element in &mut list.elements {
            let found = self.value(element)?;
            joined = Some(match joined {
                None => found,
                Some(before) => before.joined(found).unwrap_or(Type::Dynamic),
            });
        }
        let shape = Shape::Value(Type::list_of(joined.unwrap_or(Type::Dynamic)));
        let constant = !list.elements.is_empty()
            && (list.elements.iter()).all(|element| matches!(element.expr, Expr::Literal(_)));
        let expr = Expr::List(list);
        // Made here, a list need not be made again at every request.
        match constant.then(|| eval::constant(&expr)).flatten() {
            Some(value) => Ok((self.slot(Slot::Constant(value)), shape)),
            None => Ok((expr, shape)),
        }
    }

    fn map(&mut self, at: u64, mut map: MapExpr) -> Checked<(Expr, Shape)> {
        let mut joined: Option<Type> = None;
        for IdedEntryExpr { expr, .. } in &mut map.entries {
            let EntryExpr::MapEntry(entry) = expr else {
                return Err(self.problem(at, NO_CEL));
            };
            self.value_of(&mut entry.key, &Type::Text, "the key of a map is")?;
            let found = self.value(&mut entry.value)?;
            joined = Some(match joined {
                None => found,
                Some(before) => before.joined(found).unwrap_or(Type::Dynamic),
            });
        }
        let found = Type::Map(Box::new(joined.unwrap_or(Type::Dynamic)));
        Ok((Expr::Map(map), Shape::Value(found)))
    }

    /// A node that reads a new slot.
    pub(super) fn slot(&mut self, slot: Slot) -> Expr {
        self.slots.push(slot);
        eval::slot_name(self.slots.len().saturating_sub(1))
    }

    /// The dynamic value that the walk has just found, where the tree is nothing but its slot.
    pub(super) fn last_dynamic(&mut self, tree: &IdedExpr) -> Option<&mut Slot> {
        let last = self.slots.len().checked_sub(1)?;
        if tree.expr != eval::slot_name(last) {
            return None;
        }
        self.slots
            .last_mut()
            .filter(|slot| matches!(slot, Slot::Dynamic(..)))
    }

    /// A slot that is one text of the request.
    pub(super) fn field(&mut self, field: Field) -> (Expr, Shape) {
        (self.slot(Slot::Field(field)), Shape::Value(Type::Text))
    }

    /// A problem at a node: at its first character, or at its operator.
    pub(super) fn problem(&self, at: u64, message: impl Into<String>) -> ConditionProblem {
        let offset = self.source.offset_for(at).map_or(0, |(start, _)| start);
        let offset = usize::try_from(offset).unwrap_or(0);
        ConditionProblem::at(&self.source.source, offset, message)
    }

    /// A problem at the name before the operator at a node, or after it.
    pub(super) fn problem_at_name(
        &self,
        at: u64,
        name: &str,
        message: impl Into<String>,
    ) -> ConditionProblem {
        let text = self.source.source.as_str();
        let start = self.source.offset_for(at).map_or(0, |(start, _)| start);
        let start = usize::try_from(start).unwrap_or(0);
        let before = text.get(..start).unwrap_or_default().trim_end();
        let after = text.get(start..).unwrap_or_default();
        let offset = if let Some(rest) = before.strip_suffix(name) {
            rest.len()
        } else {
            after
                .find(name)
                .map_or(start, |skip| start.saturating_add(skip))
        };
        ConditionProblem::at(text, offset, message)
    }
}

/// A call without a receiver.
pub(super) fn plain_call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: None,
        args,
    })
}

pub(super) fn node(id: u64, expr: Expr) -> IdedExpr {
    IdedExpr { id, expr }
}
