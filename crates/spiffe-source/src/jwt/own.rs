use std::fmt;
use std::time::SystemTime;

use spiffe_peer::SpiffeId;
use spiffe_verify::{JwtBundle, JwtError, JwtFault, JwtVerifier, UnverifiedJwtSvid};
use zeroize::Zeroizing;

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
    spiffe_id: SpiffeId,
    audience: Vec<String>,
    expires_at: SystemTime,
    key_id: String,
}

impl OwnJwtSvid {
    /// The identity that the token speaks for.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// For whom the token is meant: all that were asked for, and perhaps more.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The token, a JWS in compact serialization. A secret: search for this name to see who reads it.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        &self.token
    }

    /// Whether the key that has signed the token is one of a bundle.
    pub(super) fn is_signed_by_one_of(&self, bundle: &JwtBundle) -> bool {
        bundle.key_ids().any(|id| id == self.key_id)
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
        let read = UnverifiedJwtSvid::read(token)?;
        if *read.spiffe_id() != key.id {
            return Err(BadToken::OfAnother(read.spiffe_id().clone()));
        }
        let mut asked = key.audience.as_slice().iter();
        if let Some(missing) = asked.find(|one| !read.audience().contains(one)) {
            return Err(BadToken::NotFor(missing.clone()));
        }
        match bundle {
            Some(bundle) => verifier.check(&read, bundle, now)?,
            None => read.check_time(now)?,
        }
        Ok(Self {
            token: token.clone(),
            spiffe_id: read.spiffe_id().clone(),
            audience: read.audience().to_vec(),
            expires_at: read.expires_at(),
            key_id: read.key_id().to_owned(),
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
