//! `all`, `exists`, `exists_one`, `filter` and `map`, as the parser spells them out.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, operators,
};

use super::check::{Checked, Shape, Walk, node, plain_call};
use super::eval::TICK;
use super::problem::NO_CEL;
use super::space::{NAMES, quoted};
use super::types::Type;

/// How deep these may stand within each other.
const MAX_NESTING: usize = 2;

impl Walk<'_> {
    pub(super) fn comprehension(
        &mut self,
        at: u64,
        mut tree: ComprehensionExpr,
    ) -> Checked<(Expr, Shape)> {
        if grows(&tree.iter_range) {
            return Err(self.problem(
                at,
                "what `map` gives is not gone through again; do both in one step",
            ));
        }
        self.ranges = self.ranges.saturating_add(1);
        let range = self.shape(&mut tree.iter_range);
        self.ranges = self.ranges.saturating_sub(1);
        let element = match range? {
            Shape::Value(Type::List(element)) => *element,
            Shape::Value(Type::Dynamic) => Type::Dynamic,
            Shape::Value(other) => {
                return Err(
                    self.problem(at, format!("only a list is gone through; this is {other}"))
                );
            }
            Shape::Space(space) => {
                let message = format!("only a list is gone through; `{}` is none", space.name());
                return Err(self.problem(at, message));
            }
        };
        self.variable(at, &tree.iter_var)?;
        if self.repeated >= MAX_NESTING {
            return Err(self.problem(
                at,
                format!("`all`, `exists`, `exists_one`, `filter` and `map` stand at most {MAX_NESTING} deep in each other"),
            ));
        }
        self.repeated = self.repeated.saturating_add(1);
        self.variables.push((tree.iter_var.clone(), element));
        let found = self.body(at, &mut tree);
        self.variables.pop();
        self.repeated = self.repeated.saturating_sub(1);
        Ok((Expr::Comprehension(Box::new(tree)), Shape::Value(found?)))
    }

    fn variable(&self, at: u64, name: &str) -> Checked<()> {
        let taken = NAMES.contains(&name) || self.variables.iter().any(|(known, _)| known == name);
        if taken || name.starts_with('.') {
            let message = format!(
                "`{name}` has a meaning already ({} always have): choose another name for the element",
                quoted(NAMES)
            );
            return Err(self.problem(at, message));
        }
        Ok(())
    }

    /// Checks what is done with each element, and makes each cost a step of the work allowed.
    fn body(&mut self, at: u64, tree: &mut ComprehensionExpr) -> Checked<Type> {
        let unknown = self.problem(at, NO_CEL);
        let Expr::Call(CallExpr {
            func_name,
            args,
            target: None,
        }) = &mut tree.loop_step.expr
        else {
            return Err(unknown);
        };
        let logic = func_name == operators::LOGICAL_AND || func_name == operators::LOGICAL_OR;
        match args.as_mut_slice() {
            // all, exists: `@result && body`
            [_, body] if logic => {
                self.value_of(body, &Type::Bool, "each element is held against what is")?;
                let before = std::mem::take(&mut tree.loop_cond);
                let id = before.id;
                let never = node(id, Expr::Literal(LiteralValue::Boolean(false.into())));
                tree.loop_cond = ticking(before, never);
                Ok(Type::Bool)
            }
            // map: `@result + [body]`
            [_, items] if func_name == operators::ADD => {
                self.element(items).transpose().unwrap_or(Err(unknown))
            }
            // filter, and map with a condition: `condition ? @result + [body] : @result`
            [condition, added, _] if func_name == operators::CONDITIONAL => {
                self.value_of(
                    condition,
                    &Type::Bool,
                    "each element is held against what is",
                )?;
                let id = condition.id;
                let never = node(id, Expr::Literal(LiteralValue::Boolean(false.into())));
                *condition = ticking(std::mem::take(condition), never);
                let Expr::Call(CallExpr {
                    func_name,
                    args,
                    target: None,
                }) = &mut added.expr
                else {
                    return Err(unknown);
                };
                match args.as_mut_slice() {
                    [_, items] if func_name == operators::ADD => match self.element(items)? {
                        Some(list) => Ok(list),
                        // exists_one: `condition ? @result + 1 : @result`
                        None => Ok(Type::Bool),
                    },
                    _ => Err(unknown),
                }
            }
            _ => Err(unknown),
        }
    }

    /// What is added to a list for each element; `None` where it is no list that is added to.
    fn element(&mut self, items: &mut IdedExpr) -> Checked<Option<Type>> {
        let Expr::List(ListExpr { elements, .. }) = &mut items.expr else {
            return Ok(None);
        };
        let [body] = elements.as_mut_slice() else {
            return Ok(None);
        };
        let found = self.value(body)?;
        let never = node(body.id, Expr::Literal(LiteralValue::Null));
        *body = ticking(std::mem::take(body), never);
        Ok(Some(Type::list_of(found)))
    }
}

/// A tree that costs a step of the work allowed, and is an error when it is used up.
fn ticking(tree: IdedExpr, never: IdedExpr) -> IdedExpr {
    let id = tree.id;
    let tick = node(id, Expr::Ident(TICK.to_owned()));
    node(
        id,
        plain_call(operators::CONDITIONAL, vec![tick, tree, never]),
    )
}

/// Whether a `map` stands anywhere in a tree: going through what it gives could double a value at every step.
fn grows(tree: &IdedExpr) -> bool {
    match &tree.expr {
        Expr::Call(call) => {
            call.target.as_deref().is_some_and(grows) || call.args.iter().any(grows)
        }
        Expr::Select(select) => grows(&select.operand),
        Expr::List(list) => list.elements.iter().any(grows),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => grows(&entry.key) || grows(&entry.value),
            EntryExpr::StructField(field) => grows(&field.value),
        }),
        Expr::Comprehension(inner) => {
            let list = matches!(inner.accu_init.expr, Expr::List(_));
            (list && !keeps_elements(inner)) || grows(&inner.iter_range)
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => false,
    }
}

/// Whether a comprehension gives its elements as they are: `filter`.
fn keeps_elements(tree: &ComprehensionExpr) -> bool {
    let added = match &tree.loop_step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => call.args.get(1),
        _ => None,
    };
    let items = added.and_then(|added| match &added.expr {
        Expr::Call(call) => call.args.get(1),
        _ => None,
    });
    items.is_some_and(|items| match &items.expr {
        Expr::List(list) => (list.elements.iter())
            .all(|element| matches!(&element.expr, Expr::Ident(name) if *name == tree.iter_var)),
        _ => false,
    })
}
