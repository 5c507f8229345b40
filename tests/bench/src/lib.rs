//! How the benches measure, and how they say what they found.
//!
//! Two ways of doing the same work take turns, round by round, so that what happens to the machine
//! meanwhile happens to both; the medians are compared.

mod report;

pub use report::{Gate, Report, Row};

use std::time::Duration;

/// The medians of two measurements that take turns for `rounds` rounds.
pub fn interleaved(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    // The first round fills caches and is not counted.
    ours();
    peer();
    let (mut ours_took, mut peer_took) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds {
        // Whoever comes second finds the machine warmer: they take turns in that as well.
        if round % 2 == 0 {
            ours_took.push(ours());
            peer_took.push(peer());
        } else {
            peer_took.push(peer());
            ours_took.push(ours());
        }
    }
    (median(ours_took), median(peer_took))
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}
