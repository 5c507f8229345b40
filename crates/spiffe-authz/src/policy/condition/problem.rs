//! What is wrong with a condition, and where in its text.

use std::fmt;

use cel::ParseErrors;

/// The most of a foreign message that is shown, in characters.
const MAX_MESSAGE: usize = 240;

/// A text that is no condition where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConditionProblem {
    /// The line within the text, from 1.
    pub(crate) line: u32,
    /// The column within the line, from 1, in characters.
    pub(crate) column: u32,
    /// What is wrong and what to write instead.
    pub(crate) message: String,
}

impl ConditionProblem {
    /// A problem at a byte of the text.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let mut place = Self {
            line: 1,
            column: 1,
            message: message.into(),
        };
        for (_, character) in text.char_indices().take_while(|(at, _)| *at < offset) {
            if character == '\n' {
                place.line = place.line.saturating_add(1);
                place.column = 1;
            } else {
                place.column = place.column.saturating_add(1);
            }
        }
        place
    }

    /// The first problem that the parser found.
    pub(super) fn of_parser(text: &str, errors: &ParseErrors) -> Self {
        // What the tokens say comes before what the parser concludes from them.
        let syntax = (errors.errors.iter()).find(|error| error.msg.starts_with(SYNTAX));
        let Some(first) = syntax.or(errors.errors.first()) else {
            return Self::at(text, 0, NO_CEL);
        };
        let number = |number: isize| u32::try_from(number).unwrap_or(1).max(1);
        let mut problem = Self {
            line: number(first.pos.0),
            column: number(first.pos.1),
            message: String::new(),
        };
        problem.message = match word_at(text, &problem) {
            "and" => "CEL writes `&&`, not `and`".to_owned(),
            "or" => "CEL writes `||`, not `or`".to_owned(),
            "not" => "CEL writes `!`, not `not`".to_owned(),
            _ => reworded(&first.msg),
        };
        problem
    }
}

/// What a text is not, where nothing better can be said.
pub(super) const NO_CEL: &str = "this is no CEL expression";

/// How the messages of the parser begin that are about a token.
const SYNTAX: &str = "Syntax error: ";

/// The parser's message, without its list of everything that could have stood in the place.
fn reworded(message: &str) -> String {
    match message {
        "argument must be a simple name" => {
            return "what stands first names the element; write a simple name, as in `list.all(x, x != \"\")`".to_owned();
        }
        "invalid argument to has() macro" => {
            return "`has` asks for a member; write `has(value.member)`".to_owned();
        }
        _ => {}
    }
    let Some(syntax) = message.strip_prefix(SYNTAX) else {
        return shortened(message);
    };
    let unexpected = ["mismatched input '", "extraneous input '"]
        .iter()
        .find_map(|start| syntax.strip_prefix(start)?.rsplit_once("' expecting "));
    match unexpected {
        Some(("<EOF>", _)) => "the condition ends too early".to_owned(),
        Some((found, "<EOF>")) => shortened(&format!(
            "an operator is missing before `{found}`, or it is too much"
        )),
        Some((found, wanted)) if !wanted.starts_with('{') => {
            shortened(&format!("`{found}` stands where {wanted} is wanted"))
        }
        Some((found, _)) => shortened(&format!("`{found}` cannot stand here")),
        None => shortened(syntax),
    }
}

/// The word that stands at the place of a problem; empty where there is none.
fn word_at<'t>(text: &'t str, problem: &ConditionProblem) -> &'t str {
    let line = usize::try_from(problem.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(problem.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let rest = text
        .split('\n')
        .nth(line)
        .and_then(|line| line.get(line.char_indices().nth(column)?.0..));
    let end = |rest: &str| {
        rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .unwrap_or(rest.len())
    };
    rest.and_then(|rest| rest.get(..end(rest))).unwrap_or("")
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
    }
}

impl fmt::Display for ConditionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConditionProblem {}
