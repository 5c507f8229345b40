//! How the benches measure, and how they say what they found.
//!
//! Two ways of doing the same work take turns, round by round, so that what happens to the machine
//! meanwhile happens to both; the medians are compared.

pub mod agent;
pub mod offer;
mod report;

pub use report::{Gate, Report, Row};

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The medians of two measurements that take turns for `rounds` rounds.
pub fn interleaved(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let ([ours], [peer]) = interleaved_all(rounds, || [ours()], || [peer()]);
    (ours, peer)
}

/// As [`interleaved`], where each measurement gives several times at once.
pub fn interleaved_all<const N: usize>(
    rounds: usize,
    mut ours: impl FnMut() -> [Duration; N],
    mut peer: impl FnMut() -> [Duration; N],
) -> ([Duration; N], [Duration; N]) {
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
    (medians(&ours_took), medians(&peer_took))
}

fn medians<const N: usize>(took: &[[Duration; N]]) -> [Duration; N] {
    std::array::from_fn(|index| {
        let mut durations: Vec<_> = took.iter().map(|round| round[index]).collect();
        durations.sort_unstable();
        durations
            .get(durations.len() / 2)
            .copied()
            .unwrap_or_default()
    })
}

/// What the calling thread has computed so far: time that it waited, for others on a busy machine
/// too, is not in it.
pub fn thread_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}
