//! `spiffectl call` as a process, with an embedded agent and real servers: what it sends, what it writes,
//! and how it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod grpc;
mod http;
mod refusals;
mod stage;
