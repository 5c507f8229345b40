//! What makes a certificate chain or a token a SPIFFE identity.
//!
//! [`X509Verifier`] verifies X.509-SVIDs and [`JwtVerifier`] verifies JWT-SVIDs, each against the
//! bundle of the ID's own trust domain alone.
//! Nothing here does I/O, reads a clock or asks an agent: material and time come as arguments.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `aws-lc-rs` (default) | [`default_provider`] is aws-lc-rs, post-quantum key exchange preferred |
//! | `ring` | [`default_provider`] is ring where `aws-lc-rs` is off |
//!
//! Both may be on. The process-wide default of rustls is neither read nor installed.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod jwt;
mod provider;
mod x509;

pub use jwt::{
    InvalidJwtBundle, JwtBundle, JwtError, JwtFault, JwtSvid, JwtVerifier, NoAudience,
    UnverifiedJwtSvid,
};
pub use provider::{NoProvider, default_provider};
pub use x509::{
    InvalidX509Bundle, KnownIssuers, MAX_CHAIN_BYTES, MAX_INTERMEDIATES, Purpose,
    VerifiedCertificate, VerifiedChain, X509Bundle, X509Error, X509Fault, X509Verifier, split_der,
};
