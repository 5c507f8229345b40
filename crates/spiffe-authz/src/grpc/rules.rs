use std::fmt;
use std::sync::Arc;

use tonic::server::NamedService;
use tower_service::Service;

/// A service whose `impl` says who may call each of its RPCs: what [`authorize`](crate::authorize) writes.
///
/// `S` is the server type that tonic generates for the service, which knows its full name. A struct that
/// implements two services is authorized for each.
///
/// ```
/// use spiffe_authz::grpc::{Authorized, ServiceRules};
///
/// fn rules_of<T: Authorized<S>, S: tonic::server::NamedService>() -> ServiceRules {
///     T::rules()
/// }
/// ```
pub trait Authorized<S: NamedService> {
    /// A rule for each RPC that the `impl` has.
    const RPCS: &'static [RpcRule];

    /// The same, with the full name of the service.
    #[must_use]
    fn rules() -> ServiceRules {
        ServiceRules::new(S::NAME, Self::RPCS)
    }
}

impl<T: Authorized<S>, S: NamedService> Authorized<S> for Arc<T> {
    const RPCS: &'static [RpcRule] = T::RPCS;
}

/// What [`authorize`](crate::authorize) asks of the server type that it is told.
#[doc(hidden)]
pub const fn authorize_names_the_server_of_this_service<S>()
where
    S: NamedService + Service<http::Request<tonic::body::Body>>,
{
}

/// The rules of one tonic service as data: from annotations, from a `.proto` file or by hand.
///
/// [`Rpcs`](crate::axum::Rpcs) is made from it, and with it
/// [`Router::grpc`](crate::axum::Router::grpc) guards the service. Nothing in it is judged before.
///
/// ```
/// use spiffe_authz::axum::Rpcs;
/// use spiffe_authz::grpc::{Permit, RpcRule, ServiceRules};
///
/// const ORDERS: ServiceRules = ServiceRules::new("shop.v1.Orders", &[
///     RpcRule::new("Create", Permit::Callers {
///         ids: &["spiffe://example.org/service/payment-processor"],
///         principals: &[],
///     }),
///     RpcRule::new("List", Permit::Authenticated { because: "any workload may list orders" }),
/// ]);
/// let paths: Vec<_> = ORDERS.paths().collect();
/// assert_eq!(paths, ["/shop.v1.Orders/Create", "/shop.v1.Orders/List"]);
/// let rpcs = Rpcs::from(ORDERS);
/// # let _ = rpcs;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceRules {
    service: &'static str,
    rpcs: &'static [RpcRule],
}

impl ServiceRules {
    /// Rules for the service of this full name, `package.Service`.
    #[must_use]
    pub const fn new(service: &'static str, rpcs: &'static [RpcRule]) -> Self {
        Self { service, rpcs }
    }

    /// The full name of the service.
    #[must_use]
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// The rule of each RPC.
    #[must_use]
    pub const fn rpcs(&self) -> &'static [RpcRule] {
        self.rpcs
    }

    /// The path of each RPC, as it stands in a request: `/package.Service/Method`.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let service = self.service;
        let paths = self.rpcs.iter();
        paths.map(move |rule| format!("/{service}/{}", rule.rpc))
    }
}

/// The rule of one RPC.
///
/// ```
/// use spiffe_authz::grpc::{Permit, RpcRule};
///
/// const SHOW: RpcRule = RpcRule::new("Show", Permit::Policy);
/// assert_eq!(SHOW.rpc(), "Show");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcRule {
    rpc: &'static str,
    permit: Permit,
}

impl RpcRule {
    /// A rule for the RPC of this name, as in the `.proto` file.
    #[must_use]
    pub const fn new(rpc: &'static str, permit: Permit) -> Self {
        Self { rpc, permit }
    }

    /// The name of the RPC.
    #[must_use]
    pub const fn rpc(&self) -> &'static str {
        self.rpc
    }

    /// Who may call it.
    #[must_use]
    pub const fn permit(&self) -> Permit {
        self.permit
    }
}

/// Who may call an RPC.
///
/// ```
/// use spiffe_authz::grpc::Permit;
///
/// let probes = Permit::Anyone { because: "probes carry no identity" };
/// assert_ne!(probes, Permit::Policy);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// The workloads that one of the ID patterns describes, and the callers that the policy knows by
    /// one of the names. At least one in all.
    Callers {
        /// ID patterns.
        ids: &'static [&'static str],
        /// Names of principals of the policy.
        principals: &'static [&'static str],
    },
    /// Every workload with a verified identity.
    Authenticated {
        /// Why no particular one is asked for.
        because: &'static str,
    },
    /// Everybody, with an identity or without.
    Anyone {
        /// Why nobody is asked.
        because: &'static str,
    },
    /// Whom the policy lets in.
    Policy,
}

impl fmt::Display for ServiceRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rules for {} RPCs of {}", self.rpcs.len(), self.service)
    }
}
