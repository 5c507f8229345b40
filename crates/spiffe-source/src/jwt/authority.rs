use std::fmt;
use std::pin::Pin;

use serde_json::{Map, Value};
use spiffe_peer::SpiffeId;
use zeroize::Zeroizing;

use super::JwtAuthorityError;

/// An answer of a [`JwtAuthority`] that is yet to come.
pub type JwtAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, JwtAuthorityError>> + Send + 'a>>;

/// Who issues the JWT-SVIDs of this process, and can validate those of others.
///
/// The agent is one. A [`Feed`](crate::Feed) of another kind hands out its own with
/// [`Feed::jwt_authority`](crate::Feed::jwt_authority). It only has to ask: the source checks each
/// token that is issued, keeps it, refreshes it, and holds every answer to ten seconds.
///
/// ```
/// use std::collections::HashMap;
///
/// use spiffe_peer::SpiffeId;
/// use spiffe_source::jwt::{IssuedJwtSvid, JwtAnswer, JwtAuthority, JwtAuthorityError};
/// use tokio::sync::watch;
///
/// /// Hands out the tokens, by audience, that another part of the program fetches.
/// struct Handed(watch::Receiver<HashMap<String, String>>);
///
/// impl JwtAuthority for Handed {
///     fn fetch<'a>(&'a self, id: &'a SpiffeId, audience: &'a [String]) -> JwtAnswer<'a, IssuedJwtSvid> {
///         Box::pin(async move {
///             let [audience] = audience else {
///                 return Err(JwtAuthorityError::unsupported("ask for one audience at a time"));
///             };
///             let tokens = self.0.borrow();
///             let token = tokens.get(audience).ok_or_else(|| {
///                 JwtAuthorityError::unavailable(format!("the key server has no token of {id} yet"))
///             })?;
///             Ok(IssuedJwtSvid::new(token))
///         })
///     }
/// }
/// ```
pub trait JwtAuthority: Send + Sync + 'static {
    /// Asks for a JWT-SVID of `id`, one of the identities of this process, that is meant for all of
    /// these audiences. There is at least one.
    ///
    /// The future is dropped where the answer is not wanted any more.
    fn fetch<'a>(
        &'a self,
        id: &'a SpiffeId,
        audience: &'a [String],
    ) -> JwtAnswer<'a, IssuedJwtSvid>;

    /// Asks whether somebody's token is a JWT-SVID that is meant for `audience`. One that is not is
    /// an error, [`JwtAuthorityError::refused`].
    ///
    /// By default nobody validates.
    fn validate<'a>(&'a self, token: &'a str, audience: &'a str) -> JwtAnswer<'a, VouchedJwtSvid> {
        let _ = (token, audience);
        Box::pin(std::future::ready(Err(JwtAuthorityError::unsupported(
            "whoever issues the JWT-SVIDs of this source does not validate those of others; validate them locally",
        ))))
    }
}

/// A JWT-SVID as a [`JwtAuthority`] has issued it, not checked yet.
///
/// ```
/// let issued = spiffe_source::jwt::IssuedJwtSvid::new("header.claims.signature");
/// assert!(!format!("{issued:?}").contains("claims"), "a token is a secret");
/// ```
pub struct IssuedJwtSvid(Zeroizing<String>);

impl IssuedJwtSvid {
    /// The token, a JWS in compact serialization.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    pub(crate) fn into_token(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for IssuedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedJwtSvid").finish_non_exhaustive()
    }
}

/// What a [`JwtAuthority`] says of a token that it has found valid.
///
/// ```
/// use spiffe_source::jwt::VouchedJwtSvid;
///
/// let claims = serde_json::Map::new();
/// let vouched = VouchedJwtSvid::new("spiffe://example.org/service/orders", claims);
/// assert!(format!("{vouched:?}").contains("/service/orders"));
/// ```
#[derive(Clone)]
pub struct VouchedJwtSvid {
    pub(super) spiffe_id: String,
    pub(super) claims: Map<String, Value>,
}

impl VouchedJwtSvid {
    /// The ID that the token speaks for, and those of its claims that the authority tells.
    #[must_use]
    pub fn new(spiffe_id: impl Into<String>, claims: Map<String, Value>) -> Self {
        Self {
            spiffe_id: spiffe_id.into(),
            claims,
        }
    }
}

impl fmt::Debug for VouchedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VouchedJwtSvid")
            .field("spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}
