use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use serde_json::{Map, Value};
use spiffe_peer::{SpiffeId, TrustDomain, parse};

use super::token::Token;
use super::{JwtBundle, JwtError, JwtFault, claims};

/// Decides whether a token is a JWT-SVID that is meant for this service.
///
/// A token passes where all of this holds:
///
/// - It is a JWS in compact serialization of at most 16 KiB, whose header has `alg`, `kid`, perhaps
///   `typ`, and nothing else.
/// - Its `sub` is the SPIFFE ID of a workload, and the signature is that of a key in the bundle of
///   that ID's own trust domain.
/// - Its `exp` lies in the future and its `nbf`, if any, does not. There is no leeway.
/// - Its `aud` names at least one audience of the verifier.
///
/// `iat` decides nothing, and further claims are carried along unread.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_peer::{TrustDomain, parse};
/// use spiffe_verify::{JwtBundle, JwtFault, JwtVerifier, default_provider};
///
/// # let jwks = br#"{"keys": [{"kty": "EC", "use": "jwt-svid", "kid": "1", "crv": "P-256",
/// #   "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;
/// let own = JwtBundle::parse(parse::trust_domain("example.org")?, jwks)?;
/// let verifier = JwtVerifier::new(default_provider()?, ["spiffe://example.org/service/orders"])?;
///
/// // {"alg": "none"}, and claims that anybody can write.
/// let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy94In0.AA";
/// let bundle_of = |domain: &TrustDomain| (domain == own.trust_domain()).then_some(&own);
/// let error = verifier.verify(token, bundle_of, SystemTime::now()).unwrap_err();
/// assert_eq!(error.fault(), JwtFault::Algorithm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JwtVerifier {
    provider: Arc<CryptoProvider>,
    audience: Vec<String>,
}

impl JwtVerifier {
    /// A verifier for tokens that name one of these audiences, usually the service's own SPIFFE ID.
    ///
    /// The signatures are verified with the provider's algorithms.
    ///
    /// # Errors
    ///
    /// [`NoAudience`] where there is no audience or a blank one: a service without an audience would
    /// accept a token that was meant for another.
    pub fn new<A: Into<String>>(
        provider: Arc<CryptoProvider>,
        audience: impl IntoIterator<Item = A>,
    ) -> Result<Self, NoAudience> {
        let audience: Vec<String> = audience.into_iter().map(Into::into).collect();
        if audience.is_empty() || audience.iter().any(|one| one.trim().is_empty()) {
            return Err(NoAudience(()));
        }
        Ok(Self { provider, audience })
    }

    /// Verifies a token at a point in time.
    ///
    /// `bundle` is asked once, for the bundle of the trust domain that the token claims to be of;
    /// the answer `None`, or the bundle of another domain, refuses the token.
    ///
    /// # Errors
    ///
    /// [`JwtError`] says why the token was refused. `Expired`, `NotYetValid` and
    /// `NotForThisAudience` are said of genuine tokens alone: the signature is verified before.
    pub fn verify<'b>(
        &self,
        token: &str,
        bundle: impl FnOnce(&TrustDomain) -> Option<&'b JwtBundle>,
        now: SystemTime,
    ) -> Result<JwtSvid, JwtError> {
        let token = Token::parse(token)?;
        let subject = token
            .claims
            .get("sub")
            .and_then(Value::as_str)
            .ok_or(JwtFault::Subject)?;
        let spiffe_id = parse::workload_id(subject).map_err(JwtError::subject)?;
        let audience = claims::audience(&token.claims)?;
        let expires_at = claims::expires_at(&token.claims)?;
        let not_before = claims::not_before(&token.claims)?;

        let trust_domain = spiffe_id.trust_domain();
        let bundle = bundle(trust_domain).filter(|bundle| bundle.trust_domain() == trust_domain);
        let bundle = bundle.ok_or_else(|| JwtError::unknown_trust_domain(trust_domain))?;
        let key = bundle.key(&token.key_id).ok_or(JwtFault::UnknownKey)?;
        key.verify(
            token.algorithm,
            token.signed,
            &token.signature,
            &self.provider,
        )?;

        if expires_at <= now {
            return Err(JwtFault::Expired.into());
        }
        if not_before.is_some_and(|start| now < start) {
            return Err(JwtFault::NotYetValid.into());
        }
        if !audience.iter().any(|one| self.audience.contains(one)) {
            return Err(JwtFault::NotForThisAudience.into());
        }
        Ok(JwtSvid {
            spiffe_id,
            audience,
            expires_at,
            claims: token.claims,
        })
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("audience", &self.audience)
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

    /// All claims, as the issuer wrote them.
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

/// A [`JwtVerifier`] was to be made without an audience, or with a blank one.
///
/// ```
/// use spiffe_verify::{JwtVerifier, default_provider};
///
/// assert!(JwtVerifier::new(default_provider()?, Vec::<String>::new()).is_err());
/// assert!(JwtVerifier::new(default_provider()?, [" "]).is_err());
/// # Ok::<(), spiffe_verify::NoProvider>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAudience(());

impl fmt::Display for NoAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a verifier of JWT-SVIDs needs at least one audience, and none that is blank")
    }
}

impl std::error::Error for NoAudience {}
