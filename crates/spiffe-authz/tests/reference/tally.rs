//! What the random pairs were: a comparison of nothing but default denies would show nothing.

use std::fmt;

use crate::generate::OWN;
use crate::policy::{Effect, Outcome, Policy, Request};
use crate::reference::Reference;
use crate::slip::Slip;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What `http` cannot hold.
    pub(crate) unsendable: usize,
    pairs: usize,
    classes: [usize; CLASSES.len()],
}

struct Pair<'a> {
    policy: &'a Policy,
    request: &'a Request,
    outcome: &'a Outcome,
    /// What it would be without a deny rule.
    without_denies: Outcome,
    /// What it would be in the reverse order.
    reversed: Outcome,
}

impl Pair<'_> {
    fn is_ruled(&self, allowed: bool) -> bool {
        self.outcome.reason == "rule" && self.outcome.allowed == allowed
    }

    fn is_peer_listed(&self) -> bool {
        self.request.peer.as_ref().is_none_or(|peer| {
            let mut domains = self.policy.trust_domains.iter();
            domains.any(|domain| peer.starts_with(&format!("spiffe://{}/", domain.name)))
        })
    }

    /// Whether the shadow differs from what is enforced, by a rule of its own.
    fn is_other_in_shadow(&self) -> bool {
        let shadow = self.outcome.shadow.as_ref();
        !self.policy.shadow && shadow.is_some_and(|shadow| shadow.allowed != self.outcome.allowed)
    }
}

/// A class of pairs, and how many there have to be in ten thousand.
type Class = (&'static str, usize, fn(&Pair<'_>) -> bool);

const CLASSES: &[Class] = &[
    ("allowed by a rule", 1500, |pair| pair.is_ruled(true)),
    ("  without a peer", 100, |pair| {
        pair.is_ruled(true) && pair.request.peer.is_none()
    }),
    ("  with an end user", 200, |pair| {
        pair.is_ruled(true) && pair.request.user.is_some() && !pair.policy.users.is_empty()
    }),
    ("  with HEAD", 200, |pair| {
        pair.is_ruled(true) && pair.request.method == "HEAD"
    }),
    ("  and by another rule too", 150, |pair| {
        pair.is_ruled(true) && pair.reversed.rule != pair.outcome.rule
    }),
    ("denied by a rule", 400, |pair| pair.is_ruled(false)),
    ("  with HEAD", 50, |pair| {
        pair.is_ruled(false) && pair.request.method == "HEAD"
    }),
    ("  against a rule that allows", 100, |pair| {
        pair.is_ruled(false) && pair.without_denies.allowed
    }),
    ("denied by an error in a deny rule", 75, |pair| {
        pair.outcome.reason == "condition_error" && pair.outcome.rule.is_some()
    }),
    ("denied after an error in an allow rule", 150, |pair| {
        pair.outcome.reason == "condition_error" && pair.outcome.rule.is_none()
    }),
    ("denied by default", 1000, |pair| {
        pair.outcome.reason == "default" && !pair.outcome.allowed
    }),
    ("denied without identity", 500, |pair| {
        pair.outcome.reason == "no_identity"
    }),
    ("bad user", 300, |pair| pair.outcome.reason == "bad_user"),
    ("bad request", 300, |pair| {
        pair.outcome.reason == "bad_request"
    }),
    ("status 401", 500, |pair| pair.outcome.status == 401),
    ("denied, and allowed in shadow", 100, |pair| {
        pair.is_other_in_shadow() && !pair.outcome.allowed
    }),
    ("allowed, and denied in shadow", 30, |pair| {
        pair.is_other_in_shadow() && pair.outcome.allowed
    }),
    ("policy in shadow", 200, |pair| pair.policy.shadow),
    ("escaped and canonical", 500, |pair| {
        pair.request.target.contains('%') && pair.outcome.reason != "bad_request"
    }),
    ("peer of a trust domain that is not listed", 500, |pair| {
        !pair.is_peer_listed()
    }),
    ("policy of 40 rules and more", 100, |pair| {
        pair.policy.rules.len() >= 40
    }),
    ("policy without a rule", 50, |pair| {
        pair.policy.rules.is_empty()
    }),
];

impl Tally {
    pub(crate) fn count(&mut self, policy: &Policy, requests: &[(&Request, Outcome)]) {
        let mut allows = policy.clone();
        allows.rules.retain(|rule| rule.effect == Effect::Allow);
        let decide = |policy, slip, request| {
            let reference = Reference {
                policy,
                own: OWN,
                slip,
            };
            reference.decide(request)
        };
        for (request, outcome) in requests {
            let pair = Pair {
                policy,
                request,
                outcome,
                without_denies: decide(&allows, None, request),
                reversed: decide(policy, Some(Slip::LastMatchIsNamed), request),
            };
            self.pairs += 1;
            for ((_, _, is_in), count) in CLASSES.iter().zip(&mut self.classes) {
                *count += usize::from(is_in(&pair));
            }
        }
    }

    pub(crate) fn assert_that_nothing_is_rare(&self) {
        // A run that repeats one failure is about that failure.
        if self.pairs < 10_000 {
            return;
        }
        for ((name, least, _), count) in CLASSES.iter().zip(self.classes) {
            assert!(
                count * 10_000 >= least * self.pairs,
                "too few: {name}\n{self}"
            );
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>9} pairs, {} more cannot be sent",
            self.pairs, self.unsendable
        )?;
        for ((name, _, _), count) in CLASSES.iter().zip(self.classes) {
            writeln!(f, "{count:>9} {name}")?;
        }
        Ok(())
    }
}
