//! Which rules speak of an action.

use hashbrown::HashMap;
use http::Method;
use smallvec::SmallVec;

use super::callers::{Caller, SetId};
use super::few::FewMap;
use super::trie::{Trie, segments_of};
use crate::policy::model::{Action, Effect, Methods};

/// A rule by its place in the file.
pub(super) type RuleId = u32;

/// Where no rule is.
pub(super) const NO_RULE: RuleId = RuleId::MAX;

#[derive(Debug, Default)]
pub(super) struct Actions {
    paths: Trie<FewMap<SetId, Cells>>,
    /// Methods that rules name and that have no number of their own.
    others: HashMap<Method, u32>,
}

/// The rules for one path pattern and one set of callers, by method.
type Cells = FewMap<u32, Cell>;

/// The rules for one method, or for every one, of [`Cells`].
#[derive(Debug)]
struct Cell {
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
    /// What has to be looked at, in the order of the file.
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

impl Actions {
    pub(super) fn add(&mut self, action: &Action, entry: Entry) {
        let keys: Option<Vec<u32>> = match &action.methods {
            Methods::Every => None,
            Methods::These(methods) => {
                Some(methods.iter().map(|method| self.number(method)).collect())
            }
        };
        let segments = action.path.segments.iter().map(Into::into);
        let sets = self.paths.at(segments, action.path.open_ended);
        sets.change(entry.set, |cells| {
            for key in keys.as_deref().unwrap_or(&[EVERY]) {
                cells.change(*key, |cell| cell.add(entry));
            }
        });
    }

    /// The rules that meet a canonical, decoded path, a method and a caller.
    #[inline]
    pub(super) fn find(&self, path: &str, method: &Method, caller: &Caller) -> Found {
        let mut found = Found {
            deny: NO_RULE,
            allow: NO_RULE,
            open: SmallVec::new(),
        };
        let method = standard(method).or_else(|| self.others.get(method).copied());
        self.paths.visit(segments_of(path), &mut |sets| {
            caller.each_in(sets, |cells| {
                let mut take = |method| {
                    if let Some(cell) = cells.get(method) {
                        found.take(cell);
                    }
                };
                take(EVERY);
                if let Some(method) = method {
                    take(method);
                }
                // `GET` covers `HEAD`, never the reverse.
                if method == Some(HEAD) {
                    take(GET);
                }
            });
        });
        if found.open.len() > 1 {
            found.open.sort_unstable();
            found.open.dedup();
        }
        found
    }

    fn number(&mut self, method: &Method) -> u32 {
        standard(method).unwrap_or_else(|| {
            let next = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
            let next = next.saturating_add(FIRST_OTHER);
            *self.others.entry(method.clone()).or_insert(next)
        })
    }
}

impl Cell {
    fn add(&mut self, entry: Entry) {
        match entry.plain {
            Some(Effect::Deny) => self.deny = self.deny.min(entry.rule),
            Some(Effect::Allow) => self.allow = self.allow.min(entry.rule),
            None if self.open.last() == Some(&entry.rule) => {}
            None => self.open.push(entry.rule),
        }
    }
}

impl Found {
    #[inline]
    fn take(&mut self, cell: &Cell) {
        self.deny = self.deny.min(cell.deny);
        self.allow = self.allow.min(cell.allow);
        if !cell.open.is_empty() {
            self.open.extend_from_slice(&cell.open);
        }
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
