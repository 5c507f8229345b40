use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::ResponseFuture;
use super::layer::{Constant, Respond};
use super::shared::{Entry, Guard, Scope};
use crate::policy::query::Head;

/// A service that a policy guards, made by [`AuthzLayer`](super::AuthzLayer).
///
/// Errors of the inner service pass through untouched; a refusal is an answer.
///
/// ```
/// use spiffe_authz::guard::{Authz, AuthzLayer};
/// use spiffe_authz::policy::Policy;
/// use tower::Layer;
///
/// let policy = Policy::from_yaml("{ version: 1, name: closed, trust_domains: {}, rules: [] }")?;
/// let service: Authz<()> = AuthzLayer::new(policy)?.layer(());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Authz<S, R = Constant> {
    inner: S,
    guard: Arc<Guard>,
    respond: R,
}

impl<S, R> Authz<S, R> {
    pub(super) fn new(inner: S, guard: Arc<Guard>, respond: R) -> Self {
        Self {
            inner,
            guard,
            respond,
        }
    }

    /// The inner service. What is called through it is not guarded.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, R, B, ResBody> Service<Request<B>> for Authz<S, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    R: Respond<ResBody>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.guard.enter(Head::of(&request), Scope::Everything) {
            Entry::Allowed => ResponseFuture::allowed(self.inner.call(request)),
            Entry::Refused(refusal) => ResponseFuture::refused(self.respond.respond(*refusal)),
            Entry::Waits => {
                // The service that is ready goes with the request; its clone has to become ready yet.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::waits(self.guard.clone(), request, ready, self.respond.clone())
            }
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Authz<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authz")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
