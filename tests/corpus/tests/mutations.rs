//! Mutated chains. The million is `cargo xtask corpus --mutations 1000000`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::SystemTime;

use corpus::key::KeyKind;
use corpus::world::World;
use corpus::{cases, mutation};

#[test]
fn no_mutation_is_accepted_and_none_makes_the_verifier_panic() {
    let world = World::new(KeyKind::P256, SystemTime::now());
    let tally = mutation::run(&cases::of_kind(&world), 20_000, 4);
    println!("{tally}");
    assert_eq!(tally.count, 20_000);
    assert!(tally.panics.is_empty(), "panics: {:?}", tally.panics);
    assert!(tally.accepted.is_empty(), "accepted: {:?}", tally.accepted);
    // Some come out unchanged: so it can be seen that the rest is refused for what was changed.
    assert!(tally.originals > 0 && tally.refused > tally.originals);
}
