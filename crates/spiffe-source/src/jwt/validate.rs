use spiffe_peer::{SpiffeId, parse};
use spiffe_verify::{JwtFault, JwtSvid, JwtVerifier, NoAudience, UnverifiedJwtSvid};

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
    ) -> Result<JwtSvid, JwtRefusal> {
        let Some(cache) = self.source.jwt() else {
            let error =
                "this kind of source has no agent that validates JWT-SVIDs; validate them locally";
            return Err(JwtAuthorityError::unsupported(error).into());
        };
        let read = UnverifiedJwtSvid::read(token)?;
        self.is_acceptable(&read, audience)?;
        let vouched = cache.validate(token, audience).await?;
        is_about(&vouched, &read)?;
        // What held when the agent was asked need not hold any more.
        self.is_acceptable(&read, audience)?;
        // The agent may keep claims to itself.
        Ok(read.assume_genuine().with_claims(vouched.claims))
    }

    /// What a genuine token must be beside genuine. The agent may know more trust domains than this
    /// source was told to trust.
    fn is_acceptable(
        &self,
        token: &UnverifiedJwtSvid<'_>,
        audience: &str,
    ) -> Result<(), JwtRefusal> {
        let snapshot = self.source.snapshot();
        let domain = token.spiffe_id().trust_domain();
        if !snapshot.trust_domains().any(|trusted| trusted == domain) {
            return Err(JwtFault::UnknownTrustDomain.into());
        }
        token.check_time(self.source.keeper().now())?;
        if !token.audience().iter().any(|one| one == audience) {
            return Err(JwtFault::NotForThisAudience.into());
        }
        not_denied(&snapshot, token.spiffe_id())
    }
}

fn not_denied(snapshot: &Snapshot, id: &SpiffeId) -> Result<(), JwtRefusal> {
    if snapshot.deny_list().denies_id(id) {
        return Err(Why::OnDenyList(id.clone()).into());
    }
    Ok(())
}

fn is_about(vouched: &VouchedJwtSvid, token: &UnverifiedJwtSvid<'_>) -> Result<(), JwtRefusal> {
    let id = parse::workload_id(&vouched.spiffe_id).map_err(|error| {
        JwtAuthorityError::bad_answer(format!("the agent vouches for no SPIFFE ID: {error}"))
    })?;
    if id != *token.spiffe_id() {
        let error = "the agent vouches for another ID than the one in the token";
        return Err(JwtAuthorityError::bad_answer(error).into());
    }
    Ok(())
}
