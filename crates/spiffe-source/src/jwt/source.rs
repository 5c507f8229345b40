use std::sync::Arc;

use spiffe_peer::SpiffeId;
use spiffe_verify::{JwtSvid, NoAudience};

use super::audience::{Audience, InvalidAudience};
use super::error::{JwtSvidError, Why};
use super::{Cache, JwtRefusal, JwtValidator, OwnJwtSvid};
use crate::source::Source;

impl Source {
    /// A JWT-SVID of this process for these audiences: that of the identity in use, which is the
    /// one that the source's picker has chosen.
    ///
    /// It comes out of a cache, so ask with each request. A token is refreshed in the background
    /// after about half of its life, as long as it is asked for; one that is handed out is valid for
    /// at least ten seconds more, or was fetched that moment. Callers who have to wait for the same
    /// token share one request to the agent. When the identity is withdrawn, its tokens are gone at
    /// once.
    ///
    /// An audience is usually the SPIFFE ID of the service that is called. An empty list of a type
    /// of its own (`[]`) does not compile, and any other is refused. At most 32 audiences of
    /// together 8 KiB are asked for.
    ///
    /// Each token is checked before it is handed out: its form, that it is of the identity and for
    /// all of the audiences, and, where the source has the own JWT bundle already, its signature.
    ///
    /// # Errors
    ///
    /// [`JwtSvidError`] tells a wrong audience, a missing identity, an agent that is away and a bad
    /// answer apart. After a failure callers are told of it for up to two seconds without a further
    /// request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends no request that others wait for, and loses no token.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use spiffe_source::Source;
    ///
    /// let source = Source::workload_api().connect().await?;
    /// let svid = source.jwt_svid(["spiffe://example.org/service/stock"]).await?;
    /// let header = format!("Bearer {}", svid.expose_token());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// ```compile_fail,E0283
    /// # fn example(source: spiffe_source::Source) {
    /// let for_nobody = source.jwt_svid([]);
    /// # }
    /// ```
    pub fn jwt_svid<I: IntoIterator<Item: Into<String>>>(
        &self,
        audience: I,
    ) -> impl Future<Output = Result<Arc<OwnJwtSvid>, JwtSvidError>> + Send + use<I> {
        get(self.jwt().cloned(), None, Audience::new(audience))
    }

    /// A JWT-SVID of one of the identities of this process, the ID of one of the snapshot's SVIDs,
    /// for these audiences. All else is as with [`jwt_svid`](Self::jwt_svid).
    ///
    /// # Errors
    ///
    /// Those of [`jwt_svid`](Self::jwt_svid).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends no request that others wait for, and loses no token.
    pub fn jwt_svid_of<I: IntoIterator<Item: Into<String>>>(
        &self,
        id: &SpiffeId,
        audience: I,
    ) -> impl Future<Output = Result<Arc<OwnJwtSvid>, JwtSvidError>> + Send + use<I> {
        let id = Some(id.clone());
        get(self.jwt().cloned(), id, Audience::new(audience))
    }

    /// What decides about the tokens that this service receives. A token passes that names one of
    /// these audiences, usually the service's own SPIFFE ID.
    ///
    /// # Errors
    ///
    /// [`NoAudience`] where there is none, or a blank one.
    pub fn jwt_validator<A: Into<String>>(
        &self,
        audience: impl IntoIterator<Item = A>,
    ) -> Result<JwtValidator, NoAudience> {
        JwtValidator::new(self.clone(), audience)
    }

    /// Decides about one token that this service has received, without I/O. A service keeps a
    /// [`jwt_validator`](Self::jwt_validator) instead.
    ///
    /// ```no_run
    /// # fn example(source: spiffe_source::Source, token: &str) -> Result<(), spiffe_source::jwt::JwtRefusal> {
    /// let svid = source.validate_jwt_svid(token, "spiffe://example.org/service/orders")?;
    /// println!("{} calls", svid.spiffe_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`JwtRefusal`] says why the token was refused.
    pub fn validate_jwt_svid(
        &self,
        token: &str,
        audience: impl Into<String>,
    ) -> Result<JwtSvid, JwtRefusal> {
        self.jwt_validator([audience])?.validate(token)
    }

    /// Has the agent decide about one token that this service has received, with a request to it.
    ///
    /// The agent verifies the signature. Whatever can be decided without a key is decided here
    /// first, as strictly as [`validate_jwt_svid`](Self::validate_jwt_svid) does: the token's form,
    /// its audience and end, that the source was told to trust its domain, and the deny-list. The
    /// request has no cache and ends after ten seconds.
    ///
    /// # Errors
    ///
    /// [`JwtRefusal`]; where [`is_undecided`](JwtRefusal::is_undecided), the agent has not answered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn validate_jwt_svid_by_agent(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<JwtSvid, JwtRefusal> {
        let validator = self.jwt_validator([audience])?;
        validator.validate_by_agent(token, audience).await
    }
}

async fn get(
    cache: Option<Arc<Cache>>,
    id: Option<SpiffeId>,
    audience: Result<Audience, InvalidAudience>,
) -> Result<Arc<OwnJwtSvid>, JwtSvidError> {
    let audience = audience.map_err(Why::Audience)?;
    let cache = cache.ok_or(Why::NoAuthority)?;
    cache.get(id.as_ref(), audience).await
}
