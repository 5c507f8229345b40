use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use spiffe_peer::SpiffeId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{IssuedJwtSvid, JwtAnswer, JwtAuthority, JwtAuthorityError, VouchedJwtSvid};

/// How long a caller waits for an answer, its turn included.
const ANSWER: Duration = Duration::from_secs(10);

/// How many tokens are fetched at a time. Each has a connection of its own, and the agent has other
/// clients.
const FETCHES: usize = 16;

/// How many tokens are validated at a time.
const VALIDATIONS: usize = 64;

/// An authority that answers in time whatever it does, and is not asked for everything at once.
pub(super) struct BoundedAuthority {
    authority: Arc<dyn JwtAuthority>,
    fetches: Semaphore,
    validations: Semaphore,
}

impl BoundedAuthority {
    pub(super) fn new(authority: Arc<dyn JwtAuthority>) -> Self {
        Self {
            authority,
            fetches: Semaphore::new(FETCHES),
            validations: Semaphore::new(VALIDATIONS),
        }
    }

    pub(super) async fn fetch(
        &self,
        id: &SpiffeId,
        audience: &[String],
    ) -> Result<IssuedJwtSvid, JwtAuthorityError> {
        answered(&self.fetches, || self.authority.fetch(id, audience)).await
    }

    pub(super) async fn validate(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<VouchedJwtSvid, JwtAuthorityError> {
        answered(&self.validations, || {
            self.authority.validate(token, audience)
        })
        .await
    }
}

async fn answered<'a, T>(
    turns: &Semaphore,
    ask: impl FnOnce() -> JwtAnswer<'a, T>,
) -> Result<T, JwtAuthorityError> {
    let answer = async {
        // The semaphore is never closed.
        let _turn = turns.acquire().await;
        // The call itself is within what may panic.
        AssertUnwindSafe(async { ask().await }).catch_unwind().await
    };
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(JwtAuthorityError::bad_answer(
            "whoever issues the JWT-SVIDs has panicked",
        )),
        Err(_) => Err(JwtAuthorityError::unavailable(format!(
            "there was no answer within {ANSWER:?}"
        ))),
    }
}
