//! A corpus of good and bad X.509-SVIDs: chains that one end of a connection shows, the bundles of the
//! other, and the right verdict.
//!
//! [`cases::all`] makes it, [`manifest::write`] publishes it as files, and the tests run it over real
//! handshakes. No certificate library makes most of what is in it, so the certificates are put
//! together from bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::string_slice,
    reason = "tests"
)]

pub mod case;
pub mod cases;
pub mod certificate;
pub mod der;
pub mod extension;
pub mod judge;
pub mod key;
pub mod manifest;
pub mod mutation;
pub mod pem;
pub mod present;
pub mod rsa;
pub mod world;
