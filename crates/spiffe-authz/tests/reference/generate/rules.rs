use super::conditions::{self, Scope};
use super::users;
use super::vocabulary::{CAPTURES, ID_WORDS, METHODS, ODD_METHODS, ODD_WORDS, RPCS, WORDS, moment};
use crate::pattern::names;
use crate::policy::{Effect, From, Policy, Rule};
use crate::random::Random;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) effect: Effect,
    pub(crate) shadow: bool,
}

/// Puts one more rule somewhere among those of the policy.
pub(crate) fn add_rule(policy: &mut Policy, kind: Kind, random: &mut Random) {
    let name = format!(
        "{}{}",
        random.one_of(&["r", "rule ", "", "no:"]),
        policy.rules.len()
    );
    let rule = rule(policy, kind, name, random);
    let place = random.between(0, policy.rules.len());
    policy.rules.insert(place, rule);
}

fn rule(policy: &Policy, kind: Kind, name: String, random: &mut Random) -> Rule {
    let denies = kind.effect == Effect::Deny;
    let wide = if denies { 5 } else { 12 };
    // Rules compete most where they say the same.
    let (actions, from) = match (another(policy, random), another(policy, random)) {
        (Some(one), _) if random.percent(50) => (one.actions.clone(), one.from.clone()),
        (Some(one), None) => (one.actions.clone(), from(policy, random)),
        (Some(one), Some(other)) => (one.actions.clone(), other.from.clone()),
        (None, Some(other)) => (actions(wide, random), other.from.clone()),
        (None, None) => (actions(wide, random), from(policy, random)),
    };
    let scope = Scope {
        has_pairs: actions.len() > 1 || patterns_of(&from, policy).nth(1).is_some(),
        path: common_names(actions.iter().map(String::as_str)),
        id: common_names(patterns_of(&from, policy)),
        has_peer: !matches!(from, From::Anyone),
        has_users: !policy.users.is_empty(),
    };
    let user = (scope.has_users && random.percent(25)).then(|| users::demand(policy, random));
    let when = random
        .percent(if denies { 50 } else { 45 })
        .then(|| conditions::expression(&scope, random));
    let must_say_why = !denies && !matches!(from, From::These(_));
    Rule {
        name,
        effect: kind.effect,
        actions,
        user,
        when,
        because: (must_say_why || random.percent(5))
            .then(|| "probes: they carry no SVID".to_owned()),
        shadow: kind.shadow,
        expires: (!denies && random.percent(15)).then(|| moment(random)),
        from,
    }
}

/// One of the rules so far, now and then.
fn another<'a>(policy: &'a Policy, random: &mut Random) -> Option<&'a Rule> {
    let chosen = !policy.rules.is_empty() && random.percent(30);
    chosen.then(|| random.item(&policy.rules))
}

fn from(policy: &Policy, random: &mut Random) -> From {
    match random.below(100) {
        0..18 => From::Anyone,
        18..36 => From::Authenticated,
        _ => {
            let entries = (0..*random.item(&[1, 1, 2, 3])).map(|_| {
                if policy.principals.is_empty() || random.percent(50) {
                    id_pattern(policy, random)
                } else {
                    random.item(&policy.principals).name.clone()
                }
            });
            let mut entries: Vec<String> = entries.collect();
            let one_pattern = entries.iter().find(|entry| entry.contains(":/")).cloned();
            if let Some(pattern) = one_pattern.filter(|_| random.percent(50)) {
                entries = vec![rearranged(&pattern, random), pattern];
            }
            From::These(entries)
        }
    }
}

fn patterns_of<'a>(from: &'a From, policy: &'a Policy) -> impl Iterator<Item = &'a str> {
    let entries: &[String] = match from {
        From::These(entries) => entries,
        From::Anyone | From::Authenticated => &[],
    };
    entries.iter().flat_map(|entry| {
        let named = policy.principals.iter().find(|named| named.name == *entry);
        let patterns = named.map_or(std::slice::from_ref(entry), |named| &named.patterns);
        patterns.iter().map(String::as_str)
    })
}

/// What every one of the patterns captures.
fn common_names<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all: Vec<Vec<String>> = patterns.map(names).collect();
    let Some((first, others)) = all.split_first() else {
        return Vec::new();
    };
    let is_common = |name: &&String| others.iter().all(|other| other.contains(name));
    first.iter().filter(is_common).cloned().collect()
}

fn actions(wide: usize, random: &mut Random) -> Vec<String> {
    let mut actions: Vec<String> = (0..*random.item(&[1, 1, 2, 3]))
        .map(|_| action(wide, random))
        .collect();
    if random.percent(45) {
        actions.truncate(1);
        let mut other = rearranged(&actions[0], random);
        if let Some((methods, path)) = other.split_once(' ')
            && methods != "grpc"
            && random.percent(40)
        {
            other = format!("{} {path}", random.one_of(METHODS));
        }
        actions.push(other);
        random.shuffle(&mut actions);
    }
    actions
}

fn action(wide: usize, random: &mut Random) -> String {
    if random.percent(15) {
        let rpc = random.one_of(RPCS);
        return match random.below(10) {
            0 => "grpc **".to_owned(),
            1..4 => format!("grpc {}/*", rpc.split_once('/').unwrap().0),
            _ => format!("grpc {rpc}"),
        };
    }
    let methods = match random.below(100) {
        0..20 => "*".to_owned(),
        20..35 => format!("{},{}", random.one_of(METHODS), random.one_of(METHODS)),
        35..40 => random.one_of(ODD_METHODS).to_owned(),
        40..70 => "GET".to_owned(),
        _ => random.one_of(METHODS).to_owned(),
    };
    if random.percent(wide) {
        return format!("{methods} /**");
    }
    let mut path = path(WORDS, 3, random);
    if path.is_empty() {
        path.push('/');
    }
    format!("{methods} {path}")
}

pub(super) fn id_pattern(policy: &Policy, random: &mut Random) -> String {
    let mut path = path(ID_WORDS, 3, random);
    if path.is_empty() {
        path.push_str("/**");
    }
    if random.percent(15) {
        return format!("own:{path}");
    }
    format!("spiffe://{}{path}", random.item(&policy.trust_domains).name)
}

fn path(words: &[&str], depth: usize, random: &mut Random) -> String {
    let mut captures = CAPTURES.to_vec();
    random.shuffle(&mut captures);
    let mut path = String::new();
    let least = usize::from(random.percent(95));
    for _ in 0..random.between(least, depth) {
        path.push('/');
        match random.below(100) {
            0..15 => path.push('*'),
            15..50 => {
                path.push('{');
                path.push_str(captures.pop().unwrap());
                path.push('}');
            }
            50..54 if words == WORDS => path.push_str(random.one_of(ODD_WORDS)),
            _ => path.push_str(random.one_of(words)),
        }
    }
    if random.percent(20) {
        path.push_str("/**");
    }
    // A `%` in a pattern is an error: whoever means it uses a wildcard.
    path.replace("/100%", "/*")
}

/// An action or ID pattern that captures the same names elsewhere, from much the same paths.
pub(super) fn rearranged(pattern: &str, random: &mut Random) -> String {
    let path = pattern.find("://").map_or(0, |scheme| scheme + 3);
    let Some(slash) = pattern[path..].find('/').map(|slash| path + slash) else {
        return pattern.to_owned();
    };
    let (start, path) = pattern.split_at(slash);
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    let end = segments.pop_if(|last| *last == "**");
    random.shuffle(&mut segments);
    for segment in &mut segments {
        if !segment.is_empty() && !segment.starts_with('{') && random.percent(70) {
            *segment = "*";
        }
    }
    segments.extend(end);
    format!("{start}/{}", segments.join("/"))
}
