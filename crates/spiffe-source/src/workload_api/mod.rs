//! The SPIFFE Workload API, from the side of its client.

pub mod messages;
