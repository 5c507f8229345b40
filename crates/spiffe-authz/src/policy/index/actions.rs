//! Which rules speak of an action.

use hashbrown::HashMap;
use http::Method;
use smallvec::SmallVec;

use super::callers::{Caller, SetId};
use super::few::FewMap;
use super::shortlist::{FEW, Said};
use super::trie::{Trie, TrieBuilder, segments_of};
use crate::policy::model::{Action, Effect, Methods};

/// A rule by its place in the file.
pub(in crate::policy) type RuleId = u32;

/// Where no rule is.
pub(in crate::policy) const NO_RULE: RuleId = RuleId::MAX;

#[derive(Debug)]
pub(super) struct Actions {
    paths: Trie<Cells>,
    /// What is said of a set of callers; of much only the beginning, for it is not gone through.
    of_sets: HashMap<SetId, Vec<Said>>,
    /// Methods that rules name and that have no number of their own.
    others: HashMap<Method, u32>,
}

/// Collects what rules say of actions.
#[derive(Debug, Default)]
pub(super) struct ActionsBuilder {
    paths: TrieBuilder<Cells>,
    of_sets: HashMap<SetId, Vec<Said>>,
    others: HashMap<Method, u32>,
}

/// The rules for one path pattern.
type Cells = FewMap<Key, Cell>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    set: SetId,
    method: u32,
}

/// The rules for one set of callers, and for one method or for every one.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The first rule in the file that denies, whatever else is said of the request.
    deny: RuleId,
    /// The first rule in the file that allows, whatever else is said of the request.
    allow: RuleId,
    /// Rules that have to be looked at: conditions, users, ends, shadow.
    open: Vec<RuleId>,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            deny: NO_RULE,
            allow: NO_RULE,
            open: Vec::new(),
        }
    }
}

/// What the index finds for a request.
#[derive(Debug)]
pub(super) struct Found {
    /// The first rule that denies for sure.
    pub(super) deny: RuleId,
    /// The first rule that allows for sure, if none denies.
    pub(super) allow: RuleId,
    /// What has to be looked at, in no order.
    pub(super) open: SmallVec<[RuleId; 16]>,
}

/// How a rule enters the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) rule: RuleId,
    pub(super) set: SetId,
    /// The effect, if it needs no look at anything but the caller and the action.
    pub(super) plain: Option<Effect>,
}

impl ActionsBuilder {
    pub(super) fn add(&mut self, action: &Action, entry: Entry) {
        let keys: Option<Vec<u32>> = match &action.methods {
            Methods::Every => None,
            Methods::These(methods) => {
                Some(methods.iter().map(|method| self.number(method)).collect())
            }
        };
        let segments = action.path.segments.iter().map(Into::into);
        let cells = self.paths.at(segments, action.path.open_ended);
        let of_set = self.of_sets.entry(entry.set).or_default();
        for method in keys.as_deref().unwrap_or(&[EVERY]) {
            if of_set.len() <= FEW {
                of_set.push(Said::new(&action.path, *method, entry));
            }
            let key = Key {
                set: entry.set,
                method: *method,
            };
            cells.change(key, |cell| cell.add(entry));
        }
    }

    pub(super) fn build(self) -> Actions {
        Actions {
            paths: self.paths.build(),
            of_sets: self.of_sets,
            others: self.others,
        }
    }

    fn number(&mut self, method: &Method) -> u32 {
        standard(method).unwrap_or_else(|| {
            let next = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
            let next = next.saturating_add(FIRST_OTHER);
            *self.others.entry(method.clone()).or_insert(next)
        })
    }
}

impl Actions {
    /// Finds the rules that meet a canonical, decoded path, a method and a caller.
    #[inline]
    pub(super) fn find(&self, path: &str, method: &Method, caller: &Caller, found: &mut Found) {
        let method = match standard(method) {
            None if !self.others.is_empty() => self.other(method),
            standard => standard,
        };
        // `GET` covers `HEAD`, never the reverse.
        let covering = if method == Some(HEAD) { GET } else { EVERY };
        let methods = [EVERY, method.unwrap_or(EVERY), covering];
        match caller.shortlist() {
            Some(all) => found.take_some(all, segments_of(path), &methods),
            None => self.visit(path, &methods, caller, found),
        }
    }

    #[cold]
    fn visit(&self, path: &str, methods: &[u32; 3], caller: &Caller, found: &mut Found) {
        self.paths.visit(segments_of(path), &mut |cells| {
            found.take_all(cells, methods, caller);
        });
    }

    /// All that is said of these sets, if it is little.
    pub(super) fn shortlist(&self, sets: &[SetId]) -> Option<SmallVec<[Said; 2]>> {
        let all = || {
            sets.iter()
                .filter_map(|set| self.of_sets.get(set))
                .flatten()
        };
        (all().count() <= FEW).then(|| all().cloned().collect())
    }

    #[cold]
    fn other(&self, method: &Method) -> Option<u32> {
        self.others.get(method).copied()
    }
}

impl Cell {
    pub(super) fn of(entry: Entry) -> Self {
        let mut cell = Self::default();
        cell.add(entry);
        cell
    }

    fn add(&mut self, entry: Entry) {
        match entry.plain {
            Some(Effect::Deny) => self.deny = self.deny.min(entry.rule),
            Some(Effect::Allow) => self.allow = self.allow.min(entry.rule),
            None if self.open.last() == Some(&entry.rule) => {}
            None => self.open.push(entry.rule),
        }
    }
}

impl Default for Found {
    #[inline]
    fn default() -> Self {
        Self {
            deny: NO_RULE,
            allow: NO_RULE,
            open: SmallVec::new(),
        }
    }
}

impl Found {
    /// Puts what has to be looked at in the order of the file.
    pub(super) fn put_in_order(&mut self) {
        self.open.sort_unstable();
        self.open.dedup();
    }

    /// Takes what speaks of the path and one of the methods.
    #[inline]
    fn take_some(&mut self, all: &[Said], path: &[u8], methods: &[u32; 3]) {
        for said in all {
            if methods.contains(&said.method) && said.speaks_of(path) {
                self.take(&said.cell);
            }
        }
    }

    /// Takes what speaks of the caller and one of the methods, in time that depends on the smaller of
    /// what stands here and what the caller is in.
    #[inline]
    fn take_all(&mut self, cells: &Cells, methods: &[u32; 3], caller: &Caller) {
        if cells.len() <= methods.len() * caller.sets().len() {
            for (key, cell) in cells.iter() {
                if methods.contains(&key.method) && caller.is_in(key.set) {
                    self.take(cell);
                }
            }
        } else {
            self.look_up(cells, methods, caller);
        }
    }

    #[inline(never)]
    fn look_up(&mut self, cells: &Cells, methods: &[u32; 3], caller: &Caller) {
        for set in caller.sets() {
            for method in methods {
                let key = Key {
                    set: *set,
                    method: *method,
                };
                if let Some(cell) = cells.get(key) {
                    self.take(cell);
                }
            }
        }
    }

    #[inline]
    fn take(&mut self, cell: &Cell) {
        self.deny = self.deny.min(cell.deny);
        self.allow = self.allow.min(cell.allow);
        if !cell.open.is_empty() {
            self.take_open(&cell.open);
        }
    }

    #[cold]
    fn take_open(&mut self, open: &[RuleId]) {
        self.open.extend_from_slice(open);
    }
}

const GET: u32 = 0;
const HEAD: u32 = 1;
const FIRST_OTHER: u32 = 9;
/// In place of a method: what is said of every one. More methods than numbers below it fit into no
/// file.
const EVERY: u32 = u32::MAX;

fn standard(method: &Method) -> Option<u32> {
    Some(match *method {
        Method::GET => GET,
        Method::HEAD => HEAD,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::PATCH => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 7,
        Method::CONNECT => 8,
        _ => return None,
    })
}
