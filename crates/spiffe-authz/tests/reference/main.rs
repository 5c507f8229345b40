//! The index against a plain evaluator that follows the steps of a decision word by word.
//!
//! The reference shares no code with the engine. Random policies of few words are written as YAML and
//! loaded, so that the loader is part of what is compared. `SPIFFE_AUTHZ_PAIRS` says how many pairs of a
//! policy and a request are compared, `SPIFFE_AUTHZ_SEED` which; a failure names the seed that shows it
//! at once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

mod agreement;
mod built;
mod canonical;
mod document;
mod evaluation;
mod examples;
mod expression;
mod generate;
mod pattern;
mod policy;
mod properties;
mod random;
mod reference;
mod slip;
mod subject;
#[cfg(feature = "tonic")]
mod tables;
mod tally;
mod user;
mod yaml;
