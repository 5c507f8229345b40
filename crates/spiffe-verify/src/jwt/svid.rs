use std::fmt;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use serde_json::{Map, Value};
use spiffe_peer::{SpiffeId, parse};

use super::token::Token;
use super::{JwtBundle, JwtError, JwtFault, claims};

/// What a token says of itself. Its form has been checked as strictly as that of any other; that it
/// is genuine, current and meant for anybody here has not.
///
/// For those who have it verified elsewhere, or hold a token of their own.
///
/// ```
/// use spiffe_verify::{JwtFault, UnverifiedJwtSvid};
///
/// let error = UnverifiedJwtSvid::read("no.token.at all").unwrap_err();
/// assert_eq!(error.fault(), JwtFault::NotCompact);
/// ```
pub struct UnverifiedJwtSvid<'t> {
    token: Token<'t>,
    spiffe_id: SpiffeId,
    audience: Vec<String>,
    expires_at: SystemTime,
    not_before: Option<SystemTime>,
}

impl<'t> UnverifiedJwtSvid<'t> {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`JwtError`] where it has not the form of a JWT-SVID: a JWS in compact serialization of at
    /// most 16 KiB, a header with `alg`, `kid` and perhaps `typ`, and the claims `sub`, `aud`
    /// and `exp` (JWT-SVID, sections 2 and 3).
    pub fn read(token: &'t str) -> Result<Self, JwtError> {
        let token = Token::parse(token)?;
        let subject = token
            .claims
            .get("sub")
            .and_then(Value::as_str)
            .ok_or(JwtFault::Subject)?;
        Ok(Self {
            spiffe_id: parse::workload_id(subject).map_err(JwtError::subject)?,
            audience: claims::audience(&token.claims)?,
            expires_at: claims::expires_at(&token.claims)?,
            not_before: claims::not_before(&token.claims)?,
            token,
        })
    }

    /// The workload that the token claims to speak for.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// For whom it is meant.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When it ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Which key it says has signed it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.token.key_id
    }

    /// Holds `exp` and `nbf` against a point in time. There is no leeway.
    ///
    /// # Errors
    ///
    /// [`JwtFault::Expired`] and [`JwtFault::NotYetValid`].
    pub fn check_time(&self, now: SystemTime) -> Result<(), JwtError> {
        if self.expires_at <= now {
            return Err(JwtFault::Expired.into());
        }
        if self.not_before.is_some_and(|start| now < start) {
            return Err(JwtFault::NotYetValid.into());
        }
        Ok(())
    }

    pub(super) fn check_signature(
        &self,
        bundle: &JwtBundle,
        provider: &CryptoProvider,
    ) -> Result<(), JwtError> {
        let Token {
            algorithm,
            signed,
            signature,
            ..
        } = &self.token;
        let key = bundle.key(self.key_id()).ok_or(JwtFault::UnknownKey)?;
        key.verify(*algorithm, signed, signature, provider)?;
        Ok(())
    }

    /// Takes the token for genuine: somebody who is trusted has found it so. Search for this name to see
    /// who says that.
    #[must_use]
    pub fn assume_genuine(self) -> JwtSvid {
        JwtSvid {
            spiffe_id: self.spiffe_id,
            audience: self.audience,
            expires_at: self.expires_at,
            claims: self.token.claims,
        }
    }
}

impl fmt::Debug for UnverifiedJwtSvid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJwtSvid")
            .field("spiffe_id", &format_args!("{}", self.spiffe_id))
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a verified JWT-SVID says. The token itself is not kept.
///
/// ```
/// use spiffe_verify::JwtSvid;
///
/// fn caller(svid: &JwtSvid) -> String {
///     svid.spiffe_id().to_string()
/// }
/// ```
#[derive(Clone)]
pub struct JwtSvid {
    spiffe_id: SpiffeId,
    audience: Vec<String>,
    expires_at: SystemTime,
    claims: Map<String, Value>,
}

impl JwtSvid {
    /// The workload that the token speaks for.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Every audience of the token, not only those of the verifier.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// These claims in place of those of the token, where whoever has verified it tells fewer.
    #[must_use]
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = claims;
        self
    }

    /// The claims, as the issuer wrote them.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("spiffe_id", &format_args!("{}", self.spiffe_id))
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
