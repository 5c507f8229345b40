use std::fmt;
use std::sync::Arc;

use ::axum::routing::{self, MethodRouter};

use super::draft::Decider;
use super::guarded::{Nothing, RouteRule};
use super::methods::{ANY, GuardedMethod};
use super::path;
use super::router::{Router, Target};
#[cfg(feature = "tonic")]
use super::rpcs::RpcRules;
use super::spelling::Spelling;
use crate::guard::Guard;
use crate::inventory::Inventory;

/// Everything that is wrong with a [`Router`].
///
/// ```
/// use spiffe_authz::axum::{Router, get};
///
/// let error = Router::new()
///     .route("/orders", get(async || "").allow("example.org/service/orders"))
///     .route("/orders/", get(async || "").authenticated(" "))
///     .build()
///     .unwrap_err();
/// assert_eq!(error.problems().count(), 3);
/// assert!(error.to_string().contains("GET /orders: `example.org/service/orders` is no ID pattern"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRouter {
    problems: Vec<String>,
}

impl InvalidRouter {
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// What is wrong, each with its place.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for InvalidRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the router cannot be built")?;
        self.problems()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for InvalidRouter {}

/// What a router becomes: axum's, and what it holds.
pub(super) struct Built {
    pub(super) routes: ::axum::Router,
    pub(super) inventory: Inventory,
    pub(super) guard: Option<Arc<Guard>>,
    pub(super) spelling: Spelling,
}

pub(super) fn build(router: Router<()>, guard: Option<Arc<Guard>>) -> Result<Built, InvalidRouter> {
    let mut builder = Builder {
        problems: router.problems,
        claims: Spelling::default(),
        guard,
        inventory: Inventory::default(),
        #[cfg(feature = "tonic")]
        rpcs: Vec::new(),
    };
    let mut routes: Vec<(String, Vec<GuardedMethod<()>>)> = Vec::new();
    let mut built = ::axum::Router::new();
    for entry in router.entries {
        let path = entry.path;
        match entry.target {
            Target::Route(methods) => match routes.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.extend(methods.methods),
                None => routes.push((path, methods.methods)),
            },
            Target::Mount(methods) => {
                let below = format!("{path}/{{*rest}}");
                let methods = builder.methods(Some(&path), &[&path, &below], methods.methods);
                if builder.claim_all_below(&path) {
                    built = built.nest_service(&path, methods);
                }
            }
            #[cfg(feature = "tonic")]
            Target::Rpcs(rpcs, mount) => {
                let mut problems = Vec::new();
                let deciders = rpcs.into_deciders(&path, builder.guard.is_some(), &mut problems);
                builder.problems.append(&mut problems);
                let everything = format!("{path}/{{*rpc}}");
                if builder.claim(&everything, path::check_route) {
                    let paths = deciders.iter().map(|(path, _)| path.clone());
                    builder.rpcs.push((everything.clone(), paths.collect()));
                    built = mount(built, &everything, builder.rpcs(deciders));
                }
            }
        }
    }
    for (path, methods) in routes {
        let methods = builder.methods(Some(&path), &[&path], methods);
        if builder.claim(&path, path::check_route) {
            built = built.route(&path, methods);
        }
    }
    #[cfg(feature = "tonic")]
    builder.check_rpcs();
    let fallback = match router.fallback {
        Some(fallback) => builder.methods(None, &["/{*rest}", "/"], fallback.methods),
        None => routing::any(Nothing::new(None, builder.guard.clone())),
    };
    let built = built.fallback_service(fallback);
    if builder.problems.is_empty() {
        Ok(Built {
            routes: built,
            inventory: builder.inventory,
            guard: builder.guard,
            spelling: builder.claims,
        })
    } else {
        Err(InvalidRouter {
            problems: builder.problems,
        })
    }
}

struct Builder {
    problems: Vec<String>,
    /// The matcher that axum uses, fed beforehand: axum panics where it refuses.
    claims: Spelling,
    guard: Option<Arc<Guard>>,
    inventory: Inventory,
    /// The route of each tonic service, with the paths of its RPCs.
    #[cfg(feature = "tonic")]
    rpcs: Vec<(String, Vec<String>)>,
}

impl Builder {
    /// The handlers of one route behind their rules, for requests to these paths. A method without a
    /// rule is denied.
    fn methods(
        &mut self,
        route: Option<&str>,
        paths: &[&str],
        methods: Vec<GuardedMethod<()>>,
    ) -> MethodRouter {
        let mut seen = Vec::new();
        let mut rest = None;
        let mut named = MethodRouter::new();
        for method in methods {
            let place = format!("{} {}", method.name, route.unwrap_or("fallback"));
            if seen.contains(&method.name) {
                self.problems
                    .push(format!("{place}: there are two handlers"));
                continue;
            }
            seen.push(method.name);
            match method.draft.into_decider(self.guard.is_some()) {
                Ok(decider) => {
                    let name = if method.name == ANY { "*" } else { method.name };
                    for path in paths {
                        self.enter(&place, name, path, &decider);
                    }
                    let rule = RouteRule::new(route, None, Some(decider), self.guard.clone());
                    let handler = (method.mount)(rule);
                    if method.name == ANY {
                        rest = Some(handler);
                    } else {
                        named = named.merge(handler);
                    }
                }
                Err(error) => self.problems.push(format!("{place}: {error}")),
            }
        }
        // Beginning with a handler for any method keeps axum from telling in `Allow` which methods there are.
        rest.unwrap_or_else(|| routing::any(Nothing::new(route, self.guard.clone())))
            .merge(named)
    }

    #[cfg(feature = "tonic")]
    fn rpcs(&mut self, deciders: Vec<(String, Decider)>) -> Arc<RpcRules> {
        let mut by_path = Vec::new();
        for (path, decider) in deciders {
            self.enter(&format!("RPC {path}"), "POST", &path, &decider);
            let rpc = path.strip_prefix('/');
            let rule = RouteRule::new(None, rpc, Some(decider), self.guard.clone());
            by_path.push((path.into_boxed_str(), rule));
        }
        Arc::new(RpcRules {
            by_path,
            none: RouteRule::new(None, None, None, self.guard.clone()),
        })
    }

    /// No other route may take the path of an RPC: the inventory would tell of a rule that nobody asks.
    #[cfg(feature = "tonic")]
    fn check_rpcs(&mut self) {
        for (service, paths) in &self.rpcs {
            for path in paths {
                if let Some(route) = self.claims.taken_by(path)
                    && route != service
                {
                    self.problems.push(format!(
                        "RPC {path}: the route {route} takes its path, and this rule is never asked: write that route otherwise"
                    ));
                }
            }
        }
    }

    fn enter(&mut self, place: &str, method: &str, path: &str, decider: &Decider) {
        let rule = match decider {
            Decider::Rule(rule) => Some(rule.written()),
            Decider::Policy => None,
        };
        let by_policy = rule.is_none();
        if by_policy && self.guard.is_none() {
            self.problems.push(format!(
                "{place}: a policy is to decide, and there is none: give it to `bind`, in place of `build`"
            ));
        }
        self.inventory.add(method, path, rule);
    }

    fn claim_all_below(&mut self, prefix: &str) -> bool {
        // What axum's `nest_service` claims.
        let rest = format!("{prefix}/{{*rest}}");
        let slash = format!("{prefix}/");
        self.claim(prefix, path::check_prefix)
            && self.claim(&rest, |_| Ok(()))
            && self.claim(&slash, |_| Ok(()))
    }

    fn claim(&mut self, path: &str, check: impl FnOnce(&str) -> Result<(), String>) -> bool {
        let outcome = check(path).and_then(|()| self.claims.add(path));
        match outcome {
            Ok(()) => true,
            Err(why) => {
                self.problems
                    .push(format!("{path:?} is no path for a route: {why}"));
                false
            }
        }
    }
}
