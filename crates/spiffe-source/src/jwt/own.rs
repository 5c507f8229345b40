use std::fmt;
use std::time::SystemTime;

use spiffe_peer::SpiffeId;
use spiffe_verify::{JwtBundle, JwtError, JwtFault, JwtVerifier};
use zeroize::Zeroizing;

use super::claims::Claims;
use super::slots::Key;

/// A JWT-SVID of this process, to show to those for whom it is meant.
///
/// The token is wiped from memory with the last clone of its `Arc`. Ask the source for it again
/// with each request rather than keeping it: what the source hands out is valid for a while, and
/// gone when the identity is.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// let svid = source.jwt_svid(["spiffe://example.org/service/stock"]).await?;
/// let header = format!("Bearer {}", svid.expose_token());
/// # Ok(())
/// # }
/// ```
pub struct OwnJwtSvid {
    token: Zeroizing<String>,
    claims: Claims,
}

impl OwnJwtSvid {
    /// The identity that the token speaks for.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.claims.subject
    }

    /// For whom the token is meant: all that were asked for, and perhaps more.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.claims.audience
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.claims.expires_at
    }

    /// The token, a JWS in compact serialization. A secret: search for this name to see who reads it.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        &self.token
    }

    /// Whether the key that has signed the token is one of a bundle.
    pub(super) fn is_signed_by_one_of(&self, bundle: &JwtBundle) -> bool {
        bundle.key_ids().any(|id| id == self.claims.key_id)
    }

    /// Checks a token as whoever receives it will. Where the own bundle has not come yet, that is
    /// all but the signature: a token of this process that is wrong harms nobody but itself.
    pub(super) fn check(
        token: &Zeroizing<String>,
        key: &Key,
        bundle: Option<&JwtBundle>,
        verifier: &JwtVerifier,
        now: SystemTime,
    ) -> Result<Self, BadToken> {
        let claims = Claims::read(token, verifier)?;
        if claims.subject != key.id {
            return Err(BadToken::OfAnother(claims.subject));
        }
        let mut asked = key.audience.as_slice().iter();
        if let Some(missing) = asked.find(|one| !claims.audience.contains(one)) {
            return Err(BadToken::NotFor(missing.clone()));
        }
        if claims.expires_at <= now {
            return Err(JwtError::from(JwtFault::Expired).into());
        }
        if let Some(bundle) = bundle {
            verifier.verify(token, |_| Some(bundle), now)?;
        }
        Ok(Self {
            token: token.clone(),
            claims,
        })
    }
}

impl fmt::Debug for OwnJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnJwtSvid")
            .field("spiffe_id", &format_args!("{}", self.spiffe_id()))
            .field("audience", &self.audience())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// Why a token that was issued is not handed out.
#[derive(Debug, Clone)]
pub(super) enum BadToken {
    Invalid(JwtError),
    OfAnother(SpiffeId),
    NotFor(String),
}

impl BadToken {
    /// Whether the bundle may only be older than the token.
    pub(super) fn may_be_ahead_of_the_bundle(&self) -> bool {
        matches!(self, Self::Invalid(error) if error.fault() == JwtFault::UnknownKey)
    }
}

impl From<JwtError> for BadToken {
    fn from(error: JwtError) -> Self {
        Self::Invalid(error)
    }
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::OfAnother(id) => write!(f, "the token is of {id}, which was not asked for"),
            Self::NotFor(audience) => write!(
                f,
                "the token is not meant for `{}`, which was asked for",
                audience.escape_debug()
            ),
        }
    }
}
