use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::caller::Caller;

/// How many records are kept.
const KEPT: usize = 1024;

/// How much of an answer is kept: a caller chooses its audiences as long as it likes.
const MAX_ANSWER: usize = 1024;

/// The latest answers, for those who ask what the agent did. Each is a `tracing` event as well.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<Record>>>);

impl Log {
    pub(crate) fn add(
        &self,
        caller: &Arc<Caller>,
        method: &'static str,
        answer: String,
        refused: bool,
    ) {
        let answer = answer.chars().take(MAX_ANSWER).collect();
        let record = Record {
            at: SystemTime::now(),
            caller: Arc::clone(caller),
            method,
            answer,
            refused,
        };
        tracing::info!(target: "spiffe_devkit", "{record}");
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(record);
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Who asked, and what it got. Its text is one readable line.
///
/// It names IDs and serial numbers, never a key or a token. See [`Caller`] for an example.
#[derive(Debug, Clone)]
pub struct Record {
    at: SystemTime,
    caller: Arc<Caller>,
    method: &'static str,
    answer: String,
    refused: bool,
}

impl Record {
    /// When the answer was given.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Who asked.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The method of the Workload API, `FetchX509SVID` for example.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method
    }

    /// What the caller got: IDs with serial numbers, or a status.
    #[must_use]
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Whether the caller got nothing but a status.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}: {} -> {}",
            self.caller,
            self.caller.listener(),
            self.method,
            self.answer
        )
    }
}
