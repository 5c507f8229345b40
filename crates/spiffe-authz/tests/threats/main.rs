//! The authorization table of other people's mistakes, a test for each line, through real axum routers
//! and real tonic services over real connections.
//!
//! What a line says of certificates and tokens is tested where those are verified; the tests here show
//! what is left of it by the time of a decision, and name the others.

#![cfg(feature = "tonic")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common` and `served`"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../served/mod.rs"]
mod served;

mod effects;
mod identity;
mod matrix;
mod paths;
mod reload;

/// No line is without its test.
#[test]
fn every_line_of_the_table_has_a_test() {
    let sources = [
        include_str!("effects.rs"),
        include_str!("identity.rs"),
        include_str!("matrix.rs"),
        include_str!("paths.rs"),
        include_str!("reload.rs"),
    ];
    let mut lines: Vec<String> = (1..=60).map(|line| format!("{line:02}")).collect();
    lines.push("21b".to_owned());
    for line in lines {
        let name = format!("fn threats_{line}_");
        let tests = sources
            .iter()
            .flat_map(|source| {
                source
                    .match_indices(&name)
                    .map(move |(at, _)| &source[..at])
            })
            .filter(|before| {
                let mut above = before.lines().rev();
                // `async ` stands on the line of the name itself.
                above
                    .find(|line| line.trim_start().starts_with("#["))
                    .is_some_and(|attribute| attribute.contains("test"))
            });
        assert!(tests.count() > 0, "no test is named threats_{line}_...");
    }
}
