//! What a server says, made harmless for a terminal and for a log.

use std::fmt::Write as _;

/// The most of a text of the server that is repeated in one of ours.
const MAX_QUOTED: usize = 1000;

/// The text, with every control character, every character that changes the direction of the text, and
/// every byte that is no text escaped.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\'' => text.push(character),
                _ => text.extend(character.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The same for a message within one of ours, which is no place for a long one.
pub(super) fn quoted(message: &str) -> String {
    match message.char_indices().nth(MAX_QUOTED) {
        None => escaped(message.as_bytes()),
        Some((end, _)) => {
            let begin = message.as_bytes().get(..end).unwrap_or_default();
            format!("{}…", escaped(begin))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(escaped(b"text/html; q=\"1\""), "text/html; q=\"1\"");
        assert_eq!(escaped("grün".as_bytes()), "grün");
        assert_eq!(
            escaped(b"a\x1b[31m\r\nb\t\x07"),
            "a\\u{1b}[31m\\r\\nb\\t\\u{7}"
        );
        assert_eq!(escaped(b"\x9b31m\xff"), "\\x9b31m\\xff");
        assert_eq!(escaped("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(escaped("\u{202e}x".as_bytes()), "\\u{202e}x");
        assert_eq!(
            escaped(b"\\x1b"),
            "\\\\x1b",
            "an escape is told from its imitation"
        );
    }

    #[test]
    fn a_long_message_is_cut() {
        let long = "ü".repeat(MAX_QUOTED + 1);
        assert_eq!(quoted(&long).chars().count(), MAX_QUOTED + 1);
        assert!(quoted(&long).ends_with("ü…"));
        assert_eq!(quoted("short"), "short");
    }
}
