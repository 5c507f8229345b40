use std::fmt;

#[cfg(feature = "tonic")]
use std::convert::Infallible;

#[cfg(feature = "tonic")]
use ::axum::response::IntoResponse;
#[cfg(feature = "tonic")]
use tower_service::Service;

use super::build::{self, InvalidRouter};
use super::methods::{GuardedMethods, HasRules};
use super::path;
#[cfg(feature = "tonic")]
use super::rpcs::{MountRpcs, Rpcs, mount_rpcs};
use super::service::GuardedService;
#[cfg(feature = "tonic")]
use crate::grpc::Authorized;
use crate::guard::AuthzLayer;
use crate::policy::PolicySource;

/// A router whose routes all have rules. See the [module](crate::axum).
///
/// `S` is the state that handlers still miss, as with axum's own router. Nothing that is wrong with
/// a path or a rule shows before [`build`](Self::build), which tells all of it at once.
///
/// ```
/// use spiffe_authz::axum::{Router, get, post};
///
/// let orders = Router::new()
///     .route("/", get(async || "all of them").authenticated("any workload may list orders"))
///     .route("/{id}", post(async || "done").allow("spiffe://example.org/service/payment-processor"));
/// let service = Router::new().nest("/orders", orders).build()?;
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
#[must_use = "a router answers nothing until it is built and served"]
pub struct Router<S = ()> {
    pub(super) entries: Vec<Entry<S>>,
    pub(super) fallback: Option<GuardedMethods<S>>,
    pub(super) problems: Vec<String>,
}

pub(super) struct Entry<S> {
    pub(super) path: String,
    pub(super) target: Target<S>,
}

pub(super) enum Target<S> {
    Route(GuardedMethods<S>),
    Mount(GuardedMethods<S>),
    #[cfg(feature = "tonic")]
    Rpcs(Rpcs, MountRpcs),
}

impl<S> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    /// A router that denies everything.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            fallback: None,
            problems: Vec::new(),
        }
    }

    /// Adds a route. A capture is a whole segment: `{name}`, or `{*name}` for the rest of the path.
    ///
    /// The same path may be added again with other methods.
    pub fn route(self, path: &str, methods: impl HasRules<S>) -> Self {
        self.with(path, Target::Route(methods.into_methods()))
    }

    /// Mounts a service at a path and everywhere below it, under one rule. The service sees the path
    /// without that prefix.
    pub fn service(self, prefix: &str, methods: impl HasRules<S>) -> Self {
        self.with(prefix, Target::Mount(methods.into_methods()))
    }

    /// Mounts a tonic service under its own name, with a rule for each RPC.
    ///
    /// The RPC is compared as the service compares it: byte by byte. An RPC without a rule is denied
    /// before its message is decoded, and so is a path below the service that names no RPC.
    ///
    /// The rules are written as [`Rpcs`], or are the table of an annotated service or of a `.proto` file.
    #[cfg(feature = "tonic")]
    pub fn grpc<T>(self, service: T, rpcs: impl Into<Rpcs>) -> Self
    where
        T: Service<
                http::Request<tonic::body::Body>,
                Response: IntoResponse,
                Error = Infallible,
                Future: Send + 'static,
            >,
        T: tonic::server::NamedService + Clone + Send + Sync + 'static,
    {
        self.with(
            &format!("/{}", T::NAME),
            Target::Rpcs(rpcs.into(), mount_rpcs(service)),
        )
    }

    /// Mounts a tonic service whose `impl` is [annotated](crate::authorize), inside the server that tonic
    /// generates for it: `OrdersServer::new`, or a function that sets limits or compression as well. One
    /// that is shared goes with `OrdersServer::from_arc`.
    ///
    /// A server inside an interceptor is another type, and is mounted with the same rules by
    /// [`grpc`](Self::grpc): `.grpc(OrdersServer::with_interceptor(orders, check), Orders::rules())`, where
    /// `Orders` is the annotated type and [`Authorized`] in scope.
    #[cfg(feature = "tonic")]
    pub fn authorized<T, N>(self, service: T, server: impl FnOnce(T) -> N) -> Self
    where
        T: Authorized<N>,
        N: Service<
                http::Request<tonic::body::Body>,
                Response: IntoResponse,
                Error = Infallible,
                Future: Send + 'static,
            >,
        N: tonic::server::NamedService + Clone + Send + Sync + 'static,
    {
        self.grpc(server(service), T::rules())
    }

    /// Answers what meets no route, under rules of its own. Without it, that is denied.
    ///
    /// A path that meets a route is not its concern, even where the method has no rule there.
    pub fn fallback(mut self, methods: impl HasRules<S>) -> Self {
        if self.fallback.is_some() {
            self.problems.push("there are two fallbacks".to_owned());
        }
        self.fallback = Some(methods.into_methods());
        self
    }

    /// Adds the routes of another router below a path.
    ///
    /// Handlers see the path as it arrived, with the prefix: unlike axum's, this is only another way
    /// to write longer routes. A fallback or a tonic service belongs to the outer router.
    pub fn nest(mut self, prefix: &str, router: Self) -> Self {
        if let Err(why) = path::check_prefix(prefix) {
            self.problems.push(format!("nesting at {prefix:?}: {why}"));
        }
        if router.fallback.is_some() {
            self.problems.push(format!(
                "nesting at {prefix:?}: a nested router has no fallback of its own"
            ));
        }
        self.problems.extend(router.problems);
        for entry in router.entries {
            #[cfg(feature = "tonic")]
            if let Target::Rpcs(..) = entry.target {
                self.problems.push(format!("nesting at {prefix:?}: {} is called by its own name, add it to the outer router", entry.path));
                continue;
            }
            if !entry.path.starts_with('/') {
                self.problems.push(format!(
                    "nesting at {prefix:?}: {:?} does not begin with `/`",
                    entry.path
                ));
            }
            self.entries.push(Entry {
                path: path::join(prefix, &entry.path),
                target: entry.target,
            });
        }
        self
    }

    /// Adds the routes of another router, and its fallback if it has one.
    pub fn merge(mut self, router: Self) -> Self {
        self.entries.extend(router.entries);
        self.problems.extend(router.problems);
        match router.fallback {
            Some(fallback) => self.fallback(fallback),
            None => self,
        }
    }

    /// Gives handlers the state that they miss.
    pub fn with_state<S2>(self, state: S) -> Router<S2>
    where
        S2: 'static,
    {
        let supply = |entry: Entry<S>| Entry {
            path: entry.path,
            target: match entry.target {
                Target::Route(methods) => Target::Route(methods.with_state(&state)),
                Target::Mount(methods) => Target::Mount(methods.with_state(&state)),
                #[cfg(feature = "tonic")]
                Target::Rpcs(rpcs, mount) => Target::Rpcs(rpcs, mount),
            },
        };
        Router {
            entries: self.entries.into_iter().map(supply).collect(),
            fallback: self.fallback.map(|methods| methods.with_state(&state)),
            problems: self.problems,
        }
    }

    fn with(mut self, path: &str, target: Target<S>) -> Self {
        self.entries.push(Entry {
            path: path.to_owned(),
            target,
        });
        self
    }
}

impl Router<()> {
    /// Checks every path and every rule, and makes the service.
    ///
    /// # Errors
    ///
    /// [`InvalidRouter`] with everything that is wrong: IDs that are no ID patterns, rules that name
    /// nobody or give a blank reason, paths that are malformed, conflict, or that no request can meet, and
    /// methods with two handlers.
    pub fn build(self) -> Result<GuardedService, InvalidRouter> {
        build::build(self, None).map(GuardedService::new)
    }

    /// Checks every path and every rule against a policy too, and makes the service.
    ///
    /// The policy decides at the routes that say [`policy()`](super::Unguarded::policy), and where
    /// there is no route. At every other route the rule in code decides alone who may pass, and the
    /// policy's rules that deny keep out as everywhere.
    ///
    /// ```
    /// use spiffe_authz::Policy;
    /// use spiffe_authz::axum::{Router, get};
    ///
    /// let policy = Policy::from_yaml(r#"
    /// version: 1
    /// name: orders
    /// trust_domains: { example.org: {} }
    /// rules:
    ///   - { name: read, allow: ["GET /orders/{id}"], from: ["spiffe://example.org/ns/shop/**"] }
    /// "#)?;
    /// let router = || Router::new().route("/orders/{id}", get(async || "an order").policy());
    /// let app = router().bind(policy.clone())?;
    ///
    /// let more = router().route("/stock", get(async || "all of it").policy());
    /// let error = more.bind(policy).unwrap_err();
    /// assert!(error.to_string().contains("GET /stock"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRouter`] with everything that [`build`](Self::build) finds, with every route that no
    /// rule of the policy allows anybody to use, and with every rule that meets no route. A policy that
    /// follows its file is held to the same later on.
    pub fn bind(self, policy: impl Into<PolicySource>) -> Result<GuardedService, InvalidRouter> {
        match AuthzLayer::new(policy) {
            Ok(layer) => self.bind_with(layer),
            Err(error) => Err(InvalidRouter::new(vec![error.to_string()])),
        }
    }

    /// Like [`bind`](Self::bind), with all that a layer can be told: resources, a decision point, audit.
    ///
    /// # Errors
    ///
    /// As with [`bind`](Self::bind).
    pub fn bind_with(self, layer: AuthzLayer) -> Result<GuardedService, InvalidRouter> {
        let built = build::build(self, Some(layer.guard()))?;
        let inventory = built.inventory.clone();
        layer
            .cover(move |policy| inventory.check(policy))
            .map_err(|uncovered| {
                let problems = uncovered.problems().iter();
                InvalidRouter::new(
                    problems
                        .map(|problem| problem.message().to_owned())
                        .collect(),
                )
            })?;
        Ok(GuardedService::new(built))
    }
}

impl<S> Default for Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for entry in &self.entries {
            match &entry.target {
                Target::Route(methods) | Target::Mount(methods) => map.entry(&entry.path, methods),
                #[cfg(feature = "tonic")]
                Target::Rpcs(rpcs, _) => map.entry(&entry.path, rpcs),
            };
        }
        if let Some(fallback) = &self.fallback {
            map.entry(&"fallback", fallback);
        }
        map.finish()
    }
}
