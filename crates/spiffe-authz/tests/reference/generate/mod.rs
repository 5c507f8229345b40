//! Random policies, and random requests that are aimed at them.

mod conditions;
mod peers;
mod policies;
mod requests;
mod rules;
mod segments;
mod spelling;
mod users;
mod vocabulary;

use crate::policy::{Policy, Request};
use crate::random::Random;

pub(crate) use rules::{Kind, add_rule};
pub(crate) use vocabulary::OWN;

/// How many requests each policy is asked.
pub(crate) const REQUESTS: usize = 100;

/// A policy and what it is asked, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    pub(crate) requests: Vec<Request>,
    /// Where further choices come from.
    pub(crate) random: Random,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let policy = policies::policy(&mut random);
        let requests = (0..REQUESTS)
            .map(|_| requests::request(&policy, &mut random))
            .collect();
        Self {
            seed,
            policy,
            requests,
            random,
        }
    }
}
