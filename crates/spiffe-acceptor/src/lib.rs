//! Mutual TLS with SPIFFE identities for axum, tonic and hyper servers.
