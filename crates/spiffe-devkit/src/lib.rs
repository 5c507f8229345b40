//! An embedded SPIFFE Workload API and certificate authority for development and tests.
