//! Live X.509-SVIDs and trust bundles from the SPIFFE Workload API.

pub mod workload_api;
