//! Operators: what they take, and what they give.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::check::{Checked, Shape, Walk, plain_call};
use super::slot::Slot;
use super::space::Space;
use super::types::Type;

impl Walk<'_> {
    /// An operator by the name that the parser gives it; `None` where it is none.
    pub(super) fn operator(
        &mut self,
        at: u64,
        name: &str,
        args: &mut Vec<IdedExpr>,
    ) -> Checked<Option<(Expr, Shape)>> {
        if let [left, right] = args.as_slice() {
            self.hosts_as_they_are(name, left, right)?;
        }
        let found = match (name, args.as_mut_slice()) {
            (operators::INDEX, [_, _]) => return self.index(at, std::mem::take(args)).map(Some),
            (operators::IN, [left, right]) => {
                if let Some(read) = self.membership(at, left, right)? {
                    return Ok(Some((read, Shape::Value(Type::Bool))));
                }
                Type::Bool
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let what = format!("each side of `{}` is", shown(name));
                self.value_of(left, &Type::Bool, &what)?;
                self.value_of(right, &Type::Bool, &what)?;
                Type::Bool
            }
            (operators::LOGICAL_NOT, [operand]) => {
                self.value_of(operand, &Type::Bool, "after `!` stands what is")?;
                Type::Bool
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.value_of(condition, &Type::Bool, "before `?` stands what is")?;
                let (yes, no) = (self.value(yes)?, self.value(no)?);
                let message =
                    format!("both sides of `:` are of one type; these are {yes} and {no}");
                yes.joined(no).ok_or_else(|| self.problem(at, message))?
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                if !left.may_equal(&right) {
                    return Err(self.problem(
                        at,
                        format!("{left} is never equal to {right}{}", hint(&left, &right)),
                    ));
                }
                Type::Bool
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let ordered = |found: &Type| {
                    *found == Type::Text || *found == Type::Dynamic || found.is_number()
                };
                if !ordered(&left) || !ordered(&right) || !left.may_equal(&right) {
                    let message = format!(
                        "`{}` compares two numbers or two texts; these are {left} and {right}{}",
                        shown(name),
                        hint(&left, &right)
                    );
                    return Err(self.problem(at, message));
                }
                Type::Bool
            }
            (operators::NEGATE, [operand]) => {
                let found = self.value(operand)?;
                if !matches!(found, Type::Int | Type::Double | Type::Dynamic) {
                    return Err(
                        self.problem(at, format!("after `-` stands a number; this is {found}"))
                    );
                }
                found
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.arithmetic(at, name, left, right)?
            }
            _ => return Ok(None),
        };
        let expr = plain_call(name, std::mem::take(args));
        Ok(Some((expr, Shape::Value(found))))
    }

    fn arithmetic(&self, at: u64, name: &str, left: Type, right: Type) -> Checked<Type> {
        let sum = name == operators::ADD;
        let grows = |found: &Type| matches!(found, Type::Text | Type::List(_) | Type::Dynamic);
        // What is joined there could grow with every element, and then again.
        if sum && (self.ranges > 0 || self.repeated > 1) && (grows(&left) || grows(&right)) {
            return Err(self.problem(
                at,
                "texts and lists are not joined in what is gone through, nor two repetitions deep; a number there is `int(..)` or `double(..)`",
            ));
        }
        let takes = |found: &Type| match found {
            Type::Dynamic | Type::Int | Type::Uint => true,
            Type::Double => name != operators::MODULO,
            Type::Text | Type::List(_) => sum,
            Type::Bool | Type::Null | Type::Map(_) => false,
        };
        let message = format!(
            "`{}` does not take {left} and {right}{}",
            shown(name),
            if left.is_number() && right.is_number() {
                "; numbers of different kinds are converted first: `double(..)`, `int(..)`"
            } else {
                ""
            }
        );
        let both = takes(&left) && takes(&right);
        match (left, right) {
            (Type::List(one), Type::List(two)) if sum => Type::List(one).joined(Type::List(two)),
            (left, right) if both && left.may_be(&right) => {
                Some(if left == Type::Dynamic { right } else { left })
            }
            _ => None,
        }
        .ok_or_else(|| self.problem(at, message))
    }

    /// A host that no request has is a rule that never matches, or always.
    fn hosts_as_they_are(&self, name: &str, left: &IdedExpr, right: &IdedExpr) -> Checked<()> {
        let texts = match name {
            operators::EQUALS | operators::NOT_EQUALS if is_host(left) => vec![right],
            operators::EQUALS | operators::NOT_EQUALS if is_host(right) => vec![left],
            operators::IN if is_host(left) => match &right.expr {
                Expr::List(list) => list.elements.iter().collect(),
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        for text in texts {
            if let Expr::Literal(LiteralValue::String(host)) = &text.expr
                && !is_a_host_as_it_is_read(host.inner())
            {
                let message = "`request.host` is in lower case, without a port and without a dot at its end: no request has this one";
                return Err(self.problem(text.id, message));
            }
        }
        Ok(())
    }

    /// `left in right`; a slot where it asks for a header.
    fn membership(
        &mut self,
        at: u64,
        left: &mut IdedExpr,
        right: &mut IdedExpr,
    ) -> Checked<Option<Expr>> {
        let container = self.shape(right)?;
        if container == Shape::Space(Space::Headers) {
            if let Expr::Literal(LiteralValue::String(name)) = &left.expr {
                let header = self.header_name(left.id, name.inner())?;
                self.headers_tested.insert(name.inner().to_owned());
                return Ok(Some(self.slot(Slot::HasHeader(header))));
            }
            self.value_of(left, &Type::Text, "the name of a header is")?;
            right.expr = self.slot(Slot::HeaderNames);
            return Ok(None);
        }
        let found = self.value(left)?;
        let message = match container {
            Shape::Value(Type::Dynamic) => return Ok(None),
            Shape::Value(Type::List(element)) if found.may_equal(&element) => return Ok(None),
            Shape::Value(Type::Map(_)) if found.may_be(&Type::Text) => return Ok(None),
            Shape::Value(Type::List(element)) => {
                format!("the list has never {found} in it: its elements are each {element}")
            }
            Shape::Value(Type::Map(_)) => format!("the keys of a map are texts; this is {found}"),
            Shape::Value(Type::Text) => {
                "`in` looks into a list or a map; for a part of a text write `text.contains(part)`"
                    .to_owned()
            }
            Shape::Value(other) => format!("`in` looks into a list or a map; this is {other}"),
            Shape::Space(space) => format!(
                "`in` looks into a list or a map; `{}` is neither",
                space.name()
            ),
        };
        Err(self.problem(at, message))
    }
}

fn hint(left: &Type, right: &Type) -> &'static str {
    match (left, right) {
        (Type::List(element), Type::Text) | (Type::Text, Type::List(element))
            if **element == Type::Text =>
        {
            "; write `text in list`, or `list[0]` for the first"
        }
        (Type::Text, number) | (number, Type::Text) if number.is_number() => {
            "; a number in a text is `int(text)`"
        }
        _ => "",
    }
}

fn is_host(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Select(select) => {
            select.field == "host"
                && matches!(&select.operand.expr, Expr::Ident(name) if name == "request")
        }
        _ => false,
    }
}

fn is_a_host_as_it_is_read(text: &str) -> bool {
    let ends_with_port = text
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    !ends_with_port && !text.ends_with('.') && text == text.to_ascii_lowercase()
}

/// An operator as it is written.
pub(super) fn shown(name: &str) -> &str {
    match name {
        operators::IN => "in",
        operators::CONDITIONAL => "?:",
        operators::INDEX => "[]",
        other => other.trim_matches('_'),
    }
}
