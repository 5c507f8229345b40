use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::{Answer, ResponseFuture};
use crate::decision::{Place, decide};
use crate::rule::Rule;

/// A service that only the peers of one rule reach. See the [module](crate::require_id).
///
/// Errors of the inner service pass through untouched; a refusal is an answer.
///
/// ```
/// use http::{Request, Response};
/// use spiffe_authz::{RequireId, Rule};
/// use tower::{ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let inner = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(())));
/// let guarded = RequireId::new(inner, Rule::authenticated("any workload may ask")?);
/// assert_eq!(guarded.oneshot(Request::new(())).await?.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequireId<S> {
    inner: S,
    rule: Rule,
}

impl<S> RequireId<S> {
    /// Puts the rule around a service.
    pub fn new(inner: S, rule: Rule) -> Self {
        Self { inner, rule }
    }

    /// The inner service. What is called through it is not guarded.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service. What is called through it is not guarded.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, without its guard.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for RequireId<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let decision = decide(&request, &self.rule, Place::default());
        ResponseFuture::new(Answer::new(decision, || self.inner.call(request)))
    }
}
