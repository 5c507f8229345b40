//! The limits of a server, and why they are what they are.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// What may be set.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) drain: Duration,
    pub(super) header_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) max_connections: usize,
    pub(super) max_concurrent_streams: u32,
    pub(super) max_header_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            max_age: None,
            max_connections: 10_000,
            max_concurrent_streams: 128,
            max_header_bytes: 16 * 1024,
        }
    }
}

/// How often a quiet HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What a peer may send before a handler reads: of all its streams together.
const WINDOW: u32 = 1024 * 1024;
/// What waits on one stream for a peer that does not read.
const SEND_BUFFER: usize = 64 * 1024;
const FRAME: u32 = 16 * 1024;
/// Streams that a peer has reset before a handler saw them, and those that it made fail: rapid reset
/// is answered with GOAWAY beyond.
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 128;
/// What HTTP/1.1 reads ahead of a handler, and writes ahead of a peer.
const HTTP1_BUFFER: usize = 64 * 1024;
const LONGEST_LEAD: Duration = Duration::from_secs(30);
/// As good as never, and no clock overflows with it.
pub(super) const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Limits {
    pub(super) fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        // A hundred headers are hyper's own limit; naming a number would cost an allocation each time.
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout.min(FAR))
            .max_header_size(usize::try_from(self.max_header_bytes).unwrap_or(usize::MAX))
            .max_buf_size(HTTP1_BUFFER);
        builder
    }

    pub(super) fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            // Bounds CONTINUATION frames too: their number follows from it.
            .max_header_list_size(self.max_header_bytes)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(LOCAL_RESETS)
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .max_frame_size(FRAME)
            .max_send_buf_size(SEND_BUFFER)
            .enable_connect_protocol()
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        builder
    }

    /// The age at which a connection ends: up to a tenth before the one that is set, so that peers
    /// that came together do not come again together.
    pub(super) fn age(&self) -> Option<Duration> {
        self.max_age.map(|age| age.mul_f64(1.0 - jitter() / 10.0))
    }
}

/// When to ask a peer to come back on a new connection, so that no request meets the end of either
/// identity: a tenth of what is left before the end, at most half a minute, and up to twice that, so
/// that a fleet whose SVIDs end together does not come back together.
pub(super) fn retirement(trusted_for: Duration) -> Duration {
    let lead = (trusted_for / 10).min(LONGEST_LEAD);
    trusted_for.saturating_sub(lead.mul_f64(1.0 + jitter()))
}

/// From zero to one; to spread what would come together, not to keep a secret.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(()) >> 40;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(1_u32 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_asked_to_come_back_before_the_end_and_not_all_at_once() {
        let hour = Duration::from_secs(3600);
        let moments: Vec<Duration> = (0..200).map(|_| retirement(hour)).collect();
        let (first, last) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
        assert!(*first >= hour - 2 * LONGEST_LEAD && *last <= hour - LONGEST_LEAD);
        assert!(
            *last - *first > LONGEST_LEAD / 2,
            "spread over half a minute"
        );
        let short = Duration::from_secs(10);
        assert!(retirement(short) >= Duration::from_secs(8));
        assert_eq!(retirement(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn an_age_is_never_passed_and_hardly_fallen_short_of() {
        let age = Duration::from_secs(1000);
        let limits = Limits {
            max_age: Some(age),
            ..Limits::default()
        };
        for _ in 0..100 {
            let chosen = limits.age().unwrap();
            assert!(chosen <= age && chosen >= age * 9 / 10, "{chosen:?}");
        }
    }
}
