//! JWT-SVIDs of this process, and the validation of those of others.
//!
//! [`Source::jwt_svid`](crate::Source::jwt_svid) gives a token to show to another service;
//! [`Source::jwt_validator`](crate::Source::jwt_validator) decides about those that are shown to this
//! one.

mod audience;
mod authority;
mod bounded;
mod cache;
mod error;
mod own;
mod refusal;
mod slots;
mod source;
mod validate;

#[cfg(test)]
mod tests;

pub use authority::{IssuedJwtSvid, JwtAnswer, JwtAuthority, VouchedJwtSvid};
pub(crate) use cache::Cache;
pub use error::{JwtAuthorityError, JwtSvidError};
pub use own::OwnJwtSvid;
pub use refusal::JwtRefusal;
#[doc(no_inline)]
pub use spiffe_verify::{JwtFault, JwtSvid, NoAudience};
pub use validate::JwtValidator;
