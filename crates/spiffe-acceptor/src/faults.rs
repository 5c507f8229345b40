//! What a listener does when the system gives it no connections.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// How long to wait when the system has no file descriptor left: others have to close some first.
/// Doubles with each failure in a row.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
const LONGEST_ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Errors of `accept` that no single connection is to blame for.
#[derive(Default)]
pub(crate) struct Faults {
    in_a_row: u32,
    next_attempt: Option<Instant>,
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
                if self.in_a_row > 0 {
                    tracing::info!(target: "spiffe_acceptor", attempts = self.in_a_row, "accepts connections again");
                    self.in_a_row = 0;
                }
                return Some(connection);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => self.add(&error),
        }
        None
    }

    fn add(&mut self, error: &io::Error) {
        if self.in_a_row == 0 {
            tracing::warn!(target: "spiffe_acceptor", %error, "cannot accept connections");
        }
        let wait = ACCEPT_RETRY.saturating_mul(1 << self.in_a_row.min(16));
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.next_attempt = Some(Instant::now() + wait.min(LONGEST_ACCEPT_RETRY));
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
