use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use spiffe_peer::TrustDomain;

use super::{JwtBundle, JwtError, JwtFault, JwtSvid, UnverifiedJwtSvid};

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
        let token = UnverifiedJwtSvid::read(token)?;
        let trust_domain = token.spiffe_id().trust_domain();
        let bundle =
            bundle(trust_domain).ok_or_else(|| JwtError::unknown_trust_domain(trust_domain))?;
        self.check(&token, bundle, now)?;
        Ok(token.assume_genuine())
    }

    /// The same for a token that has been read already.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub fn check(
        &self,
        token: &UnverifiedJwtSvid<'_>,
        bundle: &JwtBundle,
        now: SystemTime,
    ) -> Result<(), JwtError> {
        let trust_domain = token.spiffe_id().trust_domain();
        if bundle.trust_domain() != trust_domain {
            return Err(JwtError::unknown_trust_domain(trust_domain));
        }
        token.check_signature(bundle, &self.provider)?;
        token.check_time(now)?;
        if !token
            .audience()
            .iter()
            .any(|one| self.audience.contains(one))
        {
            return Err(JwtFault::NotForThisAudience.into());
        }
        Ok(())
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("audience", &self.audience)
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
