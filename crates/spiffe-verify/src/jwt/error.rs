use std::error::Error;
use std::fmt;

use spiffe_peer::TrustDomain;
use spiffe_peer::parse::InvalidId;

/// Why a token is no JWT-SVID for this service. Its text form is the one for metric labels.
///
/// ```
/// use spiffe_verify::JwtFault;
///
/// assert_eq!(JwtFault::Expired.as_str(), "expired");
/// assert_eq!(JwtFault::NotForThisAudience.to_string(), "not_for_this_audience");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtFault {
    /// The token is longer than 16 KiB.
    TooLong,
    /// It is not three parts of base64url without padding: no JWS in compact serialization.
    NotCompact,
    /// The header is no JSON object whose names stand in it once.
    Header,
    /// The header has a parameter other than `alg`, `kid` and `typ`.
    HeaderParameter,
    /// `alg` is none of the nine that a JWT-SVID may use.
    Algorithm,
    /// `kid` is absent, empty or no text.
    KeyId,
    /// `typ` is neither absent nor `JWT` nor `JOSE`.
    Type,
    /// The claims are no JSON object whose names stand in it once.
    Claims,
    /// `sub` is not the SPIFFE ID of a workload.
    Subject,
    /// `aud` is absent, empty, or neither a text nor a list of texts.
    Audience,
    /// `exp` is absent, or `exp` or `nbf` is no point in time.
    Time,
    /// There is no bundle of the subject's trust domain.
    UnknownTrustDomain,
    /// The bundle of the subject's trust domain has no key with the token's `kid`.
    UnknownKey,
    /// The key is not one for the token's `alg`.
    KeyMismatch,
    /// The crypto provider does not implement the token's `alg`.
    UnsupportedByProvider,
    /// The signature is not the key's.
    Signature,
    /// The token has expired.
    Expired,
    /// The token is not yet valid.
    NotYetValid,
    /// The token is meant for others.
    NotForThisAudience,
}

impl JwtFault {
    /// The name of the fault, in lower case with underscores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotCompact => "not_compact",
            Self::Header => "header",
            Self::HeaderParameter => "header_parameter",
            Self::Algorithm => "algorithm",
            Self::KeyId => "key_id",
            Self::Type => "type",
            Self::Claims => "claims",
            Self::Subject => "subject",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::UnknownTrustDomain => "unknown_trust_domain",
            Self::UnknownKey => "unknown_key",
            Self::KeyMismatch => "key_mismatch",
            Self::UnsupportedByProvider => "unsupported_by_provider",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NotForThisAudience => "not_for_this_audience",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::TooLong => "it is longer than 16384 bytes",
            Self::NotCompact => {
                "it is not three parts of base64url without padding, separated by dots"
            }
            Self::Header => "its header is no JSON object, or has a name twice",
            Self::HeaderParameter => "its header has a parameter other than `alg`, `kid` and `typ`",
            Self::Algorithm => {
                "its `alg` is none of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512"
            }
            Self::KeyId => "its header has no `kid`",
            Self::Type => "its `typ` is neither `JWT` nor `JOSE`",
            Self::Claims => "its claims are no JSON object, or have a name twice",
            Self::Subject => "its `sub` is not the SPIFFE ID of a workload",
            Self::Audience => "its `aud` is absent, empty, or not made of texts",
            Self::Time => "its `exp` is absent, or its `exp` or `nbf` is no point in time",
            Self::UnknownTrustDomain => "there is no bundle of its subject's trust domain",
            Self::UnknownKey => {
                "the bundle of its subject's trust domain has no key with its `kid`"
            }
            Self::KeyMismatch => "the key with its `kid` is not one for its `alg`",
            Self::UnsupportedByProvider => "its `alg` is not supported by the crypto provider",
            Self::Signature => "its signature is wrong",
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not yet valid",
            Self::NotForThisAudience => "its `aud` does not name this service",
        }
    }
}

impl fmt::Display for JwtFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token was refused.
///
/// The text is short, fit for a log, and never contains the token. A caller that answers a request
/// keeps it to itself: the other end learns nothing from a refusal.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_verify::{JwtFault, JwtVerifier, default_provider};
///
/// let verifier = JwtVerifier::new(default_provider()?, ["spiffe://example.org/service/orders"])?;
/// let error = verifier.verify("no.token", |_| None, SystemTime::now()).unwrap_err();
/// assert_eq!(error.fault(), JwtFault::NotCompact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JwtError {
    fault: JwtFault,
    detail: Option<Detail>,
}

#[derive(Debug, Clone)]
enum Detail {
    Subject(InvalidId),
    TrustDomain(TrustDomain),
}

impl JwtError {
    /// Why the token was refused.
    #[must_use]
    pub fn fault(&self) -> JwtFault {
        self.fault
    }

    pub(super) fn subject(error: InvalidId) -> Self {
        Self {
            fault: JwtFault::Subject,
            detail: Some(Detail::Subject(error)),
        }
    }

    pub(super) fn unknown_trust_domain(trust_domain: &TrustDomain) -> Self {
        Self {
            fault: JwtFault::UnknownTrustDomain,
            detail: Some(Detail::TrustDomain(trust_domain.clone())),
        }
    }
}

impl From<JwtFault> for JwtError {
    fn from(fault: JwtFault) -> Self {
        Self {
            fault,
            detail: None,
        }
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the token is no JWT-SVID for this service: {}",
            self.fault.sentence()
        )?;
        match &self.detail {
            Some(Detail::TrustDomain(trust_domain)) => write!(f, " ({})", trust_domain.as_str()),
            Some(Detail::Subject(_)) | None => Ok(()),
        }
    }
}

impl Error for JwtError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.detail {
            Some(Detail::Subject(error)) => Some(error),
            Some(Detail::TrustDomain(_)) | None => None,
        }
    }
}
