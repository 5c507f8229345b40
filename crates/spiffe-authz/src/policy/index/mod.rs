//! A policy, ready to decide: by its callers and its actions, never by going through its rules.

mod actions;
mod callers;
mod compile;
mod few;
mod rules;
mod shortlist;
mod subject;
mod trie;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;
use spiffe_peer::PeerIdentity;

use self::actions::{Actions, Found};
pub(super) use self::actions::{NO_RULE, RuleId};
use self::callers::{Caller, Callers};
use self::rules::{CompiledRule, Matched};
use self::subject::Subject;
use super::decision::{ConditionError, Decision, Outcome, Why};
use super::model::{Effect, Mode, UserSource};
use super::query::{Peer, Query};
use super::users;
use crate::canonical::{self, Canonical};

/// The compiled form of a policy.
#[derive(Debug)]
pub(crate) struct Index {
    name: Box<str>,
    generation: u64,
    mode: Mode,
    users: Vec<UserSource>,
    rules: Vec<CompiledRule>,
    callers: Callers,
    actions: Actions,
    nobody: Caller,
    has_shadow: bool,
}

/// A decision, unless a rule that may decide reads the resource, which has not been asked for.
pub(crate) type Step<'p> = Result<Decision<'p>, NeedsResource>;

/// The decision has to know the resource first.
#[derive(Debug)]
pub(crate) struct NeedsResource;

/// What a policy has found out about a peer; what every decision reads lies at the beginning, together.
#[derive(Debug)]
#[repr(C)]
struct Known {
    generation: u64,
    caller: Caller,
}

/// What policies remember of a peer whom another policy was the first to resolve.
#[derive(Debug, Clone, Default)]
struct Remembered(SmallVec<[Arc<Known>; 1]>);

/// So many policies may remember one peer; more take turns.
const REMEMBERED: usize = 4;

impl Index {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn rule_name(&self, rule: RuleId) -> Option<&str> {
        let rule = self.rules.get(usize::try_from(rule).ok()?)?;
        Some(&rule.name)
    }

    /// The decision where nobody can tell what the resource is, though that was to be known by now.
    pub(crate) fn undecidable(&self, query: &Query<'_>) -> Decision<'_> {
        self.refusal(query, Why::Undecided)
    }

    /// Decides, or says that it has to know the resource first.
    ///
    /// Not inlined: the compiler would take what is returned apart and put it together again, byte by
    /// byte, which costs as much as half a decision.
    #[inline(never)]
    pub(crate) fn step(&self, query: &Query<'_>) -> Step<'_> {
        // First, since it lies elsewhere in memory: it is on its way while the request is read.
        let known = match query.peer {
            Peer::Nobody => Some(&self.nobody),
            Peer::Id(_) => None,
            Peer::Verified(peer) => peer.first_resolved().and_then(|first| self.own(first)),
        };
        let target = match canonical::read(query.target(), query.authority, query.headers) {
            Ok(target) => target,
            Err(why) => return Ok(self.refusal(query, Why::BadRequest(why))),
        };
        if !self.users.is_empty()
            && let Some(user) = query.user.get()
            && !users::may_be_believed(&self.users, user, query.peer)
        {
            return Ok(self.refusal(query, Why::BadUser));
        }
        match known {
            Some(caller) => self.find(query, &target, caller),
            None => self.find_unknown(query, &target),
        }
    }

    #[inline(always)]
    fn find(&self, query: &Query<'_>, target: &Canonical<'_>, caller: &Caller) -> Step<'_> {
        let mut found = Found::default();
        self.actions
            .find(&target.path, query.method, caller, &mut found);
        if found.open.is_empty() {
            let outcome = found.plain(query.peer.id().is_some());
            let shadow = self.has_shadow.then_some(outcome);
            return Ok(self.decision(query, outcome, shadow));
        }
        found.put_in_order();
        let mut errors = Vec::new();
        let (enforced, shadow) = self.weigh(&found, query, target, caller, &mut errors)?;
        Ok(Decision {
            errors: (!errors.is_empty()).then(|| errors.into()),
            ..self.decision(query, enforced, shadow)
        })
    }

    /// Judges what has to be looked at, each rule once.
    #[cold]
    fn weigh(
        &self,
        found: &Found,
        query: &Query<'_>,
        target: &Canonical<'_>,
        caller: &Caller,
        errors: &mut Vec<ConditionError>,
    ) -> Result<(Outcome, Option<Outcome>), NeedsResource> {
        let subject = Subject::new(query, target);
        let mut judged = SmallVec::<[(RuleId, &CompiledRule, Matched); 16]>::new();
        for id in &found.open {
            let Some(rule) = usize::try_from(*id).ok().and_then(|id| self.rules.get(id)) else {
                continue;
            };
            let matched = rule.judge(self, caller, &subject);
            if let Matched::Error(what) = &matched {
                errors.push(ConditionError {
                    rule: *id,
                    what: what.clone(),
                });
            }
            judged.push((*id, rule, matched));
        }
        let has_peer = query.peer.id().is_some();
        let outcome = |with_shadow: bool| {
            let counted = || {
                judged
                    .iter()
                    .filter(move |(_, rule, _)| with_shadow || !rule.shadow)
            };
            found.weigh(&counted, has_peer)
        };
        let enforced = outcome(false)?;
        let shadow = if self.has_shadow {
            Some(outcome(true)?)
        } else {
            None
        };
        Ok((enforced, shadow))
    }

    #[cold]
    fn refusal(&self, query: &Query<'_>, why: Why) -> Decision<'_> {
        let outcome = Outcome {
            allowed: false,
            rule: NO_RULE,
            why,
        };
        let canonical = !matches!(why, Why::BadRequest(_));
        if canonical {
            self.decision(query, outcome, self.has_shadow.then_some(outcome))
        } else {
            Decision {
                index: self,
                outcome,
                shadow: self.has_shadow.then_some(outcome),
                has_peer: query.peer.id().is_some(),
                errors: None,
            }
        }
    }

    #[inline]
    fn decision(
        &self,
        query: &Query<'_>,
        enforced: Outcome,
        shadow: Option<Outcome>,
    ) -> Decision<'_> {
        let outcome = match self.mode {
            Mode::Enforce => enforced,
            // It decides nothing: what is canonical passes.
            Mode::Shadow => Outcome {
                allowed: true,
                rule: NO_RULE,
                why: Why::Default,
            },
        };
        Decision {
            index: self,
            outcome,
            shadow,
            has_peer: query.peer.id().is_some(),
            errors: None,
        }
    }

    /// Decides about a caller whom this policy was not the first to resolve.
    #[inline(never)]
    fn find_unknown(&self, query: &Query<'_>, target: &Canonical<'_>) -> Step<'_> {
        let find = |caller: &Caller| self.find(query, target, caller);
        let Peer::Verified(peer) = query.peer else {
            return find(&self.callers.resolve(query.peer.id()));
        };
        if let Some(first) = peer.resolve_first(|| self.resolve(peer))
            && let Some(caller) = self.own(first)
        {
            return find(caller);
        }
        let among = |last: &Remembered| last.0.iter().find_map(|known| self.own(known)).map(find);
        let found = peer.last_resolved(among).flatten();
        found.unwrap_or_else(|| find(&self.remember(peer).caller))
    }

    /// The caller, if it is this policy that has resolved it.
    #[inline]
    fn own<'k>(&self, known: &'k Known) -> Option<&'k Caller> {
        (known.generation == self.generation).then_some(&known.caller)
    }

    /// Finds out what is said of the peer.
    fn resolve(&self, peer: &PeerIdentity) -> Known {
        let caller = self.callers.resolve(Some(peer.spiffe_id()));
        Known {
            generation: self.generation,
            caller: caller.with_shortlist(&self.actions),
        }
    }

    /// The same, to be remembered beside what others have found out.
    #[cold]
    fn remember(&self, peer: &PeerIdentity) -> Arc<Known> {
        let ours = Arc::new(self.resolve(peer));
        let Remembered(mut all) = peer.last_resolved(Remembered::clone).unwrap_or_default();
        if all.len() >= REMEMBERED {
            all.remove(0);
        }
        all.push(ours.clone());
        peer.set_last_resolved(Remembered(all));
        ours
    }
}

impl Found {
    #[inline]
    fn plain(&self, has_peer: bool) -> Outcome {
        let (allowed, rule) = match (self.deny, self.allow) {
            (NO_RULE, NO_RULE) => return nothing_matched(has_peer, false),
            (NO_RULE, allow) => (true, allow),
            (deny, _) => (false, deny),
        };
        Outcome {
            allowed,
            rule,
            why: Why::Rule,
        }
    }

    /// Steps 3 to 5: the first rule that denies, else the first that allows, else nothing.
    fn weigh<'a, I>(
        &self,
        counted: &impl Fn() -> I,
        has_peer: bool,
    ) -> Result<Outcome, NeedsResource>
    where
        I: Iterator<Item = &'a (RuleId, &'a CompiledRule, Matched)>,
    {
        let of = |effect: Effect, before: RuleId| {
            counted().filter(move |(id, rule, _)| rule.effect == effect && *id < before)
        };
        for (id, _, matched) in of(Effect::Deny, self.deny) {
            let why = match matched {
                Matched::No => continue,
                Matched::NeedsResource => return Err(NeedsResource),
                Matched::Yes => Why::Rule,
                Matched::Error(_) => Why::ConditionError,
            };
            return Ok(Outcome {
                allowed: false,
                rule: *id,
                why,
            });
        }
        if self.deny != NO_RULE {
            return Ok(self.plain(has_peer));
        }
        let mut erred = false;
        for (id, _, matched) in of(Effect::Allow, self.allow) {
            match matched {
                Matched::No => {}
                Matched::NeedsResource => return Err(NeedsResource),
                Matched::Error(_) => erred = true,
                Matched::Yes => {
                    return Ok(Outcome {
                        allowed: true,
                        rule: *id,
                        why: Why::Rule,
                    });
                }
            }
        }
        if self.allow != NO_RULE {
            return Ok(self.plain(has_peer));
        }
        Ok(nothing_matched(has_peer, erred))
    }
}

fn nothing_matched(has_peer: bool, erred: bool) -> Outcome {
    Outcome {
        allowed: false,
        rule: NO_RULE,
        why: match (erred, has_peer) {
            (true, _) => Why::ConditionError,
            (false, true) => Why::Default,
            (false, false) => Why::NoIdentity,
        },
    }
}

fn next_generation() -> u64 {
    static GENERATIONS: AtomicU64 = AtomicU64::new(1);
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}
