use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::axum::extract::Request;
use ::axum::response::{IntoResponse, Response};
use http::Method;
use tower_service::Service;

use super::draft::{Decider, Draft};
use super::guarded::{RouteRule, ServiceFuture, take_ready};
use crate::grpc::{Permit, ServiceRules};
use crate::patterns::IdPatterns;

/// Rules for the RPCs of one tonic service: what [`Router::grpc`](super::Router::grpc) takes.
///
/// An RPC is named exactly as in the `.proto` file. One that is not named here is denied.
///
/// ```
/// use spiffe_authz::axum::Rpcs;
///
/// let rpcs = Rpcs::new()
///     .allow("Create", "spiffe://example.org/service/payment-processor")
///     .allow("Create", "spiffe://example.org/ns/batch/**")
///     .authenticated("List", "any workload may list orders");
/// ```
#[derive(Debug, Default)]
#[must_use = "rules for RPCs hold once they are given to `Router::grpc`"]
pub struct Rpcs {
    drafts: Vec<(String, Draft)>,
    /// The service that a table speaks of.
    service: Option<&'static str>,
    /// What a table has more than one rule for.
    twice: Vec<&'static str>,
}

impl Rpcs {
    /// No rules: every RPC is denied.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the peers that one of these ID patterns describes call an RPC. May be said again to add IDs.
    pub fn allow(self, rpc: &str, ids: impl Into<IdPatterns>) -> Self {
        self.with(rpc, Draft::ids(ids.into()))
    }

    /// Lets every peer with a verified identity call an RPC, for a reason that is not blank.
    pub fn authenticated(self, rpc: &str, because: impl Into<String>) -> Self {
        self.with(rpc, Draft::authenticated(because.into()))
    }

    /// Lets everybody call an RPC, with an identity or without, for a reason that is not blank. An
    /// identity that has ended is still refused.
    pub fn anyone(self, rpc: &str, because: impl Into<String>) -> Self {
        self.with(rpc, Draft::anyone(because.into()))
    }

    /// Lets the callers that the policy knows by this name call an RPC. May be said again, and beside IDs;
    /// the router has to be [bound](super::Router::bind) to a policy.
    pub fn principal(self, rpc: &str, name: impl Into<String>) -> Self {
        self.with(rpc, Draft::principal(name.into()))
    }

    /// Leaves the decision on an RPC to the policy that the router is [bound](super::Router::bind) to.
    pub fn policy(self, rpc: &str) -> Self {
        self.with(rpc, Draft::policy())
    }

    fn with(mut self, rpc: &str, draft: Draft) -> Self {
        let draft = match self.drafts.iter().position(|(known, _)| known == rpc) {
            Some(at) => self.drafts.swap_remove(at).1.and(draft),
            None => draft,
        };
        self.drafts.push((rpc.to_owned(), draft));
        self
    }

    /// What decides on each RPC, by its whole path: `/package.Service/Method`.
    pub(super) fn into_deciders(
        self,
        service: &str,
        has_policy: bool,
        problems: &mut Vec<String>,
    ) -> Vec<(String, Decider)> {
        if let Some(spoken_of) = self.service
            && service.strip_prefix('/') != Some(spoken_of)
        {
            problems.push(format!(
                "{service}: these are rules for the service {spoken_of}, which is another"
            ));
        }
        for rpc in self.twice {
            problems.push(format!(
                "RPC {service}/{rpc}: there are two rules for it: put all callers into one"
            ));
        }
        let mut deciders = Vec::new();
        for (rpc, draft) in self.drafts {
            let path = format!("{service}/{rpc}");
            if !is_identifier(&rpc) {
                problems.push(format!(
                    "{path:?} names no RPC: write the name alone, as in the `.proto` file"
                ));
            }
            match draft.into_decider(has_policy) {
                Ok(decider) => deciders.push((path, decider)),
                Err(error) => problems.push(format!("RPC {path}: {error}")),
            }
        }
        deciders.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        deciders
    }
}

impl From<ServiceRules> for Rpcs {
    fn from(rules: ServiceRules) -> Self {
        let mut rpcs = Self {
            drafts: Vec::new(),
            service: Some(rules.service()),
            twice: Vec::new(),
        };
        for rule in rules.rpcs() {
            let rpc = rule.rpc();
            // Callers would add up, though neither rule speaks of those of the other.
            if rpcs.drafts.iter().any(|(known, _)| known == rpc) {
                rpcs.twice.push(rpc);
                continue;
            }
            rpcs = match rule.permit() {
                Permit::Callers { ids, principals } => {
                    let named = principals.iter();
                    let ids = match ids {
                        // An empty list names nobody, which is an error where no principal is named.
                        [] if !principals.is_empty() => rpcs,
                        ids => rpcs.allow(rpc, ids.iter().copied().collect::<IdPatterns>()),
                    };
                    named.fold(ids, |rpcs, name| rpcs.principal(rpc, *name))
                }
                Permit::Authenticated { because } => rpcs.authenticated(rpc, because),
                Permit::Anyone { because } => rpcs.anyone(rpc, because),
                Permit::Policy => rpcs.policy(rpc),
            };
        }
        rpcs
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// The rules of one service, sorted by the whole path of the RPC: `/package.Service/Method`.
pub(super) struct RpcRules {
    pub(super) by_path: Vec<(Box<str>, Arc<RouteRule>)>,
    /// What stands in for a rule where there is none.
    pub(super) none: Arc<RouteRule>,
}

impl RpcRules {
    fn of<B>(&self, request: &http::Request<B>) -> &Arc<RouteRule> {
        // The generated service compares the raw path too, so both read the same RPC.
        let path = request.uri().path();
        let found = self
            .by_path
            .binary_search_by(|(known, _)| (**known).cmp(path))
            .ok()
            .and_then(|at| self.by_path.get(at));
        match found {
            Some((_, rule)) if request.method() == Method::POST => rule,
            _ => &self.none,
        }
    }
}

/// Adds a service to axum's router, once its rules are known.
pub(super) type MountRpcs =
    Box<dyn FnOnce(::axum::Router, &str, Arc<RpcRules>) -> ::axum::Router + Send + Sync>;

pub(super) fn mount_rpcs<T>(service: T) -> MountRpcs
where
    T: Service<
            http::Request<tonic::body::Body>,
            Response: IntoResponse,
            Error = Infallible,
            Future: Send + 'static,
        >,
    T: Clone + Send + Sync + 'static,
{
    Box::new(move |router, path, rules| {
        router.route_service(
            path,
            GuardedRpcs {
                rules,
                inner: service,
            },
        )
    })
}

#[derive(Clone)]
struct GuardedRpcs<T> {
    rules: Arc<RpcRules>,
    inner: T,
}

impl<T> Service<Request> for GuardedRpcs<T>
where
    T: Service<http::Request<tonic::body::Body>, Response: IntoResponse, Error = Infallible>
        + Clone
        + Send
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ServiceFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ready = take_ready(&mut self.inner);
        let rule = self.rules.of(&request);
        ServiceFuture::new(rule.answer(request, ready, |mut inner, request| {
            inner.call(request.map(tonic::body::Body::new))
        }))
    }
}
