use std::fmt;
use std::pin::Pin;

use spiffe_peer::SpiffeId;
use zeroize::Zeroizing;

use crate::error::ConnectError;

/// Who issues the JWT-SVIDs of this process and can validate those of others.
pub trait JwtAuthority: Send + Sync + 'static {
    /// Asks for a JWT-SVID for these audiences: that of `id`, or of every identity of this process.
    fn fetch<'a>(
        &'a self,
        audiences: &'a [String],
        id: Option<&'a SpiffeId>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<IssuedJwtSvid>, ConnectError>> + Send + 'a>>;
}

/// A JWT-SVID as it was issued.
pub struct IssuedJwtSvid {
    /// Whose it is said to be.
    pub spiffe_id: String,
    /// The token in compact serialization. A secret.
    pub token: Zeroizing<String>,
    /// What the operator called it.
    pub hint: Option<String>,
}

impl fmt::Debug for IssuedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedJwtSvid")
            .field("spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}
