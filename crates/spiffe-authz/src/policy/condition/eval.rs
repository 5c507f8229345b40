//! Evaluates a checked tree against the facts of one request.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::ast::Expr;
use cel::common::types::{CelBool, CelString, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, DeclarationError, Env, ExecutionError, IdedExpr, Value, extensions};

use super::facts::Facts;
use super::operators::shown;
use super::pattern::{PATTERN_TYPE, Pattern};
use super::slot::{Missing, Slot};

/// The function that finds a compiled regular expression in a text. No text can call it.
pub(super) const MATCHES: &str = "@matches";

/// What is read before each element that is gone through.
pub(super) const TICK: &str = "@tick";

/// How many elements one evaluation may go through, and pieces of JSON it may convert, all told.
const MAX_STEPS: usize = 100_000;

/// The functions of the language, made once.
static LANGUAGE: LazyLock<Result<Arc<Env>, DeclarationError>> = LazyLock::new(|| {
    let mut language = Env::default().with_optional_support(false).with_stdlib();
    extensions::strings(&mut language)?;
    let takes = vec![STRING_TYPE, PATTERN_TYPE.to_owned()];
    language.add_overload(MATCHES, "text_pattern", takes, matches)?;
    Ok(Arc::new(language))
});

pub(super) fn language() -> Option<Arc<Env>> {
    LANGUAGE.as_ref().ok().cloned()
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args
        .first()
        .and_then(|text| text.downcast_ref::<CelString<'_>>());
    let pattern = args
        .get(1)
        .and_then(|pattern| pattern.downcast_ref::<Pattern>());
    match (text, pattern) {
        (Some(text), Some(pattern)) => {
            let found = pattern.is_found_in(text.inner());
            Ok(CowVal::owned(CelBool::from(found)))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}

/// The node that reads a slot.
pub(super) fn slot_name(slot: usize) -> Expr {
    Expr::Ident(format!("@{slot}"))
}

/// The value of an expression that reads nothing.
pub(super) fn constant(expr: &Expr) -> Option<Box<dyn Val>> {
    let context = Context::with_env(language()?);
    let tree = IdedExpr {
        id: 0,
        expr: expr.clone(),
    };
    let value = Value::resolve_val(&tree, &context).ok()?;
    Some(value.into_owned())
}

/// Whether a checked tree holds.
pub(super) fn holds(
    language: &Arc<Env>,
    tree: &IdedExpr,
    slots: &[Slot],
    facts: &Facts<'_>,
) -> Result<bool, ConditionError> {
    let reader = Reader {
        slots,
        facts: *facts,
        steps: AtomicUsize::new(0),
    };
    let mut context = Context::with_env(Arc::clone(language));
    context.set_variable_resolver(&reader);
    let result = Value::resolve_val(tree, &context);
    let value = result.map_err(|error| reader.explain(&error))?;
    match value.downcast_ref::<CelBool>() {
        Some(holds) => Ok(*holds.inner()),
        None => Err(ConditionError(Reason::NoBool)),
    }
}

/// Gives the evaluator what it asks for, slot by slot.
struct Reader<'a> {
    slots: &'a [Slot],
    facts: Facts<'a>,
    steps: AtomicUsize,
}

impl<'a> Reader<'a> {
    fn slot(&self, name: &str) -> Option<&'a Slot> {
        self.slots
            .get(name.strip_prefix('@')?.parse::<usize>().ok()?)
    }

    fn spend(&self, steps: usize) -> bool {
        let spent = self.steps.fetch_add(steps, Ordering::Relaxed);
        spent.saturating_add(steps) <= MAX_STEPS
    }

    /// The evaluator's error without any value in it.
    fn explain(&self, error: &ExecutionError) -> ConditionError {
        if self.steps.load(Ordering::Relaxed) > MAX_STEPS {
            return ConditionError(Reason::TooMuch);
        }
        ConditionError(match error {
            ExecutionError::UndeclaredReference(name) => self.why_missing(name),
            ExecutionError::NoSuchKey(_) => Reason::NoSuchKey,
            ExecutionError::IndexOutOfBounds(_) => Reason::OutOfBounds,
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => Reason::Zero,
            ExecutionError::Overflow(..) => Reason::Overflow,
            ExecutionError::NoSuchOverload(overload) => match overload.function() {
                MATCHES => Reason::Types("matches".to_owned()),
                function => Reason::Types(shown(function).to_owned()),
            },
            ExecutionError::FunctionError { function, .. } => Reason::Function(function.clone()),
            _ => Reason::Unfit,
        })
    }

    fn why_missing(&self, name: &str) -> Reason {
        let Some(slot) = self.slot(name) else {
            return Reason::Unfit;
        };
        match slot.read(&self.facts, &mut |_| true) {
            Err(Missing::Absent) => Reason::Absent(slot.to_string()),
            Err(Missing::NotUtf8) => Reason::NotUtf8(slot.to_string()),
            Err(Missing::TooMuch) => Reason::TooMuch,
            Ok(_) | Err(Missing::Unfit) => Reason::NoMembers(slot.to_string()),
        }
    }
}

impl VariableResolver for Reader<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if variable == TICK {
            return self.spend(1).then(|| CowVal::owned(CelBool::from(true)));
        }
        let slot = self.slot(variable)?;
        slot.read(&self.facts, &mut |steps| self.spend(steps)).ok()
    }
}

/// Why a condition is neither true nor false for a request.
///
/// Fit for an audit record: short, and without the value of a header, a token or a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConditionError(Reason);

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Absent(String),
    NotUtf8(String),
    NoMembers(String),
    NoSuchKey,
    OutOfBounds,
    Zero,
    Overflow,
    Types(String),
    Function(String),
    TooMuch,
    NoBool,
    Unfit,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Absent(name) => write!(f, "`{name:.MAX_NAME$}` is absent"),
            Reason::NotUtf8(name) => write!(f, "`{name:.MAX_NAME$}` is not UTF-8"),
            Reason::NoMembers(name) => write!(f, "`{name:.MAX_NAME$}` is asked of what is no map"),
            Reason::NoSuchKey => f.write_str("a key is absent"),
            Reason::OutOfBounds => f.write_str("a list is indexed beyond its end"),
            Reason::Zero => f.write_str("division by zero"),
            Reason::Overflow => f.write_str("a number is out of range"),
            Reason::Types(function) => write!(
                f,
                "`{function:.MAX_NAME$}` does not take values of these types"
            ),
            Reason::Function(function) => {
                write!(f, "`{function:.MAX_NAME$}` does not take this value")
            }
            Reason::TooMuch => write!(f, "the condition takes more than {MAX_STEPS} steps"),
            Reason::NoBool => f.write_str("the condition is neither true nor false"),
            Reason::Unfit => f.write_str("a value is of the wrong type"),
        }
    }
}

impl std::error::Error for ConditionError {}
