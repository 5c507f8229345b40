//! The limits of a condition, held against the raw text before anything parses it.
//!
//! The parser and the evaluator recurse, and a stack that overflows ends the process. So the depth of
//! the tree is bounded from above while the tokens go by: brackets, and within a bracket every
//! operator that can stand below another one. Only `&&` and `||` are cheap, since chains of them
//! become balanced trees, and commas are free.

use super::problem::ConditionProblem;
use super::tokens::{Token, Tokens};

/// The longest text, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// The most operators: `.`, indexes and calls are operators too.
pub(super) const MAX_OPERATORS: usize = 256;

/// The deepest nesting.
pub(super) const MAX_NESTING: usize = 32;

/// What the scan of a text that keeps the limits has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extent {
    /// The most brackets that are open at once.
    pub(super) brackets: usize,
    /// An upper bound for the depth of the tree.
    pub(super) nesting: usize,
    pub(super) operators: usize,
}

/// Holds a text against the limits.
pub(super) fn measure(text: &str) -> Result<Extent, ConditionProblem> {
    if text.len() > MAX_BYTES {
        return Err(ConditionProblem::at(
            text,
            0,
            format!(
                "a condition has at most {MAX_BYTES} bytes; this one has {}",
                text.len()
            ),
        ));
    }
    Scan {
        text,
        extent: Extent::default(),
        open: Vec::new(),
        level: Level::default(),
    }
    .run()
}

/// One level of brackets, or what stands outside of all.
#[derive(Debug, Default)]
struct Level {
    /// The bracket that ends it, and where it was opened.
    close: u8,
    at: usize,
    /// Operators since the last separator, and the deepest bracket among them.
    operators: usize,
    inner: usize,
    /// The deepest operand since the last comma.
    deepest: usize,
    ands: usize,
    ors: usize,
    conditionals: usize,
    /// The deepest element so far.
    most: usize,
}

impl Level {
    fn end_operand(&mut self) {
        self.deepest = self.deepest.max(self.operators.saturating_add(self.inner));
        self.operators = 0;
        self.inner = 0;
    }

    fn end_element(&mut self) {
        self.most = self.depth();
        self.operators = 0;
        self.inner = 0;
        self.deepest = 0;
        self.ands = 0;
        self.ors = 0;
        self.conditionals = 0;
    }

    fn depth(&self) -> usize {
        let operand = self.deepest.max(self.operators.saturating_add(self.inner));
        let element = operand
            .saturating_add(self.conditionals)
            .saturating_add(balanced(self.ands))
            .saturating_add(balanced(self.ors));
        self.most.max(element)
    }
}

/// How deep the balanced tree of so many `&&` is.
fn balanced(operators: usize) -> usize {
    let bits = usize::BITS.saturating_sub(operators.leading_zeros());
    usize::try_from(bits).unwrap_or(usize::MAX)
}

struct Scan<'t> {
    text: &'t str,
    extent: Extent,
    open: Vec<Level>,
    level: Level,
}

impl Scan<'_> {
    fn run(mut self) -> Result<Extent, ConditionProblem> {
        let mut tokens = Tokens::new(self.text);
        let mut before = None;
        while let Some((at, token)) = tokens
            .next()
            .map_err(|(at, message)| self.problem(at, message))?
        {
            self.token(at, token, before)?;
            before = Some(token);
        }
        if !self.open.is_empty() {
            return Err(self.problem(self.level.at, "this bracket is never closed"));
        }
        if before.is_none() {
            return Err(self.problem(0, "the condition is empty"));
        }
        self.extent.nesting = self.level.depth();
        Ok(self.extent)
    }

    fn token(
        &mut self,
        at: usize,
        token: Token,
        before: Option<Token>,
    ) -> Result<(), ConditionProblem> {
        let follows_operand = matches!(before, Some(Token::Operand | Token::Close(_)));
        match token {
            Token::Operand => {}
            Token::In | Token::Operator => {
                self.level.operators = self.level.operators.saturating_add(1);
                self.operator(at)?;
            }
            Token::And => {
                self.level.end_operand();
                self.level.ands = self.level.ands.saturating_add(1);
                self.operator(at)?;
            }
            Token::Or => {
                self.level.end_operand();
                self.level.ors = self.level.ors.saturating_add(1);
                self.operator(at)?;
            }
            Token::Question => {
                self.level.end_operand();
                self.level.conditionals = self.level.conditionals.saturating_add(1);
                self.operator(at)?;
            }
            Token::Colon => self.level.end_operand(),
            Token::Comma => self.level.end_element(),
            Token::Open(close) => {
                if follows_operand {
                    self.operator(at)?;
                    // `a[0][1]` puts one index below the other; a call has its `.` for that.
                    self.level.operators = self
                        .level
                        .operators
                        .saturating_add(usize::from(close != b')'));
                }
                let level = Level {
                    close,
                    at,
                    ..Level::default()
                };
                self.open.push(std::mem::replace(&mut self.level, level));
                self.extent.brackets = self.extent.brackets.max(self.open.len());
            }
            Token::Close(close) => self.close(at, close)?,
        }
        if self.open.len().saturating_add(self.level.depth()) > MAX_NESTING {
            return Err(self.problem(
                at,
                format!(
                    "the condition is nested deeper than {MAX_NESTING}; operators in a chain count, `&&` and `||` hardly do"
                ),
            ));
        }
        Ok(())
    }

    fn close(&mut self, at: usize, close: u8) -> Result<(), ConditionProblem> {
        let Some(outer) = self.open.pop() else {
            return Err(self.problem(at, "this bracket was never opened"));
        };
        if self.level.close != close {
            let wanted = char::from(self.level.close);
            return Err(self.problem(at, format!("`{wanted}` is wanted here")));
        }
        let inner = self.level.depth().saturating_add(1);
        self.level = outer;
        self.level.inner = self.level.inner.max(inner);
        Ok(())
    }

    fn operator(&mut self, at: usize) -> Result<(), ConditionProblem> {
        self.extent.operators = self.extent.operators.saturating_add(1);
        if self.extent.operators > MAX_OPERATORS {
            return Err(self.problem(
                at,
                format!(
                    "a condition has at most {MAX_OPERATORS} operators; `.`, `[` and calls count"
                ),
            ));
        }
        Ok(())
    }

    fn problem(&self, at: usize, message: impl Into<String>) -> ConditionProblem {
        ConditionProblem::at(self.text, at, message)
    }
}
