//! Who may call what, drawn.

mod dot;
mod in_code;
mod layout;
mod markdown;
mod svg;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{callers, harmless};
use crate::inventory::Inventory;
use crate::policy::Policy;
use crate::policy::model::{Callers, Effect, From, Mode, Model, RuleModel, UserDemand};

/// Who may call what, by which rule: callers on the left, rules in the middle, actions on the right.
///
/// It is as large as the file that the policy comes from, and shows everything as the file writes it.
///
/// ```
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// principals: { shop: "spiffe://example.org/ns/shop/**" }
/// rules:
///   - { name: read, allow: ["GET /orders/{id}"], from: [shop] }
/// "#)?;
/// let graph = review::Graph::of(&policy);
/// assert!(graph.svg().starts_with("<svg "));
/// assert!(graph.dot().starts_with("digraph "));
/// assert!(graph.markdown().contains("| `shop` | `GET /orders/{id}` |"));
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    in_shadow: bool,
    callers: Vec<Node>,
    rules: Vec<Rule>,
    actions: Vec<Node>,
}

/// A caller or an action.
#[derive(Debug, Clone)]
struct Node {
    label: String,
    /// What stands below the label, in small.
    note: Option<String>,
    full: String,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    line: Line,
    effect: Effect,
    note: Option<String>,
    full: String,
    /// Places in [`Graph::callers`] and [`Graph::actions`].
    callers: Vec<usize>,
    actions: Vec<usize>,
}

/// How something is drawn: by colour and by stroke, either of which suffices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Allow,
    Deny,
    Shadow,
}

impl Graph {
    /// Draws a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self::with(policy, None)
    }

    /// Draws a policy and the rules in code of a service that is bound to it, by the service's inventory.
    ///
    /// ```
    /// use spiffe_authz::Inventory;
    /// use spiffe_authz::policy::{Policy, review::Graph};
    ///
    /// let policy = Policy::from_yaml("{ version: 1, name: shop, trust_domains: {}, rules: [] }")?;
    /// let service: Inventory = serde_json::from_str(r#"[{
    ///     "method": "POST", "path": "/shop.v1.Orders/Create", "by_policy": false,
    ///     "rule": { "ids": ["spiffe://example.org/service/payment-processor"] }
    /// }]"#)?;
    /// let table = Graph::of_service(&policy, &service).markdown();
    /// assert!(table.contains("| `POST /shop.v1.Orders/Create` |"), "{table}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of_service(policy: &Policy, service: &Inventory) -> Self {
        Self::with(policy, Some(service))
    }

    fn with(policy: &Policy, service: Option<&Inventory>) -> Self {
        let model = policy.model();
        let in_shadow = model.mode == Mode::Shadow;
        let mut callers = Nodes::default();
        let mut actions = Nodes::default();
        let mut rules = Vec::with_capacity(model.rules.len());
        for rule in &model.rules {
            let names = callers::names(model, &rule.from);
            let who = match &rule.from {
                From::Anyone | From::Authenticated => names
                    .iter()
                    .map(|name| callers.place(name, || everybody(name)))
                    .collect(),
                From::These(these) => these
                    .iter()
                    .zip(&names)
                    // A principal can be named like a pattern; its place is another.
                    .map(|(these, name)| {
                        callers.place(&key(these, name), || caller(model, these, name))
                    })
                    .collect(),
            };
            let what = rule.actions.iter();
            rules.push(Rule {
                name: harmless(&rule.name),
                line: match rule.effect {
                    _ if in_shadow || rule.shadow => Line::Shadow,
                    Effect::Allow => Line::Allow,
                    Effect::Deny => Line::Deny,
                },
                effect: rule.effect,
                note: note(model, rule),
                full: full(model, rule),
                callers: who,
                actions: what
                    .map(|action| actions.place(&action.text, || plain(&action.text)))
                    .collect(),
            });
        }
        for route in service.into_iter().flat_map(Inventory::routes) {
            rules.extend(in_code::rules(model, route, &mut callers, &mut actions));
        }
        Self {
            name: harmless(&model.name),
            in_shadow,
            callers: callers.nodes,
            rules,
            actions: actions.nodes,
        }
    }

    /// A picture that stands by itself, without scripts and without anything from elsewhere.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// For Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        dot::write(self)
    }

    /// A table, in GitHub's Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    fn subtitle(&self) -> String {
        let rules = match self.rules.len() {
            1 => "1 rule".to_owned(),
            many => format!("{many} rules"),
        };
        let rest = if self.in_shadow {
            "in shadow: nothing is enforced, everything passes"
        } else {
            "what no rule allows is denied; a deny wins"
        };
        format!("{rules}; {rest}")
    }
}

impl Rule {
    /// What it does, in words.
    fn effect(&self) -> &'static str {
        match (self.effect, self.line) {
            (Effect::Allow, Line::Shadow) => "allow, in shadow",
            (Effect::Deny, Line::Shadow) => "deny, in shadow",
            (Effect::Allow, _) => "allow",
            (Effect::Deny, _) => "deny",
        }
    }
}

/// Nodes in the order in which they are first named.
#[derive(Default)]
struct Nodes {
    nodes: Vec<Node>,
    places: HashMap<String, usize>,
}

impl Nodes {
    fn place(&mut self, key: &str, node: impl FnOnce() -> Node) -> usize {
        let next = self.nodes.len();
        let place = *self.places.entry(key.to_owned()).or_insert(next);
        if place == next {
            self.nodes.push(node());
        }
        place
    }
}

fn key(callers: &Callers, name: &str) -> String {
    match callers {
        Callers::Principal(index) => format!("principal {index}"),
        Callers::Pattern(..) => format!("pattern {name}"),
    }
}

fn everybody(word: &str) -> Node {
    let (note, full) = if word == "anyone" {
        (
            "with an identity or without",
            "anyone: with an identity or without",
        )
    } else {
        (
            "any verified identity",
            "authenticated: any verified identity",
        )
    };
    Node {
        label: word.to_owned(),
        note: Some(note.to_owned()),
        full: full.to_owned(),
    }
}

fn caller(model: &Model, callers: &Callers, name: &str) -> Node {
    let Callers::Principal(index) = callers else {
        return plain(name);
    };
    let patterns = model
        .principals
        .get(*index)
        .into_iter()
        .flat_map(|principal| &principal.patterns);
    let patterns: Vec<_> = patterns
        .map(|pattern| harmless(&pattern.to_string()))
        .collect();
    let note = match patterns.as_slice() {
        [] => None,
        [one] => Some(short(one).to_owned()),
        [first, rest @ ..] => Some(format!("{} and {} more", short(first), rest.len())),
    };
    Node {
        label: harmless(name),
        note,
        full: format!("{}\n{}", harmless(name), patterns.join("\n")),
    }
}

fn plain(text: &str) -> Node {
    let text = harmless(text);
    Node {
        label: short(&text).to_owned(),
        note: None,
        full: text,
    }
}

/// Every pattern begins with the scheme, which says nothing.
fn short(pattern: &str) -> &str {
    pattern.strip_prefix("spiffe://").unwrap_or(pattern)
}

/// What a rule asks for beside caller and action, or why it asks for nothing.
fn note(model: &Model, rule: &RuleModel) -> Option<String> {
    let mut parts = Vec::new();
    match &rule.user {
        None => {}
        Some(UserDemand::Required) => parts.push("with an end user".to_owned()),
        Some(UserDemand::Absent) => parts.push("without an end user".to_owned()),
        Some(UserDemand::Like(like)) => {
            let source = like.issuer.and_then(|issuer| model.users.get(issuer));
            let mut words = vec!["end user".to_owned()];
            words.extend(source.map(|source| format!("of {}", harmless(&source.name))));
            words.extend(
                like.subject
                    .as_ref()
                    .map(|subject| format!("named {}", harmless(subject))),
            );
            words.extend(
                like.scopes
                    .iter()
                    .map(|scope| format!("with {}", harmless(scope))),
            );
            words.extend(like.claims.iter().map(|(name, value)| {
                format!("{} = {}", harmless(name), harmless(&value.to_string()))
            }));
            parts.push(words.join(" "));
        }
    }
    parts.extend(
        rule.when
            .as_ref()
            .map(|when| format!("if {}", harmless(&when.text))),
    );
    if let Some(end) = rule.expires {
        let end = OffsetDateTime::from(end).format(&Rfc3339);
        parts.push(format!("until {}", end.unwrap_or_default()));
    }
    if parts.is_empty() {
        parts.extend(rule.because.as_ref().map(|reason| harmless(reason)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn full(model: &Model, rule: &RuleModel) -> String {
    let mut lines = vec![harmless(&rule.name)];
    lines.extend(note(model, rule));
    lines.extend(
        rule.because
            .as_ref()
            .map(|reason| format!("because: {}", harmless(reason))),
    );
    lines.dedup();
    lines.join("\n")
}
