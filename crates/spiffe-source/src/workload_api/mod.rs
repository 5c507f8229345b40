//! The SPIFFE Workload API, from the side of its client.

mod backoff;
mod builder;
mod client;
#[cfg(feature = "prost")]
pub mod messages;
#[cfg(not(feature = "prost"))]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a client needs some of the messages, a server all"
)]
mod messages;
mod update;
mod worker;

pub use builder::WorkloadApiBuilder;
