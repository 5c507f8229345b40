//! Cuts a text into the tokens of CEL, without recursion and without a copy.
//!
//! Stricter than the parser's own lexer, which skips what it does not know and reads on: here such a text
//! is refused, so that what was measured is what the parser sees.

/// A token, as far as the bounds care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a keyword or a literal: something that an operator can follow.
    Operand,
    /// `in`
    In,
    /// `(`, `[` or `{`, with the bracket that closes it.
    Open(u8),
    Close(u8),
    Comma,
    Question,
    Colon,
    And,
    Or,
    /// Any other operator, `.` and `!` included.
    Operator,
}

/// Why a text is not made of tokens.
pub(super) type Unreadable = (usize, String);

pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<Option<(usize, Token)>, Unreadable> {
        self.skip_blank();
        let start = self.at;
        let Some(first) = self.peek(0) else {
            return Ok(None);
        };
        let token = match (first, self.peek(1)) {
            (b'_' | b'a'..=b'z' | b'A'..=b'Z', _) => self.word()?,
            (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => self.number()?,
            (b'"' | b'\'', _) => self.text(first, false)?,
            (b'(', _) => self.take(1, Token::Open(b')')),
            (b'[', _) => self.take(1, Token::Open(b']')),
            (b'{', _) => self.take(1, Token::Open(b'}')),
            (b')' | b']' | b'}', _) => self.take(1, Token::Close(first)),
            (b',', _) => self.take(1, Token::Comma),
            (b'?', _) => self.take(1, Token::Question),
            (b':', _) => self.take(1, Token::Colon),
            (b'&', Some(b'&')) => self.take(2, Token::And),
            (b'|', Some(b'|')) => self.take(2, Token::Or),
            (b'=' | b'!' | b'<' | b'>', Some(b'=')) => self.take(2, Token::Operator),
            (b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'.', _) => {
                self.take(1, Token::Operator)
            }
            (b'=', _) => {
                return Err((
                    start,
                    "`=` assigns nothing here; write `==` to compare".to_owned(),
                ));
            }
            (b'&', _) => return Err((start, "write `&&`".to_owned())),
            (b'|', _) => return Err((start, "write `||`".to_owned())),
            _ => {
                let unknown = self.rest().chars().next().unwrap_or_default();
                return Err((
                    start,
                    format!("`{}` is no part of CEL", unknown.escape_debug()),
                ));
            }
        };
        Ok(Some((start, token)))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text
            .as_bytes()
            .get(self.at.saturating_add(ahead))
            .copied()
    }

    fn take(&mut self, bytes: usize, token: Token) -> Token {
        self.at = self.at.saturating_add(bytes);
        token
    }

    /// Steps over bytes while they fit, and says how many there were.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> usize {
        let count = self.rest().bytes().take_while(|byte| fits(*byte)).count();
        self.at = self.at.saturating_add(count);
        count
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(|byte| matches!(byte, b'\t' | b' ' | b'\r' | b'\n' | 0x0c));
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|byte| byte != b'\n');
        }
    }

    fn word(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        self.take_while(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        let word = self.text.get(start..self.at).unwrap_or_default();
        let quote = self.peek(0).filter(|next| matches!(next, b'"' | b'\''));
        match (word, quote) {
            ("in", _) => Ok(Token::In),
            ("r" | "R", Some(quote)) => self.text(quote, true),
            ("b" | "B" | "br" | "bR" | "Br" | "BR", Some(_)) => Err((
                start,
                "nothing in a request is compared as bytes; write a text".to_owned(),
            )),
            _ => Ok(Token::Operand),
        }
    }

    fn number(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        let malformed = || (start, "this is no number".to_owned());
        if self.rest().starts_with("0x") {
            self.at = self.at.saturating_add(2);
            if self.take_while(|byte| byte.is_ascii_hexdigit()) == 0 {
                return Err(malformed());
            }
            self.take_unsigned_mark();
        } else {
            self.take_while(|byte| byte.is_ascii_digit());
            let fraction = self.peek(0) == Some(b'.')
                && self.peek(1).is_some_and(|byte| byte.is_ascii_digit());
            if fraction {
                self.at = self.at.saturating_add(1);
                self.take_while(|byte| byte.is_ascii_digit());
            }
            if matches!(self.peek(0), Some(b'e' | b'E')) {
                self.at = self.at.saturating_add(1);
                if matches!(self.peek(0), Some(b'+' | b'-')) {
                    self.at = self.at.saturating_add(1);
                }
                if self.take_while(|byte| byte.is_ascii_digit()) == 0 {
                    return Err(malformed());
                }
            } else if !fraction {
                self.take_unsigned_mark();
            }
        }
        // What is glued to a number could be cut in another way by the parser.
        let glued = |next: u8| {
            next == b'_' || next == b'"' || next == b'\'' || next.is_ascii_alphanumeric()
        };
        if self.peek(0).is_some_and(glued) {
            return Err(malformed());
        }
        Ok(Token::Operand)
    }

    fn take_unsigned_mark(&mut self) {
        if matches!(self.peek(0), Some(b'u' | b'U')) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn text(&mut self, quote: u8, raw: bool) -> Result<Token, Unreadable> {
        let start = self.at;
        let triple = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at = self.at.saturating_add(if triple { 3 } else { 1 });
        loop {
            match self.peek(0) {
                None => return Err((start, "this text has no end".to_owned())),
                Some(b'\n' | b'\r') if !triple => {
                    return Err((start, "this text has no end on its line".to_owned()));
                }
                Some(b'\\') if !raw => self.escape()?,
                Some(byte) if byte == quote => {
                    if !triple {
                        return Ok(self.take(1, Token::Operand));
                    }
                    if self.peek(1) == Some(quote) && self.peek(2) == Some(quote) {
                        return Ok(self.take(3, Token::Operand));
                    }
                    self.at = self.at.saturating_add(1);
                }
                Some(_) => self.at = self.at.saturating_add(1),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        self.at = self.at.saturating_add(1);
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        let octal = |byte: u8| matches!(byte, b'0'..=b'7');
        let length = match self.peek(0) {
            Some(
                b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`',
            ) => Some(1),
            Some(b'x' | b'X') => self.digits(1, 2, hex),
            Some(b'u') => self.digits(1, 4, hex),
            Some(b'U') => self.digits(1, 8, hex),
            Some(b'0'..=b'3') => self.digits(0, 3, octal),
            _ => None,
        };
        let Some(length) = length else {
            let message = "this escape is unknown to CEL; a `\\` itself is `\\\\`, or write r\"…\"";
            return Err((start, message.to_owned()));
        };
        self.at = self.at.saturating_add(length);
        Ok(())
    }

    /// How long an escape with a fixed number of digits is, where they are all there.
    fn digits(&self, before: usize, count: usize, fits: impl Fn(u8) -> bool) -> Option<usize> {
        let end = before.saturating_add(count);
        (before..end)
            .all(|ahead| self.peek(ahead).is_some_and(&fits))
            .then_some(end)
    }
}
