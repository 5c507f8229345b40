use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tower_layer::Layer;

use super::decision_point::DecisionPoint;
use super::error::{InvalidGuard, Why};
use super::provider::ResourceProvider;
use super::service::Authz;
use super::shared::{Guard, Settings};
use super::streams::StreamsLayer;
use crate::audit::AuditSink;
use crate::policy::{InvalidPolicy, Policy, PolicySource};
use crate::refusal::Refusal;

/// How the answer to a refused request is made.
pub trait Respond<B>: Clone {
    /// The answer. It should tell the peer nothing but the status.
    fn respond(&self, refusal: Refusal) -> Response<B>;
}

/// The usual answer: a status, or a `grpc-status`, and an empty body.
///
/// ```
/// use spiffe_authz::guard::{AuthzLayer, Constant};
///
/// fn usual(layer: AuthzLayer<Constant>) -> AuthzLayer { layer }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Constant;

impl<B: Default> Respond<B> for Constant {
    fn respond(&self, refusal: Refusal) -> Response<B> {
        refusal.response()
    }
}

/// An answer that a function makes.
///
/// ```
/// use spiffe_authz::guard::{AuthzLayer, With};
///
/// type Custom<F> = AuthzLayer<With<F>>;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct With<F>(F);

impl<F, B> Respond<B> for With<F>
where
    F: Fn(&Refusal) -> Response<B> + Clone,
{
    fn respond(&self, refusal: Refusal) -> Response<B> {
        let mut response = (self.0)(&refusal);
        response.extensions_mut().insert(refusal);
        response
    }
}

/// Decides every request by a policy. See the [module](crate::guard).
///
/// ```
/// use http::{Request, Response};
/// use spiffe_authz::guard::AuthzLayer;
/// use spiffe_authz::mock::MockPeer;
/// use spiffe_authz::policy::Policy;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// rules:
///   - { name: read, allow: ["GET /orders/{id}"], from: ["spiffe://example.org/ns/shop/**"] }
/// "#)?;
/// let orders = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::from("an order"))));
/// let guarded = AuthzLayer::new(policy)?.named("orders").layer(orders);
///
/// let shop = MockPeer::id("spiffe://example.org/ns/shop/sa/web")?.layer(guarded.clone());
/// assert_eq!(shop.clone().oneshot(Request::get("/orders/7").body(())?).await?.status(), 200);
/// assert_eq!(shop.oneshot(Request::delete("/orders/7").body(())?).await?.status(), 403);
/// assert_eq!(guarded.oneshot(Request::get("/orders/7").body(())?).await?.status(), 401);
/// # Ok(())
/// # }
/// ```
#[must_use = "a layer guards nothing until it is put around a service"]
pub struct AuthzLayer<R = Constant> {
    settings: Settings,
    respond: R,
}

impl AuthzLayer {
    /// Enforces a policy, or a [`LivePolicy`](crate::policy::LivePolicy).
    ///
    /// # Errors
    ///
    /// [`InvalidGuard`] where the policy is in shadow: everything would pass.
    pub fn new(policy: impl Into<PolicySource>) -> Result<Self, InvalidGuard> {
        let policy = policy.into();
        if policy.now().is_shadow() {
            let policy = policy.now().name().to_owned();
            return Err(InvalidGuard(Why::OnlyShadow { policy }));
        }
        Ok(Self::with(policy))
    }

    /// Evaluates and records a policy in shadow, and lets everything pass that is canonical.
    ///
    /// # Errors
    ///
    /// [`InvalidGuard`] where the reason is blank, or the policy is not in shadow.
    pub fn shadow_only(
        policy: impl Into<PolicySource>,
        because: &str,
    ) -> Result<Self, InvalidGuard> {
        if because.trim().is_empty() {
            return Err(InvalidGuard(Why::NoReason));
        }
        Ok(Self::with(in_shadow(policy.into())?))
    }

    fn with(policy: PolicySource) -> Self {
        Self {
            settings: Settings::new(policy),
            respond: Constant,
        }
    }
}

fn in_shadow(policy: PolicySource) -> Result<PolicySource, InvalidGuard> {
    if policy.now().is_shadow() {
        return Ok(policy);
    }
    let policy = policy.now().name().to_owned();
    Err(InvalidGuard(Why::NotShadow { policy }))
}

impl<R> AuthzLayer<R> {
    /// Evaluates and records another policy, in shadow, beside the one that is enforced.
    ///
    /// # Errors
    ///
    /// [`InvalidGuard`] where that policy is not in shadow.
    pub fn beside(mut self, policy: impl Into<PolicySource>) -> Result<Self, InvalidGuard> {
        self.settings.beside.push(in_shadow(policy.into())?);
        Ok(self)
    }

    /// The service's own name, for audit records.
    pub fn named(mut self, service: &str) -> Self {
        self.settings.service = Some(service.into());
        self
    }

    /// Where rules get their `resource` from.
    pub fn resources(mut self, provider: impl ResourceProvider) -> Self {
        self.settings.provider = Some(Arc::new(provider));
        self
    }

    /// Who has to agree to what the policy allows.
    pub fn decision_point(mut self, decision_point: impl DecisionPoint) -> Self {
        self.settings.decision_point = Some(Arc::new(decision_point));
        self
    }

    /// How long a request waits for its resource, and again for the decision point; one second unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Where audit records go beside `tracing`.
    pub fn audit_to(mut self, sink: impl AuditSink) -> Self {
        self.settings.sink = Some(Arc::new(sink));
        self
    }

    /// Takes `/orders/` for `/orders`, where everything behind this layer does the same.
    pub fn accept_trailing_slash(mut self) -> Self {
        self.settings.trailing_slash = true;
        self
    }

    /// Answers a refused request in another form. The peer should learn nothing but the status.
    pub fn refuse_with<F>(self, respond: F) -> AuthzLayer<With<F>> {
        AuthzLayer {
            settings: self.settings,
            respond: With(respond),
        }
    }

    /// Cuts answers on their way that a later policy no longer allows: to be put outside this layer.
    pub fn streams(&self) -> StreamsLayer {
        self.settings.watch.begin();
        StreamsLayer::new(self.guard())
    }

    /// Holds the policy, and every one that follows it, to a check.
    #[cfg_attr(
        not(feature = "axum"),
        allow(dead_code, reason = "only the guarded router knows its routes")
    )]
    pub(crate) fn cover(
        &self,
        check: impl Fn(&Policy) -> Result<(), InvalidPolicy> + Send + Sync + 'static,
    ) -> Result<(), InvalidPolicy> {
        self.settings.policy.check(check)
    }

    pub(crate) fn guard(&self) -> Arc<Guard> {
        Arc::new(Guard::new(self.settings.clone()))
    }
}

impl<S, R: Clone> Layer<S> for AuthzLayer<R> {
    type Service = Authz<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Authz::new(inner, self.guard(), self.respond.clone())
    }
}

impl<R: Clone> Clone for AuthzLayer<R> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            respond: self.respond.clone(),
        }
    }
}

impl<R> fmt::Debug for AuthzLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthzLayer")
            .field("policy", &self.settings.policy)
            .field("beside", &self.settings.beside)
            .field("deadline", &self.settings.deadline)
            .finish_non_exhaustive()
    }
}
