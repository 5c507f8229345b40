use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// What may be set of a client's connections and requests.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) dial_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) response_header_timeout: Option<Duration>,
    pub(crate) overall_timeout: Option<Duration>,
    pub(crate) max_idle: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) retire_after: Duration,
    pub(crate) max_age: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(5),
            response_header_timeout: Some(Duration::from_secs(5)),
            overall_timeout: Some(Duration::from_secs(15)),
            max_idle: 100,
            idle_timeout: Duration::from_secs(90),
            retire_after: Duration::from_secs(60),
            max_age: None,
        }
    }
}

impl Settings {
    /// How long after a rotation a connection is still given requests: at least half of what is set,
    /// so that a pool does not renew all of its connections at the same moment.
    pub(crate) fn retirement_after_rotation(&self) -> Duration {
        self.retire_after.min(FAR).mul_f64(1.0 - jitter() / 2.0)
    }

    /// The age at which a connection is retired: up to a tenth before the one that is set.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.max_age
            .map(|age| age.min(FAR).mul_f64(1.0 - jitter() / 10.0))
    }
}

/// As good as never, and no clock overflows with it.
pub(crate) const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
const LONGEST_LEAD: Duration = Duration::from_secs(30);

/// When to begin a new connection, so that no request meets the end of either identity: a tenth of
/// what is left before the end, at most half a minute, and up to twice that.
pub(crate) fn retirement_before(end: SystemTime) -> Duration {
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    let lead = (left / 10).min(LONGEST_LEAD);
    left.saturating_sub(lead.mul_f64(1.0 + jitter())).min(FAR)
}

/// From zero to one; to spread what would come together, not to keep a secret.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(()) >> 40;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(1_u32 << 24)
}

/// The settings, as methods of whoever has a field `settings`.
macro_rules! setters {
    () => {
        /// How long the TCP connection may take, name look-up included; 5 s by default.
        #[must_use]
        pub fn dial_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.dial_timeout = timeout;
            self
        }

        /// How often a quiet connection is asked whether the other end is still there: by TCP, and over
        /// HTTP/2 by a ping while there are requests. 30 s by default.
        #[must_use]
        pub fn keep_alive(mut self, interval: std::time::Duration) -> Self {
            self.settings.keep_alive = interval;
            self
        }

        /// How long the TLS handshake may take; 5 s by default.
        #[must_use]
        pub fn handshake_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.handshake_timeout = timeout;
            self
        }

        /// How long the head of a response may take once there is a connection for its request; 5 s
        /// by default, and `None` is for ever. gRPC has deadlines of its own, and is not subject to it.
        #[must_use]
        pub fn response_header_timeout(
            mut self,
            timeout: impl Into<Option<std::time::Duration>>,
        ) -> Self {
            self.settings.response_header_timeout = timeout.into();
            self
        }

        /// How long a call may take from its begin to the last byte of the response; 15 s by default,
        /// and `None` is for ever. gRPC has deadlines of its own, and is not subject to it.
        #[must_use]
        pub fn overall_timeout(mut self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            self.settings.overall_timeout = timeout.into();
            self
        }

        /// How many connections to one server may be kept without a request; 100 by default.
        #[must_use]
        pub fn max_idle(mut self, connections: usize) -> Self {
            self.settings.max_idle = connections;
            self
        }

        /// How long a connection may be kept without a request; 90 s by default.
        #[must_use]
        pub fn idle_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.idle_timeout = timeout;
            self
        }

        /// How long a connection may be given requests after the own SVID under which it was made has
        /// been replaced; 60 s by default, less up to a half of it by chance, so that not all
        /// connections are renewed at once. Requests in flight then are finished on it. Whatever is set,
        /// a connection is retired shortly before the own SVID ends that its server was shown.
        #[must_use]
        pub fn retire_after(mut self, rotation: std::time::Duration) -> Self {
            self.settings.retire_after = rotation;
            self
        }

        /// How old a connection may become before it is retired, less up to a tenth by chance; without
        /// a limit by default. Requests in flight then are finished on it. Who removes an authority
        /// before the SVIDs that it signed have ended needs such a limit on connections begun with them.
        #[must_use]
        pub fn max_age(mut self, age: impl Into<Option<std::time::Duration>>) -> Self {
            self.settings.max_age = age.into();
            self
        }
    };
}
pub(crate) use setters;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_that_are_promised() {
        let settings = Settings::default();
        let seconds = Duration::from_secs;
        assert_eq!(settings.dial_timeout, seconds(5));
        assert_eq!(settings.keep_alive, seconds(30));
        assert_eq!(settings.handshake_timeout, seconds(5));
        assert_eq!(settings.response_header_timeout, Some(seconds(5)));
        assert_eq!(settings.overall_timeout, Some(seconds(15)));
        assert_eq!(settings.max_idle, 100);
        assert_eq!(settings.idle_timeout, seconds(90));
        assert_eq!(settings.retire_after, seconds(60));
    }

    #[test]
    fn connections_are_not_all_retired_at_once_and_none_too_late() {
        let settings = Settings::default();
        let moments: Vec<_> = (0..200)
            .map(|_| settings.retirement_after_rotation())
            .collect();
        let (first, last) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
        assert!(*first >= Duration::from_secs(30) && *last <= Duration::from_secs(60));
        assert!(*last - *first > Duration::from_secs(15));
        let hour = Duration::from_secs(3600);
        let end = SystemTime::now() + hour;
        for _ in 0..100 {
            let at = retirement_before(end);
            assert!(at <= hour - LONGEST_LEAD && at + LONGEST_LEAD * 2 >= hour - LONGEST_LEAD / 30);
        }
        assert_eq!(retirement_before(SystemTime::UNIX_EPOCH), Duration::ZERO);
    }
}
