//! What the load programs share: clients that retry nothing, and figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_debug_implementations,
    reason = "programs that only tests run"
)]

mod client;
pub mod process;

pub use client::{Dial, Failed, Http, Requests};

use std::fmt;
use std::time::Duration;

/// How many seconds to run: the program's first argument, or what is usual.
#[must_use]
pub fn seconds(usual: u64) -> Duration {
    let given = std::env::args().nth(1);
    Duration::from_secs(given.map_or(usual, |text| text.parse().expect("a number of seconds")))
}

/// Median, 99th percentile and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Half are shorter.
    pub median: Duration,
    /// One in a hundred is longer.
    pub p99: Duration,
    /// None is longer.
    pub max: Duration,
}

impl Spread {
    /// Of some durations; all zero where there are none.
    #[must_use]
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |hundredths: usize| {
            let index = (durations.len() * hundredths / 100).min(durations.len().saturating_sub(1));
            durations.get(index).copied().unwrap_or_default()
        };
        Self {
            median: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p99, max } = self;
        write!(f, "median {median:.2?}, p99 {p99:.2?}, max {max:.2?}")
    }
}
