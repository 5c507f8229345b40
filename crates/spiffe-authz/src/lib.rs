//! Rules for Tower, axum and tonic services that are keyed on SPIFFE identities.
