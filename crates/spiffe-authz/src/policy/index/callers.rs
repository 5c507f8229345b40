//! Which rules speak of a caller.
//!
//! A caller meets patterns, patterns stand in groups (a named principal, or a pattern in a rule), and
//! the `from` of a rule is a set of groups. Rules with the same `from` share one set. So the index is
//! no larger than the file that it comes from, and a rule is found by the sets of its caller.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use smallvec::{SmallVec, smallvec};
use spiffe_peer::{IdPattern, SpiffeId};

use super::actions::Actions;
use super::shortlist::Said;
use super::trie::{PatternSegment, Trie, TrieBuilder, segments_of};

/// The set of a rule from `anyone`.
pub(super) const ANYONE: SetId = SetId(0);
/// The set of a rule from `authenticated`.
pub(super) const AUTHENTICATED: SetId = SetId(1);

/// Up to so many sets a caller's sets are looked at one after the other.
const FEW: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SetId(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupId(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PatternId(u32);

/// Names, and which segment of a path each is.
type Captures = Box<[(Box<str>, usize)]>;

#[derive(Debug, Default)]
pub(super) struct Callers {
    exact: HashMap<Box<str>, PatternId>,
    patterns: HashMap<Box<str>, Trie<Vec<PatternId>>>,
    groups_of: HashMap<PatternId, Vec<GroupId>>,
    sets_of: HashMap<GroupId, Vec<SetId>>,
    /// The captures of a pattern by their place in the path; only of patterns that have some.
    captures: HashMap<PatternId, Captures>,
}

/// What a policy has found out about a caller, once for every connection and generation; what every
/// decision reads lies at the beginning.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Caller {
    shortlist: Option<SmallVec<[Said; 2]>>,
    sets: SmallVec<[SetId; FEW]>,
    /// The same sets, where they are many.
    many: Option<HashSet<SetId>>,
    met: Box<[(GroupId, PatternId)]>,
}

impl Callers {
    /// Everything that can be known of a caller by its ID.
    pub(super) fn resolve(&self, id: Option<&SpiffeId>) -> Caller {
        let Some(id) = id else {
            return Caller {
                sets: smallvec![ANYONE],
                ..Caller::default()
            };
        };
        if id.path().is_empty() {
            // The ID of a trust domain is no workload's.
            return self.resolve(None);
        }
        let mut patterns = Vec::new();
        patterns.extend(self.exact.get(id.to_string().as_str()).copied());
        if let Some(trie) = self.patterns.get(id.trust_domain().as_str()) {
            trie.visit(segments_of(id.path()), &mut |found: &Vec<PatternId>| {
                patterns.extend(found);
            });
        }
        let mut met = BTreeSet::new();
        let mut sets = BTreeSet::from([ANYONE, AUTHENTICATED]);
        for pattern in patterns {
            for group in self.groups_of.get(&pattern).into_iter().flatten() {
                met.insert((*group, pattern));
                sets.extend(self.sets_of.get(group).into_iter().flatten());
            }
        }
        Caller {
            many: (sets.len() > FEW).then(|| sets.iter().copied().collect()),
            sets: sets.into_iter().collect(),
            met: met.into_iter().collect(),
            shortlist: None,
        }
    }

    /// What each pattern of these groups that the caller meets has captured of its ID.
    pub(super) fn captures<'a>(
        &'a self,
        caller: &'a Caller,
        groups: &'a [GroupId],
        id: &'a SpiffeId,
    ) -> impl Iterator<Item = Vec<(&'a str, &'a str)>> + 'a {
        let of_group = |group: &GroupId| {
            let from = caller.met.partition_point(|(met, _)| met < group);
            caller.met.iter().skip(from)
        };
        groups.iter().flat_map(move |group| {
            let met = of_group(group).take_while(move |(met, _)| met == group);
            met.map(move |(_, pattern)| {
                let captures = self.captures.get(pattern).into_iter().flatten();
                captures
                    .filter_map(|(name, place)| {
                        Some((&**name, id.path().split('/').skip(1).nth(*place)?))
                    })
                    .collect()
            })
        })
    }
}

impl Caller {
    /// The caller with all that is said of it, for more than one decision.
    pub(super) fn with_shortlist(mut self, actions: &Actions) -> Self {
        self.shortlist = actions.shortlist(&self.sets);
        self
    }

    pub(super) fn shortlist(&self) -> Option<&[Said]> {
        self.shortlist.as_deref()
    }

    pub(super) fn sets(&self) -> &[SetId] {
        &self.sets
    }

    #[inline]
    pub(super) fn is_in(&self, set: SetId) -> bool {
        match &self.many {
            None => self.sets.contains(&set),
            Some(many) => many.contains(&set),
        }
    }
}

/// Collects what rules say of callers.
#[derive(Debug, Default)]
pub(super) struct CallersBuilder {
    callers: Callers,
    tries: HashMap<Box<str>, TrieBuilder<Vec<PatternId>>>,
    pattern_ids: HashMap<String, PatternId>,
    single: HashMap<PatternId, GroupId>,
    set_ids: HashMap<Vec<GroupId>, SetId>,
    groups: u32,
}

impl CallersBuilder {
    /// A group of these patterns.
    pub(super) fn group<'a>(
        &mut self,
        patterns: impl IntoIterator<Item = &'a IdPattern>,
    ) -> GroupId {
        let group = GroupId(self.groups);
        self.groups = self.groups.saturating_add(1);
        for pattern in patterns {
            let id = self.pattern(pattern);
            let groups = self.callers.groups_of.entry(id).or_default();
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        }
        group
    }

    /// The group of one pattern, the same for every rule that writes it.
    pub(super) fn single(&mut self, pattern: &IdPattern) -> GroupId {
        let id = self.pattern(pattern);
        if let Some(known) = self.single.get(&id) {
            return *known;
        }
        let group = self.group([pattern]);
        self.single.insert(id, group);
        group
    }

    /// The set of callers that are in one of the groups.
    pub(super) fn set(&mut self, mut groups: Vec<GroupId>) -> SetId {
        groups.sort_unstable();
        groups.dedup();
        if let Some(known) = self.set_ids.get(&groups) {
            return *known;
        }
        let next = u32::try_from(self.set_ids.len()).unwrap_or(u32::MAX);
        let set = SetId(next.saturating_add(AUTHENTICATED.0 + 1));
        for group in &groups {
            self.callers.sets_of.entry(*group).or_default().push(set);
        }
        self.set_ids.insert(groups, set);
        set
    }

    pub(super) fn build(self) -> Callers {
        let tries = self.tries.into_iter();
        Callers {
            patterns: tries.map(|(name, trie)| (name, trie.build())).collect(),
            ..self.callers
        }
    }

    fn pattern(&mut self, pattern: &IdPattern) -> PatternId {
        if let Some(known) = self.pattern_ids.get(pattern.as_str()) {
            return *known;
        }
        let id = PatternId(u32::try_from(self.pattern_ids.len()).unwrap_or(u32::MAX));
        self.pattern_ids.insert(pattern.as_str().to_owned(), id);
        let (path, open_ended) = path_of(pattern);
        let parts = || path.split('/').skip(1);
        let captures: Captures = parts()
            .enumerate()
            .filter_map(|(place, part)| Some((capture(part)?.into(), place)))
            .collect();
        let literal = !open_ended && captures.is_empty() && parts().all(|part| part != "*");
        if literal {
            let text = pattern.as_str().into();
            self.callers.exact.insert(text, id);
            return id;
        }
        if !captures.is_empty() {
            self.callers.captures.insert(id, captures);
        }
        let trie = self
            .tries
            .entry(pattern.trust_domain_name().into())
            .or_default();
        let segments = parts().map(|part| match part {
            "*" => PatternSegment::One,
            part if capture(part).is_some() => PatternSegment::One,
            part => PatternSegment::Literal(part),
        });
        trie.at(segments, open_ended).push(id);
        id
    }
}

fn path_of(pattern: &IdPattern) -> (&str, bool) {
    let text = pattern.as_str();
    let start = "spiffe://".len() + pattern.trust_domain_name().len();
    let path = text.get(start..).unwrap_or_default();
    match path.strip_suffix("/**") {
        Some(path) => (path, true),
        None => (path, false),
    }
}

fn capture(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}
