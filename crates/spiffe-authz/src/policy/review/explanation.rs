mod words;

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use self::words::{detail, why};
use super::answer::word;
use super::naive::{self, Clause, Judged, Verdict};
use super::{RecordedRequest, harmless};
use crate::policy::Policy;
use crate::policy::model::{Effect, RuleModel};
use crate::policy::query::Query;

/// Decides on a request and says why: which rule decided, and which rules were one clause away.
///
/// It goes through all rules, one after the other; see [`Policy::decide`] for the fast way to the same
/// decision.
#[must_use]
pub fn explain(policy: &Policy, request: &RecordedRequest, at: SystemTime) -> Explanation {
    let query = request.query(at);
    let judged = naive::judge(policy, &query);
    Explanation::new(policy, &query, &judged)
}

/// Why a request is decided as it is.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// rules:
///   - { name: read, allow: ["GET /orders/{id}"], from: ["spiffe://example.org/ns/shop/sa/api"] }
/// "#)?;
/// let request = review::RecordedRequest::from_json(r#"{"id": "c1", "request": "GET /orders/7"}"#)?;
/// let explanation = review::explain(&policy, &request, SystemTime::now());
/// assert_eq!((explanation.status(), explanation.rule()), (401, None));
///
/// let near: Vec<_> = explanation.near_misses().map(|near| (near.rule(), near.clause())).collect();
/// assert_eq!(near, [("read", "caller")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Explanation {
    verdict: Verdict,
    rule: Option<String>,
    shadow: Option<(bool, Option<String>)>,
    detail: Option<String>,
    also: Vec<String>,
    near: Vec<NearMiss>,
}

/// A rule that would match if one clause of it held.
///
/// ```
/// # use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml("
/// version: 1
/// name: health
/// rules:
///   - { name: health, allow: ['GET /healthz'], from: anyone, because: probes }
/// ")?;
/// let request = review::RecordedRequest::from_json(r#"{"id": "c1", "request": "PUT /healthz"}"#)?;
/// let explanation = review::explain(&policy, &request, SystemTime::now());
/// let near = explanation.near_misses().next().ok_or("a near miss")?;
/// assert_eq!(near.to_string(), "`health` (allow, line 5): method: `PUT` is not in `GET /healthz`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NearMiss {
    rule: String,
    about: String,
    clause: Clause,
    why: String,
}

impl Explanation {
    fn new(policy: &Policy, query: &Query<'_>, judged: &Judged) -> Self {
        let model = policy.model();
        let name = |id: usize| model.rules.get(id).map(|rule| rule.name.clone());
        let mut also = Vec::new();
        let mut near = Vec::new();
        for (id, (rule, look)) in model.rules.iter().zip(&judged.looks).enumerate() {
            if look.matches() && judged.enforced.rule != Some(id) {
                also.push(described(rule));
            }
            if let [clause] = *look.failed.as_slice()
                && judged.enforced.rule != Some(id)
            {
                near.push(NearMiss {
                    rule: rule.name.clone(),
                    about: described(rule),
                    clause,
                    why: why(clause, model, rule, look, query),
                });
            }
        }
        Self {
            verdict: judged.enforced,
            rule: judged.enforced.rule.and_then(name),
            shadow: judged
                .shadow
                .map(|shadow| (shadow.allowed, shadow.rule.and_then(name))),
            detail: detail(policy, query, judged),
            also,
            near,
        }
    }

    /// Whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict.allowed
    }

    /// The status of the answer to the peer, as [`Decision::status`](crate::policy::Decision::status).
    #[must_use]
    pub fn status(&self) -> u16 {
        self.verdict.status
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The reason in one word, as [`Decision::reason`](crate::policy::Decision::reason).
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.verdict.reason
    }

    /// What the decision would be if nothing were in shadow, and the rule that would decide; `None` where the
    /// policy has nothing there.
    #[must_use]
    pub fn shadow(&self) -> Option<(bool, Option<&str>)> {
        let (allowed, rule) = self.shadow.as_ref()?;
        Some((*allowed, rule.as_deref()))
    }

    /// The rules that came close, in the order of the file.
    pub fn near_misses(&self) -> impl Iterator<Item = &NearMiss> {
        self.near.iter()
    }
}

impl NearMiss {
    /// The name of the rule.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The one clause that does not hold: `method`, `path`, `caller`, `user`, `when` or `expired`.
    #[must_use]
    pub fn clause(&self) -> &'static str {
        self.clause.name()
    }

    /// What the clause asks for, and what it found.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.about, self.clause(), self.why)
    }
}

/// Several lines for a person, with nothing in them that a terminal obeys.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict {
            allowed,
            reason,
            status,
            ..
        } = self.verdict;
        write!(f, "{} ({status}, {reason})", word(allowed))?;
        match &self.rule {
            Some(rule) => write!(f, " by rule `{}`", harmless(rule))?,
            None => f.write_str(" by no rule")?,
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some((allowed, rule)) = &self.shadow {
            write!(f, "\nwith what is in shadow: {}", word(*allowed))?;
            if let Some(rule) = rule {
                write!(f, " by rule `{}`", harmless(rule))?;
            }
        }
        for rule in &self.also {
            write!(f, "\nmatches as well: {rule}")?;
        }
        for near in &self.near {
            write!(f, "\ncame close: {near}")?;
        }
        Ok(())
    }
}

fn described(rule: &RuleModel) -> String {
    let effect = word(rule.effect == Effect::Allow);
    let mut text = format!("`{}` ({effect}", harmless(&rule.name));
    if rule.shadow {
        text.push_str(", in shadow");
    }
    if rule.at.line > 0 {
        let _ = write!(text, ", line {}", rule.at.line);
    }
    text.push(')');
    text
}
