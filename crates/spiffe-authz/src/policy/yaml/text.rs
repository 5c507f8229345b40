//! From the bytes of a file to a text that a YAML parser may see.

use super::super::error::Problem;
use super::super::model::Spot;

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file, without a byte order mark at its front.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; a policy has at most {MAX_BYTES} (8 MiB): split it",
            bytes.len()
        );
        return Err(Problem::new(START, message));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::new(START, "the file is UTF-16; save it as UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = std::str::from_utf8(good).unwrap_or_default();
        Problem::new(
            end_of(before),
            "here stands a byte that is no UTF-8; save the file as UTF-8",
        )
    })?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    // A YAML parser may take NUL for the end of the file, and what follows would go unread.
    match text.char_indices().find(|(_, sign)| !is_readable(*sign)) {
        None => Ok(text),
        Some((index, sign)) => Err(Problem::new(
            end_of(text.get(..index).unwrap_or_default()),
            format!(
                "here stands the character {}, which YAML does not allow; write it as an escape in double quotes, or leave it out",
                sign.escape_unicode()
            ),
        )),
    }
}

pub(super) const START: Spot = Spot { line: 1, column: 1 };

/// What YAML 1.2 lets a file hold (production `c-printable`), but for a byte order mark within.
fn is_readable(sign: char) -> bool {
    match sign {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        BYTE_ORDER_MARK | '\u{fffe}' | '\u{ffff}' => false,
        _ => !sign.is_control(),
    }
}

fn end_of(text: &str) -> Spot {
    let mut at = START;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        let ends_line = sign == '\n' || sign == '\r' && signs.peek() != Some(&'\n');
        if ends_line {
            at = Spot {
                line: at.line.saturating_add(1),
                column: 1,
            };
        } else {
            at.column = at.column.saturating_add(1);
        }
    }
    at
}
