//! Which routes an application has, and whether a policy speaks of them.

use std::borrow::Cow;
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
    /// The rule in code, where that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<RuleInCode>,
}

/// A rule in code, as far as a reader of an inventory wants to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleInCode {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) principals: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) denied: Vec<String>,
    /// Why any verified identity will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authenticated: Option<String>,
    /// Why everybody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anyone: Option<String>,
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
    pub(crate) fn add(&mut self, method: &str, path: &str, rule: Option<RuleInCode>) {
        self.routes.push(Route {
            method: method.to_owned(),
            path: path.to_owned(),
            by_policy: rule.is_none(),
            rule,
        });
    }

    /// Holds a policy against the routes.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] with every route that is left to the policy and that none of its rules allows
    /// anybody to use, with every principal that a rule in code names and the policy does not, and with
    /// every rule that meets no route.
    pub fn check(&self, policy: &Policy) -> Result<(), InvalidPolicy> {
        let rules = &policy.model().rules;
        let uncovered = self.uncovered(policy).map(|route| {
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
        let problems: Vec<_> = uncovered
            .chain(self.unknown_principals(policy))
            .chain(dead)
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidPolicy::new(problems))
        }
    }

    /// Whether there can be a request that the action speaks of and that takes this route, rather than a
    /// more special one that is there too. A route that others leave nothing to takes what it meets.
    pub(crate) fn leads_to(&self, route: &Route, action: &Action) -> bool {
        let all = PathPattern {
            segments: Vec::new(),
            open_ended: true,
        };
        route.meets(action) && (self.leaves(route, &action.path) || !self.leaves(route, &all))
    }

    /// Whether more special routes leave something to this one, of the paths that a pattern meets.
    fn leaves(&self, route: &Route, pattern: &PathPattern) -> bool {
        if !route.parts().any(is_capture) {
            return true;
        }
        let longer = if pattern.open_ended {
            let lengths = self.routes.iter().map(|other| other.parts().count());
            lengths.max().unwrap_or_default().saturating_add(1)
        } else {
            0
        };
        let path = route.widest(pattern, longer);
        let mut others = self.routes.iter();
        !others.any(|other| other.matches(&path) && other.ranks().lt(route.ranks()))
    }
}

impl Inventory {
    /// Every route that is left to the policy and that none of its rules allows anybody to use.
    pub fn uncovered(&self, policy: &Policy) -> impl Iterator<Item = &Route> {
        let rules = &policy.model().rules;
        self.routes.iter().filter(move |route| {
            let mut allows = rules
                .iter()
                .filter(|rule| rule.effect == Effect::Allow && !rule.shadow);
            let leads = |action| self.leads_to(route, action);
            route.by_policy && !allows.any(|rule| rule.actions.iter().any(leads))
        })
    }

    /// The principals that rules in code name, each with its route.
    pub(crate) fn principals(&self) -> impl Iterator<Item = (&Route, &String)> {
        self.routes.iter().flat_map(|route| {
            let rule = route.rule.iter();
            rule.flat_map(move |rule| rule.principals.iter().map(move |name| (route, name)))
        })
    }

    fn unknown_principals(&self, policy: &Policy) -> impl Iterator<Item = Problem> {
        self.principals().filter_map(|(route, name)| {
            let why = policy.unknown_principal(name)?;
            Some(Problem::plain(format!(
                "the rule in code at {route}: {why}"
            )))
        })
    }
}

/// A segment of a path: `None` is one that no literal is equal to.
type Part<'a> = Option<Cow<'a, str>>;

impl Route {
    /// The rule in code, where that decides.
    pub(crate) fn rule(&self) -> Option<&RuleInCode> {
        self.rule.as_ref()
    }

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
        for part in self.parts() {
            if part.starts_with("{*") {
                // One segment at least, and any number more.
                return segments.len() > 0 || pattern.open_ended;
            }
            match segments.next() {
                None => return pattern.open_ended,
                Some(Segment::Literal(literal)) if !is_capture(part) => {
                    if *literal != decoded(part) {
                        return false;
                    }
                }
                Some(_) => {}
            }
        }
        segments.len() == 0
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|part| !part.is_empty())
    }

    /// Of the paths that take this route, if no other is there, and that the pattern meets, the one that
    /// fewest other routes match: unlike every literal where it may be, and `longer` than any route
    /// where its length is free.
    fn widest<'a>(&'a self, pattern: &'a PathPattern, longer: usize) -> Vec<Part<'a>> {
        let mut segments = pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => Some(Cow::Borrowed(literal.as_str())),
            Segment::One | Segment::Capture(_) => None,
        });
        let mut path = Vec::new();
        for part in self.parts() {
            let segment = segments.next().flatten();
            if !part.starts_with("{*") {
                path.push(if is_capture(part) {
                    segment
                } else {
                    Some(decoded(part))
                });
                continue;
            }
            path.push(segment);
            path.extend(segments.by_ref());
            if pattern.open_ended {
                path.resize(path.len().max(longer), None);
            }
        }
        path
    }

    fn matches(&self, path: &[Part<'_>]) -> bool {
        let mut rest = path.iter();
        for part in self.parts() {
            let Some(segment) = rest.next() else {
                return false;
            };
            if part.starts_with("{*") {
                return true;
            }
            if !is_capture(part) && *segment != Some(decoded(part)) {
                return false;
            }
        }
        rest.len() == 0
    }

    /// What axum compares routes by that match one path: a literal comes before a capture, and that
    /// before the rest of a path.
    fn ranks(&self) -> impl Iterator<Item = u8> {
        self.parts()
            .map(|part| u8::from(is_capture(part)).saturating_add(u8::from(part.starts_with("{*"))))
    }
}

fn decoded(part: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy()
}

fn is_capture(part: &str) -> bool {
    part.starts_with('{') && part.ends_with('}')
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
