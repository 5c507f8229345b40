//! rustls configurations that follow a SPIFFE source, one per revision.
