//! Clients that know whom they call: whom they take, when they let go, what they send twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod expected;
mod grpc;
mod jwt;
mod place;
mod reqwest;
mod retirement;
mod retries;
mod rotation;
mod timeouts;
mod web;
