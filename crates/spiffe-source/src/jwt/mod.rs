//! JWT-SVIDs of this process, and the validation of those of others.

mod authority;

pub use authority::{IssuedJwtSvid, JwtAuthority};
