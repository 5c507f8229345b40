//! What the YAML parser objects to, and what to write instead.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use super::super::error::Problem;
use super::super::model::Spot;
use super::parse::{MAX_DEPTH, offset, spot};
use super::problems::shown;

pub(super) fn problem(error: &ScanError, text: &str) -> Problem {
    let at = spot(error.marker());
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(at);
    }
    let told = shown(&error.info());
    let instead = instead(error.kind());
    let at = match instead {
        SPACES => tab_after(text, offset(error.marker()), at),
        _ => at,
    };
    Problem::new(at, format!("this is no YAML ({told}): {instead}"))
}

pub(super) fn too_deep(at: Spot) -> Problem {
    Problem::new(
        at,
        format!(
            "lists and maps are nested more than {MAX_DEPTH} deep here; no part of a policy is"
        ),
    )
}

const SPACES: &str = "indent with spaces";

/// The tab itself, where the parser tells only where the text begins that it stands in.
fn tab_after(text: &str, start: usize, at: Spot) -> Spot {
    let rest = text.get(start..).unwrap_or_default();
    let Some(before) = rest.find('\t').and_then(|tab| rest.get(..tab)) else {
        return at;
    };
    before.chars().fold(at, |at, sign| match sign {
        '\n' => Spot {
            line: at.line.saturating_add(1),
            column: 1,
        },
        _ => Spot {
            column: at.column.saturating_add(1),
            ..at
        },
    })
}

fn instead(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => SPACES,
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            "close the quote"
        }
        ErrorKind::InvalidQuotedScalarIndent => {
            "close the quote in a line above, or indent what belongs to the text"
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd => {
            "close every `[` with `]` and every `{` with `}`, put `,` between what stands in them, and write a text that holds one of these signs in quotes"
        }
        ErrorKind::UnknownAnchor => {
            "`*name` is an alias of what `&name` marks further up; write a text that begins with `*` in quotes"
        }
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => {
            "write `\\\\` for a backslash in double quotes, or use single quotes"
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidColonPlacement => {
            "write `key: value`, one to a line, and a text that holds `: ` in quotes"
        }
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::PlainScalarStartsWithDashFlowIndicator => {
            "write a text that begins with a sign in quotes"
        }
        ErrorKind::BomInsideDocument => "leave the byte order mark out",
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "end the value with its closing quote, and double a single quote within single quotes"
        }
        _ => "check the indentation, the quotes and the brackets here and in the line above",
    }
}
