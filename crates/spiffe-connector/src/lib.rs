//! Clients that speak mutual TLS with SPIFFE identities and know whom they call.
