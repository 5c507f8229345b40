//! What changes from one policy to another.

mod representatives;
mod side;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use http::Method;
use spiffe_peer::SpiffeId;

use self::representatives::{Ask, Representatives};
use self::side::Side;
use self::verdict::Verdict;
use super::harmless;
use super::trie::Budget;
use crate::policy::Policy;
use crate::policy::model::Mode;

/// The work for two policies: a few seconds on a slow machine.
const STEPS: u64 = 30_000_000;

/// Compares what two policies decide, for one caller and one request of every kind that they tell apart.
///
/// A caller or a request of a kind stands for all of its kind: wildcards are filled with a word that
/// neither policy knows, and with each word that other patterns have in the same place. What a condition
/// says of a request is not known: there, a pair is told as one that depends where what it depends on
/// has changed. What is in shadow is not compared.
#[must_use]
pub fn diff(old: &Policy, new: &Policy, at: SystemTime) -> Diff {
    let mut budget = Budget::new(STEPS);
    let (old_side, new_side) = (Side::new(old, at), Side::new(new, at));
    let representatives = Representatives::of(&old_side, &new_side, &mut budget);
    let by_rule = Classes::new(&representatives.callers);
    let mut changes = Vec::new();
    for ask in &representatives.asks {
        for index in by_rule.concerned(ask, &mut budget) {
            let Some(caller) = representatives.callers.get(index) else {
                continue;
            };
            let before = old_side.verdict(&caller.old, &ask.old);
            let after = new_side.verdict(&caller.new, &ask.new);
            if before != after {
                let principals = caller.id.as_ref().map(|id| {
                    let names = [&old_side, &new_side].map(|side| side.principals(id));
                    names.into_iter().flatten().collect::<BTreeSet<_>>()
                });
                changes.push(Change {
                    caller: caller.id.clone(),
                    principals: principals.into_iter().flatten().collect(),
                    method: ask.method.clone(),
                    target: ask.target.clone(),
                    before,
                    after,
                });
            }
        }
    }
    changes.sort_by(|one, other| one.key().cmp(&other.key()));
    Diff {
        changes,
        notes: notes(old, new),
        complete: !budget.is_spent() && !representatives.cut,
    }
}

/// What decides differently under two policies.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = |rule: &str| Policy::from_yaml(&format!("
/// version: 1
/// name: orders
/// trust_domains: {{ example.org: {{}} }}
/// principals: {{ shop: spiffe://example.org/ns/shop/sa/api }}
/// rules: [{{ name: read, {rule}, from: [shop] }}]
/// "));
/// let (old, new) = (policy("allow: ['GET /orders/{id}']")?, policy("allow: ['GET /orders/**']")?);
/// let diff = review::diff(&old, &new, SystemTime::now());
/// let told: Vec<_> = diff.changes().map(ToString::to_string).collect();
/// assert_eq!(told, ["deny -> allow: GET /orders by spiffe://example.org/ns/shop/sa/api (shop)"]);
/// assert!(diff.is_complete());
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone)]
pub struct Diff {
    changes: Vec<Change>,
    notes: Vec<String>,
    complete: bool,
}

/// A caller and a request that two policies decide differently, in the name of all of their kind.
///
/// ```
/// # use std::time::SystemTime;
/// # use spiffe_authz::policy::{Policy, review};
/// # let old = Policy::from_yaml("{ version: 1, name: x, rules: [] }")?;
/// # let new = Policy::from_yaml(
/// #     "{ version: 1, name: x, rules: [{ name: a, allow: ['GET /a'], from: anyone, because: a test }] }")?;
/// for change in review::diff(&old, &new, SystemTime::now()).changes() {
///     println!("{} {} by {:?}", change.method(), change.target(), change.caller());
/// }
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone)]
pub struct Change {
    caller: Option<SpiffeId>,
    principals: Vec<String>,
    method: Method,
    target: String,
    before: Verdict,
    after: Verdict,
}

impl Diff {
    /// What changed, by path, method and caller.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    /// Whether everything was compared. If not, the policies are too large for it, and what is told is not
    /// all that changed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Change {
    /// Who calls; `None` for somebody without an identity.
    #[must_use]
    pub fn caller(&self) -> Option<&SpiffeId> {
        self.caller.as_ref()
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target of the request, as it would arrive.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the old policy allows it; `None` where that depends on more than caller and request line.
    #[must_use]
    pub fn was_allowed(&self) -> Option<bool> {
        self.before.is_allowed()
    }

    /// Whether the new policy allows it; `None` where that depends on more than caller and request line.
    #[must_use]
    pub fn is_allowed(&self) -> Option<bool> {
        self.after.is_allowed()
    }

    fn key(&self) -> (&str, &str, Option<String>) {
        let caller = self.caller.as_ref().map(ToString::to_string);
        (&self.target, self.method.as_str(), caller)
    }
}

/// Which callers meet a rule, so that only those are asked that a rule of a request speaks of.
struct Classes {
    old: BTreeMap<usize, Vec<usize>>,
    new: BTreeMap<usize, Vec<usize>>,
}

impl Classes {
    fn new(callers: &[representatives::Caller]) -> Self {
        let mut classes = Self {
            old: BTreeMap::new(),
            new: BTreeMap::new(),
        };
        for (index, caller) in callers.iter().enumerate() {
            for rule in &caller.old {
                classes.old.entry(*rule).or_default().push(index);
            }
            for rule in &caller.new {
                classes.new.entry(*rule).or_default().push(index);
            }
        }
        classes
    }

    fn concerned(&self, ask: &Ask, budget: &mut Budget) -> BTreeSet<usize> {
        let old = ask.old.iter().filter_map(|rule| self.old.get(rule));
        let new = ask.new.iter().filter_map(|rule| self.new.get(rule));
        let mut concerned = BTreeSet::new();
        for callers in old.chain(new) {
            if !budget.spend(1 + callers.len()) {
                break;
            }
            concerned.extend(callers);
        }
        concerned
    }
}

/// What changes for requests of every kind.
fn notes(old: &Policy, new: &Policy) -> Vec<String> {
    let mut notes = Vec::new();
    let modes = [old, new].map(|policy| policy.model().mode);
    let of = |mode| match mode {
        Mode::Enforce => "is enforced",
        Mode::Shadow => "is in shadow and lets everything pass",
    };
    if let [before, after] = modes.map(of)
        && before != after
    {
        notes.push(format!(
            "the old policy {before}, the new one {after}: below is what their rules say"
        ));
    }
    let [before, after] = [old, new].map(|policy| {
        let users = policy.model().users.iter();
        let mut users: Vec<_> = users.map(verdict::of_source).collect();
        users.sort();
        users
    });
    if before != after {
        notes.push(
            "`users` differs: requests with an end user's token may be refused where they were not, and the reverse"
                .to_owned(),
        );
    }
    notes
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            before,
            after,
            method,
            target,
            ..
        } = self;
        write!(f, "{before} -> {after}: {method} {} by ", harmless(target))?;
        match &self.caller {
            None => f.write_str("nobody"),
            Some(id) => write!(f, "{id}"),
        }?;
        let names: Vec<_> = self.principals.iter().map(|name| harmless(name)).collect();
        match names.as_slice() {
            [] => Ok(()),
            names => write!(f, " ({})", names.join(", ")),
        }
    }
}

/// A line for each change, and one that counts them.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        match self.changes.len() {
            0 => f.write_str("no decision changes")?,
            1 => f.write_str("1 decision changes")?,
            more => write!(f, "{more} decisions change")?,
        }
        if !self.complete {
            f.write_str(
                "; the policies are too large to compare all of them, so there may be more",
            )?;
        }
        Ok(())
    }
}
