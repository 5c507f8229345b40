//! The regular expressions of `matches`, compiled once.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};
use regex::{Regex, RegexBuilder};
use regex_syntax::Parser;
use regex_syntax::hir::{Hir, Look};

/// The most memory that one compiled expression, or one search with it, may take, in bytes.
const MAX_COMPILED: usize = 256 * 1024;

/// What an expression is taken to weigh: the first of these that it fits into.
const WEIGHTS: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, MAX_COMPILED];

/// The deepest nesting of an expression.
const MAX_NESTING: u32 = 32;

/// The type of a compiled expression while a condition is evaluated. No text can name it.
pub(super) static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    weight: usize,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        // What a text holds is the caller's choice: a newline in it must slip past no `.*`.
        let mut builder = RegexBuilder::new(text);
        builder
            .dot_matches_new_line(true)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING);
        let mut fitted = WEIGHTS.into_iter().map(|weight| {
            let regex = builder.size_limit(weight).build()?;
            Ok(Self { regex, weight })
        });
        let too_big =
            |tried: &Result<Self, _>| matches!(tried, Err(regex::Error::CompiledTooBig(_)));
        fitted
            .find(|tried| !too_big(tried))
            .unwrap_or(Err(regex::Error::CompiledTooBig(MAX_COMPILED)))
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => format!(
                    "this regular expression takes more than {MAX_COMPILED} bytes; `\\w` and `\\d` are all of Unicode, `[a-z0-9]` is small"
                ),
                other => {
                    let text = other.to_string();
                    let reason = text.lines().last().unwrap_or_default();
                    let reason = reason.trim_start_matches("error: ");
                    format!("this is no regular expression: {reason}")
                }
            })
    }

    /// Whether it is found in a text.
    pub(super) fn is_found_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The memory that it is taken to need, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether only a whole text can match: every alternative begins with `^` and ends with `$`.
    pub(super) fn is_anchored(&self) -> bool {
        let parsed: Option<Hir> = Parser::new().parse(self.regex.as_str()).ok();
        parsed.is_some_and(|parsed| {
            parsed.properties().look_set_prefix().contains(Look::Start)
                && parsed.properties().look_set_suffix().contains(Look::End)
        })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}
