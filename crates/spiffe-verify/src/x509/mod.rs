//! X.509-SVIDs: chains of certificates that prove a SPIFFE ID (X509-SVID, section 5).

mod bounds;
mod bundle;
mod certificate;
mod error;
mod fields;
mod general_name;
mod known;
mod verified;
mod verifier;

pub use bundle::{InvalidX509Bundle, X509Bundle, split_der};
pub use error::{X509Error, X509Fault};
pub use known::KnownIssuers;
pub use verified::{VerifiedCertificate, VerifiedChain};
pub use verifier::{MAX_CHAIN_BYTES, MAX_INTERMEDIATES, Purpose, X509Verifier};
