use std::fmt;

use ::axum::routing::{self, MethodRouter};

use super::guarded::{NoRule, RouteRule};
use super::methods::{ANY, GuardedMethod};
use super::path;
use super::router::{Router, Target};

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

pub(super) fn build(router: Router<()>) -> Result<::axum::Router, InvalidRouter> {
    let mut builder = Builder {
        problems: router.problems,
        claims: matchit::Router::new(),
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
                let methods = builder.methods(Some(&path), methods.methods);
                if builder.claim_all_below(&path) {
                    built = built.nest_service(&path, methods);
                }
            }
            #[cfg(feature = "tonic")]
            Target::Rpcs(rpcs, mount) => {
                let rules = rpcs.into_rules(&path, &mut builder.problems);
                let everything = format!("{path}/{{*rpc}}");
                if builder.claim(&everything, path::check_route) {
                    built = mount(built, &everything, rules);
                }
            }
        }
    }
    for (path, methods) in routes {
        let methods = builder.methods(Some(&path), methods);
        if builder.claim(&path, path::check_route) {
            built = built.route(&path, methods);
        }
    }
    let fallback = match router.fallback {
        Some(fallback) => builder.methods(None, fallback.methods),
        None => routing::any(NoRule::new(None)),
    };
    let built = built.fallback_service(fallback);
    if builder.problems.is_empty() {
        Ok(built)
    } else {
        Err(InvalidRouter {
            problems: builder.problems,
        })
    }
}

struct Builder {
    problems: Vec<String>,
    /// The matcher that axum uses, fed beforehand: axum panics where it refuses.
    claims: matchit::Router<()>,
}

impl Builder {
    /// The handlers of one route behind their rules. A method without a rule is denied.
    fn methods(&mut self, route: Option<&str>, methods: Vec<GuardedMethod<()>>) -> MethodRouter {
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
            match method.draft.into_rule() {
                Ok(rule) => {
                    let handler = (method.mount)(RouteRule::new(route, rule));
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
        rest.unwrap_or_else(|| routing::any(NoRule::new(route)))
            .merge(named)
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
        let outcome = check(path).and_then(|()| {
            self.claims
                .insert(path, ())
                .map_err(|error| error.to_string())
        });
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
