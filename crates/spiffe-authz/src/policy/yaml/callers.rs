//! Who a policy speaks of: trust domains, principals, and the `from` of a rule.

use std::collections::{HashMap, HashSet};

use spiffe_peer::parse;

use super::super::caller::CallerPattern;
use super::super::model::{Callers, From, ListedTrustDomain, Principal, Spot};
use super::fields::{Fields, entries};
use super::problems::{Problems, shown};
use super::tree::Value;
use super::value;

const PATTERN: &str = "an ID pattern, such as `spiffe://example.org/ns/shop/sa/orders`";
const FROM: &str = "a list of principals and ID patterns, such as `[orders]`, or one of the words `authenticated` and `anyone`";

/// The words that stand for callers in `from` and so cannot name a principal.
const WORDS: [&str; 2] = ["anyone", "authenticated"];

/// The callers that rules can name.
#[derive(Debug, Default)]
pub(super) struct Known {
    trust_domains: HashSet<String>,
    principals: HashMap<String, usize>,
    /// In the order of the file, for suggestions.
    names: Vec<String>,
    /// Whether a section is there but no map: then nothing is said of what it should list.
    unreadable_trust_domains: bool,
    unreadable_principals: bool,
}

impl Known {
    pub(super) fn trust_domains(
        &mut self,
        value: Value<'_>,
        problems: &mut Problems,
    ) -> Vec<ListedTrustDomain> {
        let example = "a map, such as `{ example.org: {} }`, or leave the key out";
        let mut listed = Vec::new();
        let entries = entries(value, example, problems);
        self.unreadable_trust_domains = entries.is_none();
        for entry in entries.unwrap_or_default() {
            match parse::trust_domain(entry.name) {
                Err(error) => problems.add(entry.at, error.to_string()),
                Ok(name) => {
                    self.trust_domains.insert(name.to_string());
                    listed.push(ListedTrustDomain {
                        name,
                        federated: federated(entry.value, problems),
                        at: entry.at,
                    });
                }
            }
        }
        listed
    }

    pub(super) fn principals(
        &mut self,
        value: Value<'_>,
        problems: &mut Problems,
    ) -> Vec<Principal> {
        let example = "a map of names to ID patterns, or leave the key out";
        let mut principals = Vec::new();
        let entries = entries(value, example, problems);
        self.unreadable_principals = entries.is_none();
        for entry in entries.unwrap_or_default() {
            if problems.is_full() {
                break;
            }
            is_principal_name(entry.name, entry.at, problems);
            let patterns = self.patterns(entry.value, problems);
            self.principals
                .insert(entry.name.to_owned(), principals.len());
            self.names.push(entry.name.to_owned());
            principals.push(Principal {
                name: entry.name.to_owned(),
                patterns,
                at: entry.at,
            });
        }
        principals
    }

    fn patterns(&self, value: Value<'_>, problems: &mut Problems) -> Vec<CallerPattern> {
        if value.as_list().is_none() {
            return self.pattern(value, problems).into_iter().collect();
        }
        let example = format!("at least one pattern: {PATTERN}");
        let items = value::list(value, &example, problems);
        let items = items.into_iter().flat_map(|items| items.items());
        items
            .filter_map(|item| self.pattern(item, problems))
            .collect()
    }

    fn pattern(&self, value: Value<'_>, problems: &mut Problems) -> Option<CallerPattern> {
        let text = value::text(value, PATTERN, problems)?;
        let pattern = match CallerPattern::parse(text) {
            Ok(pattern) => pattern,
            Err(error) => {
                problems.add(value.at(), error.to_string());
                return None;
            }
        };
        if let CallerPattern::Absolute(absolute) = &pattern
            && !self.unreadable_trust_domains
            && !self.trust_domains.contains(absolute.trust_domain_name())
        {
            let name = absolute.trust_domain_name().to_owned();
            let nearest = problems.nearest(&name, self.trust_domains.iter().map(String::as_str));
            problems.add(
                value.at(),
                format!("the trust domain `{name}` is not listed{nearest}; add `{name}: {{}}` under `trust_domains`"),
            );
        }
        Some(pattern)
    }

    /// The `from` of a rule.
    pub(super) fn from(&self, value: Value<'_>, problems: &mut Problems) -> Option<From> {
        match value.as_written() {
            Some("anyone") => return Some(From::Anyone),
            Some("authenticated") => return Some(From::Authenticated),
            Some(written) if !value.is_null() => {
                let written = shown(written);
                problems.add(
                    value.at(),
                    format!("`{written}` stands here, where a list is meant; write `[{written}]`, or one of the words `authenticated` and `anyone`"),
                );
                return None;
            }
            _ => {}
        }
        let items = value::list(value, FROM, problems)?;
        let callers = items.items().filter_map(|item| self.caller(item, problems));
        Some(From::These(callers.collect()))
    }

    fn caller(&self, value: Value<'_>, problems: &mut Problems) -> Option<Callers> {
        let text = value::text(value, "the name of a principal, or an ID pattern", problems)?;
        if let Some(index) = self.principals.get(text) {
            return Some(Callers::Principal(*index));
        }
        if WORDS.contains(&text) {
            problems.add(
                value.at(),
                format!("`{text}` stands alone; write `from: {text}`, or leave it out of the list"),
            );
            return None;
        }
        if looks_like_a_pattern(text) {
            let at = value.at();
            return self
                .pattern(value, problems)
                .map(|pattern| Callers::Pattern(pattern, at));
        }
        if self.unreadable_principals {
            return None;
        }
        let nearest = problems.nearest(text, self.names.iter().map(String::as_str));
        let name = shown(text);
        problems.add(
            value.at(),
            format!("there is no principal `{name}`{nearest}; name one that stands under `principals`, or write an ID pattern"),
        );
        None
    }
}

fn looks_like_a_pattern(text: &str) -> bool {
    text.contains([':', '/'])
}

fn is_principal_name(name: &str, at: Spot, problems: &mut Problems) {
    if WORDS.contains(&name) {
        problems.add(
            at,
            format!("`{name}` is a word of `from` and names no principal; choose another name"),
        );
    } else if value::is_name(name, at, problems) && looks_like_a_pattern(name) {
        let name = shown(name);
        problems.add(
            at,
            format!(
                "`{name}` looks like an ID pattern; a name of a principal has no `:` and no `/`"
            ),
        );
    }
}

/// What stands behind a trust domain: nothing, or `{ federated: true }`.
fn federated(value: Value<'_>, problems: &mut Problems) -> bool {
    if value.is_null() {
        return false;
    }
    Fields::read(value, "a trust domain", &["federated"], problems)
        .and_then(|fields| fields.get("federated"))
        .and_then(|value| value::boolean(value, problems))
        .unwrap_or_default()
}
