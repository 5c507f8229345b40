//! A policy decided the slow way: every rule, one after the other, by the words of the language.
//!
//! It shares no step with the index, so that an explanation that differs from the decision shows a fault.

mod look;

use self::look::Asked;
pub(super) use self::look::{Clause, Look};
use crate::canonical;
use crate::policy::model::{Effect, Mode, RuleModel};
use crate::policy::query::Query;
use crate::policy::{Policy, users};

/// One way of deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    pub(super) rule: Option<usize>,
    pub(super) reason: &'static str,
    pub(super) status: u16,
}

/// A request that was decided.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) enforced: Verdict,
    /// `None` where nothing is in shadow.
    pub(super) shadow: Option<Verdict>,
    /// One for each rule; none where the request was refused before any was looked at.
    pub(super) looks: Vec<Look>,
}

pub(super) fn judge(policy: &Policy, query: &Query<'_>) -> Judged {
    let model = policy.model();
    let has_shadow = model.mode == Mode::Shadow || model.rules.iter().any(|rule| rule.shadow);
    let refused = |reason, status| Verdict {
        allowed: false,
        rule: None,
        reason,
        status,
    };
    let early = |verdict: Verdict, enforced: Verdict| Judged {
        enforced,
        shadow: has_shadow.then_some(verdict),
        looks: Vec::new(),
    };
    let Ok(target) = canonical::read(query.target(), query.authority, query.headers) else {
        let verdict = refused("bad_request", 400);
        return early(verdict, verdict);
    };
    let passes = Verdict {
        allowed: true,
        rule: None,
        reason: "default",
        status: 200,
    };
    let enforced_as = |verdict| match model.mode {
        Mode::Enforce => verdict,
        Mode::Shadow => passes,
    };
    if let Some(user) = query.user.get()
        && !model.users.is_empty()
        && !users::may_be_believed(&model.users, user, query.peer)
    {
        let verdict = refused("bad_user", 401);
        return early(verdict, enforced_as(verdict));
    }
    let asked = Asked::new(policy, query, &target);
    let looks: Vec<_> = model.rules.iter().map(|rule| asked.look(rule)).collect();
    let has_peer = query.peer.id().is_some();
    let decide = |with_shadow: bool| {
        let counted = || {
            let all = model.rules.iter().zip(&looks).enumerate();
            all.filter(move |(_, (rule, _))| with_shadow || !rule.shadow)
        };
        decide(counted, has_peer)
    };
    Judged {
        enforced: enforced_as(decide(false)),
        shadow: has_shadow.then(|| decide(true)),
        looks,
    }
}

fn decide<'a, I>(counted: impl Fn() -> I, has_peer: bool) -> Verdict
where
    I: Iterator<Item = (usize, (&'a RuleModel, &'a Look))>,
{
    let denied = if has_peer { 403 } else { 401 };
    for (id, (rule, look)) in counted() {
        if rule.effect == Effect::Deny && (look.matches() || look.errs()) {
            let reason = if look.matches() {
                "rule"
            } else {
                "condition_error"
            };
            return Verdict {
                allowed: false,
                rule: Some(id),
                reason,
                status: denied,
            };
        }
    }
    let mut erred = false;
    for (id, (rule, look)) in counted() {
        if rule.effect == Effect::Allow {
            if look.matches() {
                return Verdict {
                    allowed: true,
                    rule: Some(id),
                    reason: "rule",
                    status: 200,
                };
            }
            erred |= look.errs();
        }
    }
    let reason = match (erred, has_peer) {
        (true, _) => "condition_error",
        (false, true) => "default",
        (false, false) => "no_identity",
    };
    Verdict {
        allowed: false,
        rule: None,
        reason,
        status: denied,
    }
}
