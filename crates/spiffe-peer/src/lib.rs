//! The vocabulary of SPIFFE services: who the other end of a connection is.
//!
//! [`PeerIdentity`] is what a completed verification says of a peer. Servers take it as a handler
//! argument (feature `axum`), clients find it in a response's extensions. [`IdPattern`] speaks of
//! many IDs at once, segment by segment. This crate does no I/O and knows no TLS.
//!
//! ```
//! use spiffe_peer::{IdPattern, parse};
//!
//! let orders = parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?;
//! let shop: IdPattern = "spiffe://example.org/ns/shop/sa/*".parse()?;
//! assert!(shop.matches(&orders));
//!
//! // One strict parser for certificates, configuration and policies: nothing is normalised.
//! let error = parse::workload_id("spiffe://Example.org/ns/shop/sa/orders").unwrap_err();
//! assert!(error.to_string().contains("spiffe://example.org/ns/shop/sa/orders"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `axum` | `FromRequestParts` for [`PeerIdentity`], for `Option<PeerIdentity>` and for each derived [`SpiffePath`] |
//! | `macros` (default) | `#[derive(SpiffePath)]` |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
mod end_user;
#[cfg(feature = "axum")]
mod extract;
mod identity;
mod literal;
mod matcher;
pub mod parse;
mod path;
mod pattern;
mod typed;

pub use connection::Connection;
pub use end_user::EndUser;
#[cfg(feature = "axum")]
pub use extract::{NoPeerIdentity, TypedIdRejection};
pub use identity::{AuthMethod, Fingerprint, PeerIdentity, SharedPeer, VerifiedPeer};
pub use matcher::IdMatcher;
pub use path::InvalidPath;
pub use pattern::{IdPattern, InvalidPattern};
pub use spiffe::{SpiffeId, TrustDomain};
#[cfg(feature = "macros")]
pub use spiffe_peer_macros::SpiffePath;
pub use typed::{PathMismatch, SpiffePath};

/// For the code that the macros of this crate write; no part of its interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "axum")]
    pub use crate::extract::typed_id;
    pub use crate::pattern::CheckedPattern;
    #[cfg(feature = "axum")]
    pub use axum_core::extract::FromRequestParts;
    #[cfg(feature = "axum")]
    pub use http::request::Parts;
}

#[cfg(not(feature = "axum"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __typed_id_extractor {
    ($name:ident) => {};
}
