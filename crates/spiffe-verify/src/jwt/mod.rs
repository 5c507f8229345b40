mod algorithm;
mod bundle;
mod claims;
mod error;
mod json;
mod key;
mod svid;
mod token;
mod verify;

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "ring")))]
mod tests;

pub use bundle::{InvalidJwtBundle, JwtBundle};
pub use error::{JwtError, JwtFault};
pub use svid::{JwtSvid, UnverifiedJwtSvid};
pub use verify::{JwtVerifier, NoAudience};
