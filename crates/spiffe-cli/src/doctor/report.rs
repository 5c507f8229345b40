use std::fmt;

use crate::failure::Failure;

/// What was found, a line for each step, printed as it comes.
pub(super) struct Report {
    print: fn(&str) -> Result<(), Failure>,
    faults: usize,
}

impl Report {
    pub(super) fn new(print: fn(&str) -> Result<(), Failure>) -> Self {
        Self { print, faults: 0 }
    }

    pub(super) fn faults(&self) -> usize {
        self.faults
    }

    /// The step is as it should be.
    pub(super) fn good(&self, step: &str, what: impl fmt::Display) -> Result<(), Failure> {
        self.line("ok", step, what)
    }

    /// It works, and somebody should look at it.
    pub(super) fn doubt(&self, step: &str, what: impl fmt::Display) -> Result<(), Failure> {
        self.line("warn", step, what)
    }

    /// It does not work.
    pub(super) fn fault(&mut self, step: &str, what: impl fmt::Display) -> Result<(), Failure> {
        self.faults += 1;
        self.line("FAIL", step, what)
    }

    /// Nothing can be said about these steps, since one before them has failed.
    pub(super) fn left_out(&self, steps: &[&str]) -> Result<(), Failure> {
        for step in steps {
            self.line("skip", step, "needs what has failed above")?;
        }
        Ok(())
    }

    fn line(&self, verdict: &str, step: &str, what: impl fmt::Display) -> Result<(), Failure> {
        (self.print)(&format!("{verdict:<5}{step:<10}{what}\n"))
    }
}
