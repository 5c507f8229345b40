//! Callers: names that nobody uses, patterns that take in more than is meant, IDs that will not last.

use std::collections::{BTreeMap, HashSet};

use spiffe_peer::IdPattern;

use super::{Survey, harmless, named};
use crate::inventory::Inventory;
use crate::policy::caller::CallerPattern;
use crate::policy::model::{Callers, Effect, From, RuleModel, Spot};
use crate::policy::review::{callers, conditions};

/// The letters of the random part of a pod's name.
const POD_LETTERS: &str = "bcdfghjklmnpqrstvwxz2456789";

impl<'p> Survey<'p> {
    pub(super) fn callers(&mut self, routes: Option<&Inventory>) {
        self.unused(routes);
        let mut seen = HashSet::new();
        for (pattern, at, user) in self.patterns() {
            let text = pattern.to_string();
            if !seen.insert((text.clone(), at.line, at.column)) {
                continue;
            }
            let Some(bound) = callers::bound(pattern, self.policy.own_trust_domain()) else {
                continue;
            };
            if let Some((part, what)) = bound.as_str().split('/').skip(3).find_map(volatile) {
                let message = format!(
                    "`{part}` in `{}` looks like {what}, which the next workload of the same kind will not have: name what stays, such as the service account",
                    harmless(&text)
                );
                self.about("volatile-id", at, message);
            }
            if let Some(rule) = user {
                self.wide(&text, &bound, at, rule);
            }
        }
    }

    fn unused(&mut self, routes: Option<&Inventory>) {
        let froms = self.model.rules.iter().map(|rule| &rule.from);
        let used: HashSet<_> = froms
            .flat_map(|from| match from {
                From::These(these) => these.as_slice(),
                From::Anyone | From::Authenticated => &[],
            })
            .filter_map(|callers| match callers {
                Callers::Principal(index) => Some(*index),
                Callers::Pattern(..) => None,
            })
            .collect();
        for (index, principal) in self.model.principals.iter().enumerate() {
            let in_code = routes.into_iter().flat_map(Inventory::principals);
            let mut in_code = in_code.map(|(_, name)| name);
            if !used.contains(&index) && !in_code.any(|name| *name == principal.name) {
                let message = format!(
                    "no rule speaks of the principal `{}`: write it into a `from`, or take it out",
                    harmless(&principal.name)
                );
                self.about("unused-principal", principal.at, message);
            }
        }
    }

    /// Every pattern with its place, and the first allow that speaks of it. An allow whose condition looks
    /// at what was captured counts only where there is no other.
    fn patterns(&self) -> Vec<(&'p CallerPattern, Spot, Option<&'p RuleModel>)> {
        let mut by_principal = BTreeMap::<usize, &RuleModel>::new();
        let mut patterns = Vec::new();
        for rule in &self.model.rules {
            let From::These(these) = &rule.from else {
                continue;
            };
            let allow = (rule.effect == Effect::Allow).then_some(rule);
            for caller in these {
                match caller {
                    Callers::Pattern(pattern, at) => patterns.push((pattern, *at, allow)),
                    Callers::Principal(index) => {
                        if let Some(rule) = allow {
                            let first = by_principal.entry(*index).or_insert(rule);
                            if first.when.is_some() && rule.when.is_none() {
                                *first = rule;
                            }
                        }
                    }
                }
            }
        }
        for (index, principal) in self.model.principals.iter().enumerate() {
            let allow = by_principal.get(&index).copied();
            patterns.extend(
                principal
                    .patterns
                    .iter()
                    .map(|pattern| (pattern, principal.at, allow)),
            );
        }
        patterns
    }

    fn wide(&mut self, text: &str, pattern: &IdPattern, at: Spot, rule: &RuleModel) {
        let domain = pattern.trust_domain_name();
        let federated = self
            .model
            .trust_domains
            .iter()
            .any(|listed| listed.federated && listed.name.as_str() == domain);
        let text = harmless(text);
        let parts: Vec<_> = pattern.as_str().split('/').skip(3).collect();
        if federated && parts.last() == Some(&"**") {
            let message = format!(
                "`{text}` lets `{domain}`, whose names others give, choose who {} speaks of: write out the path of each workload, or `*` and `{{name}}` for single segments",
                named(rule)
            );
            self.about("open-ended-federated", at, message);
        } else if let Some(what) = width(&parts, || self.ties_captures(rule)) {
            let message = format!(
                "`{text}` is {what} of `{domain}`, and {} allows all of them: name the namespace, as in `spiffe://{domain}/ns/NAMESPACE/**`, or the workloads",
                named(rule)
            );
            self.about("wide-pattern", at, message);
        }
    }

    fn ties_captures(&self, rule: &RuleModel) -> bool {
        conditions::compile(self.model, rule).is_some_and(|condition| condition.reads_id())
    }
}

/// What a pattern takes in, if that is more than a namespace.
fn width(parts: &[&str], ties_captures: impl Fn() -> bool) -> Option<&'static str> {
    let is_open = |part: &str| part.starts_with(['*', '{']);
    let has_capture = parts.iter().any(|part| part.starts_with('{'));
    let what = match parts {
        parts if parts.iter().all(|part| is_open(part)) => "every workload",
        ["ns", "**"] | ["ns"] => "every namespace",
        ["ns", namespace, ..] if is_open(namespace) => "every namespace",
        _ => return None,
    };
    // What a condition compares with the request is as narrow as the request.
    (!has_capture || !ties_captures()).then_some(what)
}

/// A segment that looks made up by a machine, and what it looks like.
fn volatile(part: &str) -> Option<(&str, &'static str)> {
    let what = if is_uuid(part) {
        "a UUID"
    } else if is_pod(part) {
        "the name of a pod"
    } else if part.len() >= 20 && is_hex(part) {
        "a hash"
    } else {
        return None;
    };
    Some((part, what))
}

fn is_uuid(part: &str) -> bool {
    let groups: Vec<_> = part.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A pod of a deployment is `NAME-HASH-RANDOM`.
fn is_pod(part: &str) -> bool {
    let is_random = |text: &str| text.chars().all(|letter| POD_LETTERS.contains(letter));
    let mut pieces = part.rsplit('-');
    let (random, hash) = (pieces.next(), pieces.next());
    pieces.next().is_some()
        && random.is_some_and(|random| random.len() == 5 && is_random(random))
        && hash.is_some_and(|hash| {
            (8..=10).contains(&hash.len()) && is_random(hash) && has_digit(hash)
        })
}

fn is_hex(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_hexdigit())
        && has_digit(part)
        && part.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}
