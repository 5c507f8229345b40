use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use crate::error::Failure;

const FIRST: Duration = Duration::from_millis(100);

/// The longest wait by what went wrong. An agent that is not there is not burdened by attempts, and
/// an identity that has been given back is wanted at once; an agent that cannot cope is left alone.
fn longest(failure: &Failure) -> Duration {
    Duration::from_secs(match failure {
        Failure::Denied(_) => 1,
        Failure::Unreachable(_) | Failure::Ended => 2,
        _ => 30,
    })
}

/// Waiting times between attempts: doubling, with jitter, so that a thousand workloads do not come
/// back to a restarted agent in one instant.
pub(super) struct Backoff {
    provider: Arc<CryptoProvider>,
    attempts: u32,
}

impl Backoff {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            attempts: 0,
        }
    }

    /// The agent answers again: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// How long to wait now: between half of the step and the whole of it.
    pub(super) fn next(&mut self, failure: &Failure) -> Duration {
        let step = FIRST
            .saturating_mul(1 << self.attempts.min(16))
            .min(longest(failure));
        self.attempts = self.attempts.saturating_add(1);
        let mut random = [0_u8; 2];
        // Without random bytes there is no jitter, which is no reason not to wait.
        let _ = self.provider.secure_random.fill(&mut random);
        step / 2 + step / 2 * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_longest_and_starts_again_after_success() {
        let mut backoff = Backoff::new(spiffe_verify::default_provider().unwrap());
        let hung = Failure::Hung(Duration::from_secs(10));
        assert!((FIRST / 2..=FIRST).contains(&backoff.next(&hung)));
        let last = (0..40).map(|_| backoff.next(&hung)).last().unwrap();
        let (half, longest) = (Duration::from_secs(15), Duration::from_secs(30));
        assert!((half..=longest).contains(&last), "{last:?}");
        let denied = backoff.next(&Failure::Denied(String::new()));
        assert!(denied <= Duration::from_secs(1), "{denied:?}");
        backoff.reset();
        assert!(backoff.next(&hung) <= FIRST);
    }
}
