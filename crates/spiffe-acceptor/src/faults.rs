//! What a listener does when the system gives it no connections.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// How long to wait when the system has no file descriptor left: others have to close some first.
/// Doubles with each failure in a row.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
const LONGEST_ACCEPT_RETRY: Duration = Duration::from_secs(1);
/// With one descriptor free now and then, accepting fails and succeeds by turns, many times a second.
const REMIND_EVERY: Duration = Duration::from_secs(60);
/// Longer than the longest pause: after so long without a failure, it is over.
const CALM: Duration = Duration::from_secs(5);

/// Errors of `accept` that no single connection is to blame for.
#[derive(Default)]
pub(crate) struct Faults {
    in_a_row: u32,
    next_attempt: Option<Instant>,
    trouble: Option<Trouble>,
}

/// A time in which accepting fails, though it may succeed in between.
struct Trouble {
    failures: u32,
    last: Instant,
    told: Instant,
}

impl Faults {
    /// Whether nothing is to be accepted now.
    pub(crate) fn is_pausing(&self) -> bool {
        self.next_attempt.is_some()
    }

    /// Waits until something may be accepted again.
    pub(crate) async fn pause(&mut self) {
        if let Some(instant) = self.next_attempt {
            tokio::time::sleep_until(instant).await;
            self.next_attempt = None;
        }
    }

    /// The connection, if there is one. Where there is not, what to do about it.
    pub(crate) fn sort_out<T>(&mut self, accepted: io::Result<T>) -> Option<T> {
        match accepted {
            Ok(connection) => {
                self.in_a_row = 0;
                if let Some(trouble) = self.trouble.take_if(|trouble| trouble.is_over()) {
                    tracing::info!(target: "spiffe_acceptor", failures = trouble.failures, "accepts connections again");
                }
                return Some(connection);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => self.add(&error),
        }
        None
    }

    fn add(&mut self, error: &io::Error) {
        let wait = ACCEPT_RETRY.saturating_mul(1 << self.in_a_row.min(16));
        self.in_a_row = self.in_a_row.saturating_add(1);
        let now = Instant::now();
        self.next_attempt = Some(now + wait.min(LONGEST_ACCEPT_RETRY));
        let is_new = self.trouble.is_none();
        let trouble = self.trouble.get_or_insert(Trouble {
            failures: 0,
            last: now,
            told: now,
        });
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.last = now;
        if is_new || trouble.told.elapsed() >= REMIND_EVERY {
            trouble.told = now;
            tracing::warn!(target: "spiffe_acceptor", %error, failures = trouble.failures, "cannot accept connections");
        }
    }
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.last.elapsed() >= CALM
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
