//! How one rule stands to a request, clause by clause.

use std::time::SystemTime;

use spiffe_peer::{IdPattern, SpiffeId};

use crate::canonical::Canonical;
use crate::policy::Policy;
use crate::policy::condition::{Condition, Facts, UserFacts};
use crate::policy::model::{Action, From, Methods, RuleModel};
use crate::policy::path::Segment;
use crate::policy::query::{Query, Resource};
use crate::policy::review::{callers, conditions};

/// What a rule can fail by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy::review) enum Clause {
    Method,
    Path,
    Caller,
    User,
    When,
    Expired,
}

impl Clause {
    pub(in crate::policy::review) fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::Caller => "caller",
            Self::User => "user",
            Self::When => "when",
            Self::Expired => "expired",
        }
    }
}

/// How one rule stands to a request.
#[derive(Debug, Default)]
pub(in crate::policy::review) struct Look {
    /// The clauses that do not hold, as far as was looked: two suffice to say that it is far away.
    pub(in crate::policy::review) failed: Vec<Clause>,
    /// What the condition said in place of true or false.
    pub(in crate::policy::review) error: Option<String>,
}

impl Look {
    pub(in crate::policy::review) fn matches(&self) -> bool {
        self.failed.is_empty()
    }

    /// Whether all but the condition holds, and that could not be told.
    pub(in crate::policy::review) fn errs(&self) -> bool {
        self.failed == [Clause::When] && self.error.is_some()
    }
}

/// A canonical request, and everything that conditions can read of it.
pub(super) struct Asked<'a> {
    policy: &'a Policy,
    query: &'a Query<'a>,
    path: &'a str,
    host: Option<String>,
    peer: Option<(String, String)>,
    now: SystemTime,
}

type Captures<'a> = Vec<(&'a str, &'a str)>;

impl<'a> Asked<'a> {
    pub(super) fn new(policy: &'a Policy, query: &'a Query<'a>, target: &'a Canonical<'a>) -> Self {
        let id = query.peer.id();
        Self {
            policy,
            query,
            path: &target.path,
            host: target.host(),
            peer: id.map(|id| (id.to_string(), id.trust_domain_name().to_owned())),
            now: query.at.unwrap_or_else(SystemTime::now),
        }
    }

    pub(super) fn look(&self, rule: &RuleModel) -> Look {
        let mut look = Look::default();
        let paths = self.paths(rule, &mut look);
        let (caller, bound) = self.callers(rule);
        if !caller {
            look.failed.push(Clause::Caller);
        }
        if rule.expires.is_some_and(|end| end <= self.now) {
            look.failed.push(Clause::Expired);
        }
        if look.failed.len() > 1 {
            return look;
        }
        let model = self.policy.model();
        if let Some(demand) = &rule.user
            && !demand.is_met(&model.users, self.query.user.get())
        {
            look.failed.push(Clause::User);
        }
        if look.failed.len() > 1 {
            return look;
        }
        if let Some(condition) = conditions::compile(model, rule) {
            let ids = self.ids(&bound);
            self.weigh(&condition, &paths, &ids, &mut look);
        }
        look
    }

    /// The captures of each action that meets the request.
    fn paths<'r>(&self, rule: &'r RuleModel, look: &mut Look) -> Vec<Captures<'r>>
    where
        'a: 'r,
    {
        let mut met = Vec::new();
        let (mut some_path, mut some_method) = (false, false);
        for action in &rule.actions {
            let captured = captured(action, self.path);
            let method = covers(&action.methods, self.query.method);
            some_path |= captured.is_some();
            some_method |= method;
            met.extend(captured.filter(|_| method));
        }
        if met.is_empty() {
            // Where one action has the path and another the method, it is the method that fails.
            match (some_path, some_method) {
                (true, _) => look.failed.push(Clause::Method),
                (false, true) => look.failed.push(Clause::Path),
                (false, false) => look.failed.extend([Clause::Method, Clause::Path]),
            }
        }
        met
    }

    /// Whether the rule speaks of the caller, and the patterns by which it does.
    fn callers(&self, rule: &RuleModel) -> (bool, Vec<IdPattern>) {
        let id = self.query.peer.id().filter(|id| !id.path().is_empty());
        match (&rule.from, id) {
            (From::Anyone, _) => (true, Vec::new()),
            (From::Authenticated, id) => (id.is_some(), Vec::new()),
            (From::These(_), None) => (false, Vec::new()),
            (From::These(_), Some(id)) => {
                let own = self.policy.own_trust_domain();
                let met: Vec<_> = callers::patterns(self.policy.model(), &rule.from)
                    .into_iter()
                    .filter_map(|pattern| callers::bound(pattern, own))
                    .filter(|pattern| pattern.matches(id))
                    .collect();
                (!met.is_empty(), met)
            }
        }
    }

    fn ids<'p>(&'p self, patterns: &'p [IdPattern]) -> Vec<Captures<'p>> {
        match self.query.peer.id() {
            Some(id) if !patterns.is_empty() => patterns
                .iter()
                .map(|pattern| id_captures(pattern, id))
                .collect(),
            _ => vec![Vec::new()],
        }
    }

    /// Tries the condition with each pair of an action and an ID pattern. Where it is another clause that
    /// fails, the condition counts as failed only if it is false for sure.
    fn weigh(
        &self,
        condition: &Condition,
        paths: &[Captures<'_>],
        ids: &[Captures<'_>],
        look: &mut Look,
    ) {
        let nothing = [Vec::new()];
        let paths = if paths.is_empty() { &nothing } else { paths };
        let mut error = None;
        for path in paths {
            for id in ids {
                match condition.holds(&self.facts(path, id)) {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(why) => error = Some(why.to_string()),
                }
            }
        }
        if look.failed.is_empty() || error.is_none() {
            look.failed.push(Clause::When);
            look.error = error;
        }
    }

    fn facts<'b>(
        &'b self,
        path: &'b [(&'b str, &'b str)],
        id: &'b [(&'b str, &'b str)],
    ) -> Facts<'b> {
        Facts {
            path,
            id,
            peer: self
                .peer
                .as_ref()
                .map(|(id, domain)| (id.as_str(), domain.as_str())),
            method: self.query.method.as_str(),
            request_path: self.path,
            host: self.host.as_deref(),
            headers: self.query.headers,
            user: self.query.user.get().map(|user| UserFacts {
                subject: user.subject(),
                issuer: user.issuer(),
                scopes: user.scopes(),
                claims: user.claims(),
            }),
            resource: match self.query.resource {
                Resource::Known(value) => Some(value),
                Resource::Absent | Resource::NotAsked => None,
            },
        }
    }
}

fn covers(methods: &Methods, method: &http::Method) -> bool {
    let Methods::These(these) = methods else {
        return true;
    };
    these.contains(method) || (method == "HEAD" && these.iter().any(|one| one == "GET"))
}

fn captured<'a>(action: &'a Action, path: &'a str) -> Option<Captures<'a>> {
    let parts: Vec<_> = match path {
        "/" => Vec::new(),
        path => path.split('/').skip(1).collect(),
    };
    let wanted = &action.path.segments;
    let fits =
        parts.len() == wanted.len() || (action.path.open_ended && parts.len() > wanted.len());
    let mut captures = Vec::new();
    for (segment, part) in wanted.iter().zip(parts) {
        match segment {
            Segment::Literal(literal) if literal != part => return None,
            Segment::Literal(_) | Segment::One => {}
            Segment::Capture(name) => captures.push((name.as_str(), part)),
        }
    }
    fits.then_some(captures)
}

/// What a pattern, which the ID meets, captures of it.
fn id_captures<'a>(pattern: &'a IdPattern, id: &'a SpiffeId) -> Captures<'a> {
    // `spiffe:`, nothing and the trust domain stand before the segments.
    let wanted = pattern.as_str().split('/').skip(3);
    let parts = id.path().split('/').skip(1);
    let name = |segment: &'a str| segment.strip_prefix('{')?.strip_suffix('}');
    wanted
        .zip(parts)
        .filter_map(|(segment, part)| Some((name(segment)?, part)))
        .collect()
}
