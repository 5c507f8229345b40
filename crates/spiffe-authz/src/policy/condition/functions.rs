//! The functions that a condition may call.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue};

use super::check::{Checked, Shape, Walk, node, plain_call};
use super::eval::MATCHES;
use super::pattern::Pattern;
use super::problem::ConditionProblem;
use super::slot::Slot;
use super::space::quoted;
use super::types::Type;

/// Every function and macro, as they are called.
pub(super) const FUNCTIONS: [&str; 16] = [
    "text.startsWith(text)",
    "text.endsWith(text)",
    "text.contains(text)",
    "text.matches(\"regex\")",
    "text.lowerAscii()",
    "size(value)",
    "int(value)",
    "uint(value)",
    "double(value)",
    "string(value)",
    "has(value.member)",
    "list.all(x, condition)",
    "list.exists(x, condition)",
    "list.exists_one(x, condition)",
    "list.filter(x, condition)",
    "list.map(x, value)",
];

impl Walk<'_> {
    pub(super) fn call(&mut self, at: u64, mut call: CallExpr) -> Checked<(Expr, Shape)> {
        if call.target.is_none()
            && let Some(done) = self.operator(at, &call.func_name, &mut call.args)?
        {
            return Ok(done);
        }
        let name = call.func_name.clone();
        let found = match (name.as_str(), &mut call.target, call.args.as_mut_slice()) {
            ("startsWith" | "endsWith" | "contains", Some(text), [part]) => {
                self.value_of(text, &Type::Text, &format!("`{name}` is asked of"))?;
                self.value_of(part, &Type::Text, &format!("`{name}` takes"))?;
                Type::Bool
            }
            ("lowerAscii", Some(text), []) => {
                self.value_of(text, &Type::Text, "`lowerAscii` is asked of")?;
                Type::Text
            }
            ("matches", Some(text), [pattern]) => {
                let mut text = std::mem::take(text.as_mut());
                return self.matches(&mut text, pattern);
            }
            ("matches", None, [text, pattern]) => return self.matches(text, pattern),
            ("size", Some(sized), []) => self.size(sized)?,
            ("size", None, [sized]) => self.size(sized)?,
            ("int" | "uint" | "double" | "string", None, [from]) => self.conversion(&name, from)?,
            _ => return Err(self.unknown(at, &call)),
        };
        Ok((Expr::Call(call), Shape::Value(found)))
    }

    fn matches(&mut self, text: &mut IdedExpr, pattern: &IdedExpr) -> Checked<(Expr, Shape)> {
        self.value_of(text, &Type::Text, "`matches` is asked of")?;
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return Err(self.problem(
                pattern.id,
                "the regular expression of `matches` is written out: a text in quotes",
            ));
        };
        let source = source.inner();
        let compiled = Pattern::new(source).map_err(|message| self.problem(pattern.id, message))?;
        if !compiled.is_anchored() {
            self.unanchored.push(source.to_owned());
        }
        let read = self.slot(Slot::Pattern(Box::new(compiled)));
        let args = vec![std::mem::take(text), node(pattern.id, read)];
        Ok((plain_call(MATCHES, args), Shape::Value(Type::Bool)))
    }

    fn size(&mut self, sized: &mut IdedExpr) -> Checked<Type> {
        match self.value(sized)? {
            Type::Text | Type::List(_) | Type::Map(_) | Type::Dynamic => Ok(Type::Int),
            other => {
                let message = format!("`size` counts a text, a list or a map; this is {other}");
                Err(self.problem(sized.id, message))
            }
        }
    }

    fn conversion(&mut self, name: &str, from: &mut IdedExpr) -> Checked<Type> {
        let found = self.value(from)?;
        let to = match name {
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            _ => Type::Text,
        };
        let takes = match found {
            Type::Dynamic | Type::Text => true,
            Type::Bool => to == Type::Text,
            ref number => number.is_number(),
        };
        if takes {
            Ok(to)
        } else {
            Err(self.problem(from.id, format!("`{name}` does not take {found}")))
        }
    }

    fn unknown(&self, at: u64, call: &CallExpr) -> ConditionProblem {
        let name = call.func_name.as_str();
        let known: Vec<&str> = FUNCTIONS
            .into_iter()
            .filter(|form| {
                let form = form.split_once('(').map_or(*form, |(before, _)| before);
                form.rsplit('.').next() == Some(name)
            })
            .collect();
        let message = if known.is_empty() {
            let shown = name.escape_debug();
            format!(
                "`{shown}` is no function here; there are {}",
                quoted(FUNCTIONS)
            )
        } else {
            format!("`{name}` is called as {}", quoted(known))
        };
        self.problem_at_name(at, name, message)
    }
}
