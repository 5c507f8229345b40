//! How the benches measure, and how they say what they found.
//!
//! Two ways of doing the same work take turns, round by round, so that what happens to the machine
//! meanwhile happens to both; the medians are compared.

pub mod agent;
pub mod callgrind;
pub mod clients;
pub mod contenders;
pub mod decision;
pub mod handshake;
pub mod nginx;
pub mod offer;
pub mod pki;
pub mod process;
mod report;
pub mod servers;

pub use report::{Gate, Report, Row};

use std::path::PathBuf;
use std::process::ExitCode;
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

/// The medians of any number of measurements that take turns for `rounds` rounds. Each round begins
/// with another of them.
///
/// # Errors
///
/// The first of any measurement.
pub fn taking_turns<E>(
    rounds: usize,
    contenders: &mut [&mut dyn FnMut() -> Result<f64, E>],
) -> Result<Vec<f64>, E> {
    let mut measured = vec![Vec::with_capacity(rounds); contenders.len()];
    for contender in contenders.iter_mut() {
        // As above: not counted.
        contender()?;
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            measured[index].push(contenders[index]()?);
        }
    }
    Ok(measured
        .into_iter()
        .map(|mut one| quantile(&mut one, 0.5))
        .collect())
}

/// The value below which that part of the measurements lies; zero where there are none.
pub fn quantile(measured: &mut [f64], part: f64) -> f64 {
    measured.sort_unstable_by(f64::total_cmp);
    let index = (measured.len() as f64 * part) as usize;
    let last = measured.len().saturating_sub(1);
    measured.get(index.min(last)).copied().unwrap_or_default()
}

/// Publishes a report where the first argument says, and tells whether its gates hold.
///
/// # Errors
///
/// Where the report cannot be written.
pub fn publish(report: &Report) -> std::io::Result<ExitCode> {
    let results = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/bench"), PathBuf::from);
    Ok(if report.publish(&results)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
