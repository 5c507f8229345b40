use super::segments::{filled, stray};
use super::vocabulary::{FOREIGN, ID_WORDS, OWN, TRUST_DOMAINS};
use crate::pattern::split_id;
use crate::policy::{From, Policy, Rule};
use crate::random::Random;

/// Someone a rule speaks of, nearly always.
pub(super) fn caller(rule: &Rule, policy: &Policy, random: &mut Random) -> Option<String> {
    let From::These(entries) = &rule.from else {
        return random.percent(60).then(|| any_peer(random));
    };
    let entry = random.item(entries);
    let named = policy.principals.iter().find(|named| named.name == *entry);
    let pattern = named.map_or(entry, |named| random.item(&named.patterns));
    let (trust_domain, path) = match pattern.strip_prefix("own:") {
        Some(path) => (OWN, path),
        None => split_id(pattern),
    };
    let mut segments = filled(path, ID_WORDS, random);
    stray(&mut segments, ID_WORDS, random);
    if segments.is_empty() {
        segments.push("web".to_owned());
    }
    let trust_domain = match random.below(20) {
        0 => FOREIGN,
        1 => random.one_of(TRUST_DOMAINS),
        _ => trust_domain,
    };
    Some(format!("spiffe://{trust_domain}/{}", segments.join("/")))
}

pub(super) fn any_peer(random: &mut Random) -> String {
    let domain = if random.percent(10) {
        FOREIGN
    } else {
        random.one_of(TRUST_DOMAINS)
    };
    let words: Vec<&str> = (0..random.between(1, 3))
        .map(|_| random.one_of(ID_WORDS))
        .collect();
    format!("spiffe://{domain}/{}", words.join("/"))
}
