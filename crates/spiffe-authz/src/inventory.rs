//! Which routes an application has, and whether a policy speaks of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::model::{Action, Effect, Methods};
use crate::policy::path::{PathPattern, Segment};
use crate::policy::{InvalidPolicy, Policy, Problem};

/// The routes of an application: `spiffectl policy check --routes` takes them as JSON.
///
/// ```
/// use spiffe_authz::axum::{Router, get};
///
/// let app = Router::new()
///     .route("/orders/{id}", get(async || "an order").authenticated("any workload may read orders"))
///     .build()?;
/// let routes: Vec<_> = app.inventory().routes().map(|route| route.to_string()).collect();
/// assert_eq!(routes, ["GET /orders/{id}"]);
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inventory {
    routes: Vec<Route>,
}

/// One method of one route.
///
/// ```
/// let inventory: spiffe_authz::Inventory =
///     serde_json::from_str(r#"[{ "method": "GET", "path": "/orders/{id}", "by_policy": true }]"#)?;
/// assert!(inventory.routes().all(|route| route.is_by_policy()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `*` for every method.
    method: String,
    /// As axum writes it.
    path: String,
    /// Whether the policy decides there, and no rule in code.
    #[serde(default = "yes")]
    by_policy: bool,
}

fn yes() -> bool {
    true
}

impl Inventory {
    /// The routes, in the order in which they were added.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn add(&mut self, method: &str, path: &str, by_policy: bool) {
        self.routes.push(Route {
            method: method.to_owned(),
            path: path.to_owned(),
            by_policy,
        });
    }

    /// Holds a policy against the routes.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with every route that is left to the policy and that none of its rules allows
    /// anybody to use, and with every rule that meets no route.
    pub fn check(&self, policy: &Policy) -> Result<(), InvalidPolicy> {
        let rules = &policy.model().rules;
        let uncovered = self.routes.iter().filter(|route| {
            let mut allows = rules
                .iter()
                .filter(|rule| rule.effect == Effect::Allow && !rule.shadow);
            route.by_policy
                && !allows.any(|rule| rule.actions.iter().any(|action| route.meets(action)))
        });
        let uncovered = uncovered.map(|route| {
            Problem::plain(format!(
                "no rule of the policy `{}` allows anybody {route}: write one, or a rule in code",
                policy.name()
            ))
        });
        let dead = rules.iter().filter(|rule| {
            !rule
                .actions
                .iter()
                .any(|action| self.routes.iter().any(|route| route.meets(action)))
        });
        let dead = dead.map(|rule| {
            Problem::new(
                rule.at,
                format!(
                    "the rule `{}` meets no route: mend its paths and methods, or take it out",
                    rule.name
                ),
            )
        });
        let problems: Vec<_> = uncovered.chain(dead).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidPolicy::new(problems))
        }
    }
}

impl Route {
    /// The method, `*` for every one.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path with its captures, as axum writes it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the policy decides there, and no rule in code.
    #[must_use]
    pub fn is_by_policy(&self) -> bool {
        self.by_policy
    }

    /// Whether there can be a request that takes this route and that the action speaks of.
    pub(crate) fn meets(&self, action: &Action) -> bool {
        let method = match &action.methods {
            Methods::Every => true,
            Methods::These(_) if self.method == "*" => true,
            Methods::These(these) => these.iter().any(|method| {
                // A route for `GET` answers `HEAD` as well, and a rule for `GET` covers it.
                *method == *self.method.as_str()
                    || (self.method == "GET" && method == http::Method::HEAD)
                    || (self.method == "HEAD" && method == http::Method::GET)
            }),
        };
        method && self.meets_path(&action.path)
    }

    fn meets_path(&self, pattern: &PathPattern) -> bool {
        let mut segments = pattern.segments.iter();
        let own = self.path.strip_prefix('/').unwrap_or(&self.path);
        for part in own.split('/').filter(|part| !part.is_empty()) {
            if part.starts_with("{*") {
                // One segment at least, and any number more.
                return segments.len() > 0 || pattern.open_ended;
            }
            match segments.next() {
                None => return pattern.open_ended,
                Some(Segment::Literal(literal)) if !is_capture(part) => {
                    let decoded = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
                    if *literal != decoded {
                        return false;
                    }
                }
                Some(_) => {}
            }
        }
        segments.len() == 0
    }
}

fn is_capture(part: &str) -> bool {
    part.starts_with('{') && part.ends_with('}')
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
