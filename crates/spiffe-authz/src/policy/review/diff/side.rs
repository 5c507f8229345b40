//! One of two policies that are compared: its patterns, and which rules a caller or a request line meets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use http::Method;
use spiffe_peer::{IdPattern, SpiffeId};

use super::verdict::{Verdict, asks};
use crate::policy::Policy;
use crate::policy::model::{Effect, From, Methods};
use crate::policy::review::callers;
use crate::policy::review::shape::Shape;
use crate::policy::review::trie::{Budget, ShapeTrie};

pub(super) struct Side<'p> {
    /// Effect and demands of each rule that counts; `None` for what is in shadow or has ended.
    rules: Vec<Option<(Effect, Option<String>)>>,
    anyone: Vec<usize>,
    authenticated: Vec<usize>,
    callers: BTreeMap<String, ShapeTrie<usize>>,
    actions: ShapeTrie<(usize, &'p Methods)>,
    principals: Vec<(&'p str, Vec<IdPattern>)>,
    pub(super) caller_shapes: BTreeSet<(String, Shape)>,
    pub(super) action_shapes: BTreeSet<Shape>,
    pub(super) trust_domains: BTreeSet<String>,
}

impl<'p> Side<'p> {
    pub(super) fn new(policy: &'p Policy, at: SystemTime) -> Self {
        let model = policy.model();
        let own = policy.own_trust_domain();
        let bind = |pattern| callers::bound(pattern, own);
        let domains = model
            .trust_domains
            .iter()
            .map(|listed| listed.name.to_string());
        let principals = model.principals.iter().map(|principal| {
            let patterns = principal.patterns.iter().filter_map(bind);
            (principal.name.as_str(), patterns.collect())
        });
        let mut side = Self {
            rules: Vec::new(),
            anyone: Vec::new(),
            authenticated: Vec::new(),
            callers: BTreeMap::new(),
            actions: ShapeTrie::default(),
            principals: principals.collect(),
            caller_shapes: BTreeSet::new(),
            action_shapes: BTreeSet::new(),
            trust_domains: domains.collect(),
        };
        for (id, rule) in model.rules.iter().enumerate() {
            let counts = !rule.shadow && rule.expires.is_none_or(|end| at < end);
            side.rules
                .push(counts.then(|| (rule.effect, asks(model, rule))));
            if !counts {
                continue;
            }
            match &rule.from {
                From::Anyone => side.anyone.push(id),
                From::Authenticated => side.authenticated.push(id),
                From::These(_) => {
                    for pattern in callers::patterns(model, &rule.from) {
                        side.speak_of(bind(pattern), id);
                    }
                }
            }
            for action in &rule.actions {
                let shape = Shape::of_path(&action.path);
                side.actions.add(&shape, (id, &action.methods));
                side.action_shapes.insert(shape);
            }
        }
        side
    }

    fn speak_of(&mut self, pattern: Option<IdPattern>, rule: usize) {
        if let Some(pattern) = pattern {
            let domain = pattern.trust_domain_name().to_owned();
            let shape = Shape::of_id(&pattern);
            self.callers
                .entry(domain.clone())
                .or_default()
                .add(&shape, rule);
            self.trust_domains.insert(domain.clone());
            self.caller_shapes.insert((domain, shape));
        }
    }

    /// The rules that speak of a caller, as far as callers go.
    pub(super) fn rules_of(&self, id: Option<&SpiffeId>, budget: &mut Budget) -> BTreeSet<usize> {
        let mut rules: BTreeSet<_> = self.anyone.iter().copied().collect();
        if let Some(id) = id {
            rules.extend(&self.authenticated);
            if let Some(trie) = self.callers.get(id.trust_domain_name()) {
                let shape = exact(id.path());
                rules.extend(trie.covering(&shape, budget));
            }
        }
        rules
    }

    /// The rules that meet a path, with the methods by which they do.
    pub(super) fn rules_at(&self, path: &Shape, budget: &mut Budget) -> Vec<(usize, &'p Methods)> {
        self.actions.covering(path, budget)
    }

    pub(super) fn verdict(&self, caller: &BTreeSet<usize>, ask: &BTreeSet<usize>) -> Verdict {
        let (fewer, more) = if caller.len() < ask.len() {
            (caller, ask)
        } else {
            (ask, caller)
        };
        let both = fewer.iter().filter(|rule| more.contains(*rule));
        let rules = both.filter_map(|rule| self.rules.get(*rule)?.as_ref());
        Verdict::of(rules.map(|(effect, asks)| (*effect, asks)))
    }

    /// The names of the principals that the caller is one of.
    pub(super) fn principals(&self, id: &SpiffeId) -> BTreeSet<String> {
        let meets = |patterns: &[IdPattern]| patterns.iter().any(|pattern| pattern.matches(id));
        let met = self
            .principals
            .iter()
            .filter(|(_, patterns)| meets(patterns));
        met.map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// The rules among these that speak of a method.
pub(super) fn by_method(rules: &[(usize, &Methods)], method: &Method) -> BTreeSet<usize> {
    let speaking = rules.iter().filter(|(_, methods)| methods.cover(method));
    speaking.map(|(rule, _)| *rule).collect()
}

/// The one path that this is.
fn exact(path: &str) -> Shape {
    let parts = path.split('/').skip(1);
    Shape {
        segments: parts.map(|part| Some(part.to_owned())).collect(),
        open: false,
    }
}
