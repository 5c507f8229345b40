//! The SPIFFE Workload API, from the side of its client.

mod backoff;
mod client;
mod feed;
#[cfg(feature = "prost")]
pub mod messages;
#[cfg(not(feature = "prost"))]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a client needs some of the messages, a server all"
)]
mod messages;
mod overdue;
pub(crate) mod socket;
mod streams;
mod tokens;

pub use feed::WorkloadApi;
