//! The steps of POLICY.md, "Decision", one after the other: every rule, every action, every pattern,
//! in the order of the file.

use crate::canonical::{Canonical, canonical};
use crate::evaluation::{Facts, Failed};
use crate::pattern::{self, Captures};
use crate::policy::{Effect, From, Outcome, Policy, Request, Rule, Shadow, User};
use crate::slip::Slip;
use crate::user;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'a> {
    pub(crate) policy: &'a Policy,
    /// The service's own trust domain.
    pub(crate) own: &'a str,
    /// What it gets wrong.
    pub(crate) slip: Option<Slip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Error,
}

/// What the steps come to, with or without what is in shadow.
#[derive(Debug)]
struct Verdict {
    allowed: bool,
    rule: Option<String>,
    reason: &'static str,
}

impl Verdict {
    fn deny(rule: Option<&Rule>, reason: &'static str) -> Self {
        Self {
            allowed: false,
            rule: rule.map(|rule| rule.name.clone()),
            reason,
        }
    }
}

/// Step 7 names the rules in shadow apart; which run of the steps this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Enforced,
    WithShadow,
}

impl Reference<'_> {
    pub(crate) fn decide(&self, request: &Request) -> Outcome {
        let enforced = self.steps(request, Run::Enforced);
        let in_shadow = self.policy.shadow || self.policy.rules.iter().any(|rule| rule.shadow);
        let shadow = in_shadow.then(|| {
            let verdict = self.steps(request, Run::WithShadow);
            Shadow {
                allowed: verdict.allowed,
                rule: verdict.rule,
            }
        });
        let decides_nothing = self.policy.shadow && self.slip != Some(Slip::ShadowModeIsEnforced);
        if decides_nothing && enforced.reason != "bad_request" {
            return Outcome {
                allowed: true,
                status: 200,
                rule: None,
                reason: "default",
                shadow,
            };
        }
        Outcome {
            allowed: enforced.allowed,
            status: self.status(&enforced, request),
            rule: enforced.rule,
            reason: enforced.reason,
            shadow,
        }
    }

    fn status(&self, verdict: &Verdict, request: &Request) -> u16 {
        match (verdict.allowed, verdict.reason, &request.peer) {
            (true, _, _) => 200,
            (false, "bad_request", _) => 400,
            (false, _, _) if self.slip == Some(Slip::StatusIsAlways403) => 403,
            (false, "bad_user", _) | (false, _, None) => 401,
            (false, _, Some(_)) => 403,
        }
    }

    fn steps(&self, request: &Request, run: Run) -> Verdict {
        // 1. The request is canonical or it is refused.
        let Some(canonical) = canonical(request, self.slip) else {
            return Verdict::deny(None, "bad_request");
        };
        // 2. An end-user token that is present and bad is refused.
        let Ok(user) = user::accepted(self.policy, request, self.slip) else {
            return Verdict::deny(None, "bad_user");
        };
        let matches = |rule: &Rule| self.matches(rule, request, &canonical, user);
        let rules = self.in_order(run);

        // 3. Deny rules: one match denies, and so does an error.
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Deny) {
            if self.slip == Some(Slip::FirstMatchDecides)
                && let Some(first) = rules.iter().find(|rule| matches(rule) == Match::Yes)
                && first.effect == Effect::Allow
            {
                break;
            }
            match matches(rule) {
                Match::Yes => return Verdict::deny(Some(rule), "rule"),
                Match::Error if self.slip == Some(Slip::DenyErrorPasses) => {}
                Match::Error => return Verdict::deny(Some(rule), "condition_error"),
                Match::No => {}
            }
        }
        // 4. Allow rules: one match allows. An error means that it does not match, and is recorded.
        let mut error = false;
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Allow) {
            let matched = match matches(rule) {
                Match::Error if self.slip == Some(Slip::AllowErrorAllows) => Match::Yes,
                matched => matched,
            };
            error |= matched == Match::Error;
            if matched == Match::Yes {
                return Verdict {
                    allowed: true,
                    rule: Some(rule.name.clone()),
                    reason: "rule",
                };
            }
        }
        // 5. Otherwise deny.
        match &request.peer {
            _ if error => Verdict::deny(None, "condition_error"),
            None => Verdict::deny(None, "no_identity"),
            Some(_) => Verdict::deny(None, "default"),
        }
    }

    /// The rules that count in this run, in the order of the file.
    fn in_order(&self, run: Run) -> Vec<&Rule> {
        let counts = |rule: &&Rule| match run {
            Run::Enforced => !rule.shadow || self.slip == Some(Slip::ShadowIsEnforced),
            Run::WithShadow => !rule.shadow || self.slip != Some(Slip::ShadowIsNotCounted),
        };
        let mut rules: Vec<&Rule> = self.policy.rules.iter().filter(counts).collect();
        if self.slip == Some(Slip::LastMatchIsNamed) {
            rules.reverse();
        }
        rules
    }

    /// A rule matches if any pair of its actions and ID patterns meets the request, and `user` and
    /// `when` hold for that pair; an error counts only if no pair matches.
    fn matches(
        &self,
        rule: &Rule,
        request: &Request,
        canonical: &Canonical,
        user: Option<&User>,
    ) -> Match {
        if let Some(expires) = rule.expires
            && self.slip != Some(Slip::ExpiryIsForgotten)
            && (request.at > expires
                || (request.at == expires && self.slip != Some(Slip::ExpiryIsLate)))
        {
            return Match::No;
        }
        if let Some(demand) = &rule.user
            && !user::is_demanded(demand, user, self.policy, self.slip)
        {
            return Match::No;
        }
        let mut outcome = Match::No;
        for action in &rule.actions {
            let Some(path) =
                pattern::action(action, &request.method, &canonical.segments, self.slip)
            else {
                continue;
            };
            for id in self.callers(&rule.from, request) {
                let Some(when) = &rule.when else {
                    return Match::Yes;
                };
                let facts = Facts {
                    request,
                    canonical,
                    user,
                    path: &path,
                    id: &id,
                    slip: self.slip,
                };
                match facts.holds(when) {
                    Ok(true) => return Match::Yes,
                    Ok(false) => {}
                    Err(Failed) if self.slip == Some(Slip::ErrorBeatsALaterMatch) => {
                        return Match::Error;
                    }
                    Err(Failed) => outcome = Match::Error,
                }
                if self.slip == Some(Slip::OnePairIsAsked) {
                    return outcome;
                }
            }
        }
        outcome
    }

    /// What each of a rule's ID patterns captures from the peer, of those that meet it.
    fn callers(&self, from: &From, request: &Request) -> Vec<Captures> {
        let entries = match (from, &request.peer) {
            (From::Anyone, _) | (From::Authenticated, Some(_)) => return vec![Captures::new()],
            (From::Authenticated, None) if self.slip == Some(Slip::AuthenticatedIsAnyone) => {
                return vec![Captures::new()];
            }
            (From::Authenticated | From::These(_), None) => return Vec::new(),
            (From::These(entries), Some(_)) => entries,
        };
        let peer = request.peer.as_deref().unwrap();
        let mut met = Vec::new();
        for entry in entries {
            let named = self
                .policy
                .principals
                .iter()
                .find(|principal| principal.name == *entry);
            let patterns = match named {
                Some(principal) => principal.patterns.clone(),
                None => vec![entry.clone()],
            };
            for pattern in patterns {
                met.extend(pattern::caller(&pattern, self.own, peer, self.slip));
            }
        }
        met
    }
}
