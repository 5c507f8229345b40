//! The conditions of rules, in CEL.
//!
//! What can be read, and what can be done with it, is in the documentation of [`policy`](crate::policy).

mod access;
mod bounds;
mod check;
mod comprehension;
mod dynamic;
mod eval;
mod facts;
mod functions;
mod operators;
mod pattern;
mod problem;
mod slot;
mod space;
mod tokens;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::thread;

use cel::common::ast::SourceInfo;
use cel::parser::Parser;
use cel::{Env, IdedExpr};

pub(crate) use eval::ConditionError;
pub(crate) use facts::{Facts, UserFacts};
pub(crate) use problem::ConditionProblem;

use check::Walk;
use slot::{Field, Root, Slot};

/// More open brackets than this are parsed on a thread of their own: each takes the parser up to 200 KiB of stack.
const MAX_BRACKETS_IN_PLACE: usize = 3;

/// What the parser takes for the deepest text that the limits allow, several times over.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// What a condition can name in the rule that it belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope<'a> {
    /// Names that every action of the rule captures.
    pub(crate) path: &'a [&'a str],
    /// Names that only some of the actions capture.
    pub(crate) some_path: &'a [&'a str],
    /// Names that every ID pattern of the rule captures; `None` where the rule has no patterns.
    pub(crate) id: Option<&'a [&'a str]>,
    /// Names that only some of the ID patterns capture.
    pub(crate) some_id: &'a [&'a str],
    /// Whether the policy looks at end users.
    pub(crate) users: bool,
}

/// A condition that was checked and can be evaluated. A clone is the same condition.
#[derive(Clone)]
pub(crate) struct Condition(Arc<Compiled>);

struct Compiled {
    source: String,
    language: Arc<Env>,
    tree: IdedExpr,
    slots: Vec<Slot>,
    headers_untested: Vec<String>,
    unanchored: Vec<String>,
}

impl Condition {
    /// Compiles a text for a rule.
    ///
    /// # Errors
    ///
    /// Where the text is no CEL, exceeds a limit, or names what cannot exist in the rule.
    pub(crate) fn compile(source: &str, scope: &Scope<'_>) -> Result<Self, ConditionProblem> {
        let extent = bounds::measure(source)?;
        let (mut tree, places) = if extent.brackets > MAX_BRACKETS_IN_PLACE {
            parse_deep(source)?
        } else {
            parse(source)?
        };
        let language = eval::language()
            .ok_or_else(|| ConditionProblem::at(source, 0, "the functions of CEL are not there"))?;
        let mut walk = Walk::new(scope, &places);
        walk.condition(&mut tree)?;
        let untested: BTreeSet<_> = walk.headers_read.difference(&walk.headers_tested).collect();
        Ok(Self(Arc::new(Compiled {
            source: source.to_owned(),
            headers_untested: untested.into_iter().cloned().collect(),
            unanchored: walk.unanchored,
            slots: walk.slots,
            language,
            tree,
        })))
    }

    /// Whether it holds for a request.
    ///
    /// # Errors
    ///
    /// Where it reads what is absent, or a dynamic value is not of the type that it is taken for.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, ConditionError> {
        eval::holds(&self.0.language, &self.0.tree, &self.0.slots, facts)
    }

    /// The text that it was compiled from.
    #[cfg(test)]
    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether the service has to be asked for the resource.
    pub(crate) fn reads_resource(&self) -> bool {
        self.reads(|slot| {
            matches!(
                slot,
                Slot::Dynamic(Root::Resource, _) | Slot::HasKey(Root::Resource, ..)
            )
        })
    }

    /// Whether it speaks of the end user.
    pub(crate) fn reads_user(&self) -> bool {
        self.reads(|slot| match slot {
            Slot::Dynamic(root, _) | Slot::HasKey(root, ..) => *root == Root::Claims,
            Slot::Field(field) | Slot::Known(field) => {
                matches!(field, Field::UserSubject | Field::UserIssuer)
            }
            Slot::Scopes => true,
            _ => false,
        })
    }

    /// Whether it reads what the ID pattern captured; `peer.id` is no capture.
    pub(crate) fn reads_id(&self) -> bool {
        self.reads(|slot| matches!(slot, Slot::Id(_)))
    }

    /// Whether it reads what the action's path captured; `request.path` is no capture.
    pub(crate) fn reads_path(&self) -> bool {
        self.reads(|slot| matches!(slot, Slot::Path(_)))
    }

    /// Whether it reads or asks for a header.
    pub(crate) fn reads_headers(&self) -> bool {
        self.reads(|slot| {
            matches!(
                slot,
                Slot::Header(_) | Slot::HasHeader(_) | Slot::Headers | Slot::HeaderNames
            )
        })
    }

    /// The headers that are read by name and that the condition nowhere asks for with `in` or `has`.
    pub(crate) fn headers_read_without_test(&self) -> &[String] {
        &self.0.headers_untested
    }

    /// The regular expressions that can match a part of a text.
    pub(crate) fn unanchored_matches(&self) -> &[String] {
        &self.0.unanchored
    }

    /// The memory that its regular expressions are taken to need, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let weights = self.0.slots.iter().map(|slot| match slot {
            Slot::Pattern(pattern) => pattern.weight(),
            _ => 0,
        });
        weights.sum()
    }

    fn reads(&self, what: impl Fn(&Slot) -> bool) -> bool {
        self.0.slots.iter().any(what)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.0.source).finish()
    }
}

type Parsed = (IdedExpr, SourceInfo);

fn parse(source: &str) -> Result<Parsed, ConditionProblem> {
    Parser::default()
        .parse_with_source_info(source)
        .map_err(|errors| ConditionProblem::of_parser(source, &errors))
}

fn parse_deep(source: &str) -> Result<Parsed, ConditionProblem> {
    let parsed = thread::scope(|scope| {
        let parser = thread::Builder::new()
            .name("cel-parser".to_owned())
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, || parse(source));
        parser.ok().and_then(|parser| parser.join().ok())
    });
    parsed.unwrap_or_else(|| {
        Err(ConditionProblem::at(
            source,
            0,
            "this is too deep to parse here; nest it less",
        ))
    })
}
