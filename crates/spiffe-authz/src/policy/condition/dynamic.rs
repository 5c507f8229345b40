//! JSON as values of CEL: what a token claims, and what the service says of a resource.

use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Map, Number, Value};

use super::slot::{Missing, paid};

/// The deepest nesting of a value that is converted.
const MAX_NESTING: usize = 64;

/// A step into a dynamic value, as the text of the condition has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Position(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Dynamic<'a> {
    Map(&'a Map<String, Value>),
    List(&'a [Value]),
    Scalar(&'a Value),
}

impl<'a> From<&'a Value> for Dynamic<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Object(entries) => Self::Map(entries),
            Value::Array(values) => Self::List(values),
            scalar => Self::Scalar(scalar),
        }
    }
}

impl<'a> Dynamic<'a> {
    /// What is there after some steps, without a conversion on the way.
    pub(super) fn follow(self, steps: &[Step]) -> Option<Self> {
        steps
            .iter()
            .try_fold(self, |value, step| match (value, step) {
                (Self::Map(entries), Step::Key(key)) => entries.get(key).map(Self::from),
                (Self::List(values), Step::Position(at)) => values.get(*at).map(Self::from),
                _ => None,
            })
    }

    /// Whether a map has a key; `None` where it is no map.
    pub(super) fn has(self, key: &str) -> Option<bool> {
        match self {
            Self::Map(entries) => Some(entries.contains_key(key)),
            Self::List(_) | Self::Scalar(_) => None,
        }
    }

    pub(super) fn convert(
        self,
        spend: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Box<dyn Val + 'a>, Missing> {
        self.convert_below(MAX_NESTING, spend)
    }

    fn convert_below(
        self,
        levels: usize,
        spend: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Box<dyn Val + 'a>, Missing> {
        let levels = levels.checked_sub(1).ok_or(Missing::TooMuch)?;
        paid(spend, 1)?;
        Ok(match self {
            Self::Map(entries) => {
                let mut map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = HashMap::new();
                for (key, value) in entries {
                    let key = CelMapKey::from(key.as_str());
                    map.insert(key, Self::from(value).convert_below(levels, spend)?);
                }
                Box::new(CelMap::from(map))
            }
            Self::List(values) => {
                let mut list: Vec<Box<dyn Val + 'a>> = Vec::new();
                for value in values {
                    list.push(Self::from(value).convert_below(levels, spend)?);
                }
                Box::new(CelList::from(list))
            }
            Self::Scalar(Value::String(text)) => Box::new(CelString::from(text.as_str())),
            Self::Scalar(Value::Bool(truth)) => Box::new(CelBool::from(*truth)),
            Self::Scalar(Value::Number(number)) => number_of(number)?,
            Self::Scalar(Value::Null | Value::Array(_) | Value::Object(_)) => Box::new(CelNull),
        })
    }
}

/// An `int` where it fits, else a `uint`, else a `double`.
fn number_of<'a>(number: &Number) -> Result<Box<dyn Val + 'a>, Missing> {
    if let Some(int) = number.as_i64() {
        Ok(Box::new(CelInt::from(int)))
    } else if let Some(uint) = number.as_u64() {
        Ok(Box::new(CelUInt::from(uint)))
    } else {
        let double = number.as_f64().ok_or(Missing::Unfit)?;
        Ok(Box::new(CelDouble::from(double)))
    }
}

pub(super) fn write_steps(f: &mut fmt::Formatter<'_>, steps: &[Step]) -> fmt::Result {
    steps.iter().try_for_each(|step| match step {
        Step::Key(key) => write!(f, ".{}", key.escape_debug()),
        Step::Position(at) => write!(f, "[{at}]"),
    })
}
