use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};
use spiffe_peer::{SpiffeId, parse};
use spiffe_verify::{JwtFault, JwtSvid, JwtVerifier, NoAudience};

use super::claims::Claims;
use super::refusal::{JwtRefusal, Why};
use super::{JwtAuthorityError, VouchedJwtSvid};
use crate::snapshot::Snapshot;
use crate::source::Source;

/// Decides whether somebody's token is a JWT-SVID that is meant for this service, by what the
/// source trusts at that moment.
///
/// A token passes where a [`JwtVerifier`] accepts it with the bundle of its own trust domain, and
/// the deny-list does not name its ID. Tokens of the own trust domain and of those that the source
/// was told to trust can pass; with the source's end, or a withdrawal, none does. It is decided
/// without I/O, and the validator keeps the source alive.
///
/// ```no_run
/// # fn example(source: spiffe_source::Source, token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let validator = source.jwt_validator(["spiffe://example.org/service/orders"])?;
/// match validator.validate(token) {
///     Ok(svid) => println!("{} calls", svid.spiffe_id()),
///     Err(refusal) => println!("401, and for the log alone: {refusal}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JwtValidator {
    source: Source,
    verifier: JwtVerifier,
}

impl JwtValidator {
    pub(super) fn new<A: Into<String>>(
        source: Source,
        audience: impl IntoIterator<Item = A>,
    ) -> Result<Self, NoAudience> {
        let verifier = JwtVerifier::new(source.provider().clone(), audience)?;
        Ok(Self { source, verifier })
    }

    /// Validates a token against what holds now.
    ///
    /// # Errors
    ///
    /// [`JwtRefusal`] says why the token was refused.
    pub fn validate(&self, token: &str) -> Result<JwtSvid, JwtRefusal> {
        let snapshot = self.source.snapshot();
        let now = self.source.keeper().now();
        let svid = self
            .verifier
            .verify(token, |domain| snapshot.jwt_bundle(domain), now)?;
        not_denied(&snapshot, svid.spiffe_id())?;
        Ok(svid)
    }

    /// Has the source's agent validate a token. The agent decides about the signature; what can be
    /// decided without a key is decided here as well.
    pub(super) async fn validate_by_agent(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<ValidatedJwtSvid, JwtRefusal> {
        let Some(cache) = self.source.jwt() else {
            let error =
                "this kind of source has no agent that validates JWT-SVIDs; validate them locally";
            return Err(JwtAuthorityError::unsupported(error).into());
        };
        let claims = Claims::read(token, &self.verifier)?;
        self.is_acceptable(&claims, audience)?;
        let vouched = cache.validate(token, audience).await?;
        let spiffe_id = vouched_id(&vouched, &claims)?;
        // What held when the agent was asked need not hold any more.
        self.is_acceptable(&claims, audience)?;
        Ok(ValidatedJwtSvid {
            spiffe_id,
            audience: claims.audience,
            expires_at: claims.expires_at,
            claims: vouched.claims,
        })
    }

    /// What a genuine token must be beside genuine. The agent may know more trust domains than this
    /// source was told to trust.
    fn is_acceptable(&self, claims: &Claims, audience: &str) -> Result<(), JwtRefusal> {
        let snapshot = self.source.snapshot();
        let domain = claims.subject.trust_domain();
        if !snapshot.trust_domains().any(|trusted| trusted == domain) {
            return Err(JwtFault::UnknownTrustDomain.into());
        }
        if claims.expires_at <= self.source.keeper().now() {
            return Err(JwtFault::Expired.into());
        }
        if !claims.audience.iter().any(|one| one == audience) {
            return Err(JwtFault::NotForThisAudience.into());
        }
        not_denied(&snapshot, &claims.subject)
    }
}

fn not_denied(snapshot: &Snapshot, id: &SpiffeId) -> Result<(), JwtRefusal> {
    if snapshot.deny_list().denies_id(id) {
        return Err(Why::OnDenyList(id.clone()).into());
    }
    Ok(())
}

fn vouched_id(vouched: &VouchedJwtSvid, claims: &Claims) -> Result<SpiffeId, JwtRefusal> {
    let id = parse::workload_id(&vouched.spiffe_id).map_err(|error| {
        JwtAuthorityError::bad_answer(format!("the agent vouches for no SPIFFE ID: {error}"))
    })?;
    if id != claims.subject {
        let error = "the agent vouches for another ID than the one in the token";
        return Err(JwtAuthorityError::bad_answer(error).into());
    }
    Ok(id)
}

/// What a JWT-SVID says that the agent has validated. The token itself is not kept.
///
/// ```
/// use spiffe_source::jwt::ValidatedJwtSvid;
///
/// fn caller(svid: &ValidatedJwtSvid) -> String {
///     svid.spiffe_id().to_string()
/// }
/// ```
#[derive(Clone)]
pub struct ValidatedJwtSvid {
    spiffe_id: SpiffeId,
    audience: Vec<String>,
    expires_at: SystemTime,
    claims: Map<String, Value>,
}

impl ValidatedJwtSvid {
    /// The workload that the token speaks for.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Every audience of the token, not only the one that was asked for.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The claims that the agent tells. It may keep some to itself.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl fmt::Debug for ValidatedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedJwtSvid")
            .field("spiffe_id", &format_args!("{}", self.spiffe_id))
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
