//! The regular expressions of `matches`, compiled once.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};
use regex::{Regex, RegexBuilder};
use regex_syntax::Parser;
use regex_syntax::hir::{Hir, Look};

/// The most memory that one compiled expression, or one search with it, may take, in bytes.
const MAX_COMPILED: usize = 256 * 1024;

/// The deepest nesting of an expression.
const MAX_NESTING: u32 = 32;

/// The type of a compiled expression while a condition is evaluated. No text can name it.
pub(super) static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");

#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        // What a text holds is the caller's choice: a newline in it must slip past no `.*`.
        RegexBuilder::new(text)
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map(Self)
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
        self.0.is_match(text)
    }

    /// Whether only a whole text can match: every alternative begins with `^` and ends with `$`.
    pub(super) fn is_anchored(&self) -> bool {
        let parsed: Option<Hir> = Parser::new().parse(self.0.as_str()).ok();
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
