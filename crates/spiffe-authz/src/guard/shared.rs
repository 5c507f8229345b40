//! What all services of a guarded application share, and the decision itself.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::request::Parts;
use serde_json::Value;
use spiffe_peer::{EndUser, PeerIdentity};

use super::decision_point::{AnyDecisionPoint, Verdict};
use super::provider::AnyProvider;
use crate::audit::{AuditRecord, AuditSink, Tenant, correlation_id};
use crate::decision::Reason;
use crate::observe;
use crate::policy::query::{Head, Resource};
use crate::policy::{Decision, Policy, PolicySource, Replaced, Step};
use crate::refusal::Refusal;
use crate::rule::Rule;

/// The longest path that a record shows.
const LONGEST_PATH: usize = 1024;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) policy: PolicySource,
    pub(super) beside: Vec<PolicySource>,
    pub(super) service: Option<Arc<str>>,
    pub(super) provider: Option<Arc<dyn AnyProvider>>,
    pub(super) decision_point: Option<Arc<dyn AnyDecisionPoint>>,
    pub(super) deadline: Duration,
    pub(super) sink: Option<Arc<dyn AuditSink>>,
    pub(super) trailing_slash: bool,
}

impl Settings {
    pub(super) fn new(policy: PolicySource) -> Self {
        Self {
            policy,
            beside: Vec::new(),
            service: None,
            provider: None,
            decision_point: None,
            deadline: Duration::from_secs(1),
            sink: None,
            trailing_slash: false,
        }
    }
}

pub(crate) struct Guard(Settings);

/// How much of a policy speaks of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'r> {
    Everything,
    /// This rule in code decides who may pass; the policy can only keep out.
    KeepingOut(&'r Rule),
}

/// What becomes of a request.
pub(crate) enum Entry {
    Allowed,
    Refused(Box<Refusal>),
    /// The decision needs something that only time brings.
    Waits,
}

impl Entry {
    fn at_once(decided: Result<(), Refusal>) -> Self {
        match decided {
            Ok(()) => Self::Allowed,
            Err(refusal) => Self::Refused(Box::new(refusal)),
        }
    }
}

impl Guard {
    pub(super) fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Decides, as far as that can be done at once.
    #[inline]
    pub(crate) fn enter(&self, head: Head<'_>, scope: Scope<'_>) -> Entry {
        self.0
            .policy
            .with(|policy| self.enter_with(head, policy, scope))
    }

    #[inline]
    fn enter_with(&self, head: Head<'_>, policy: &Policy, scope: Scope<'_>) -> Entry {
        if let Some(peer) = head.peer
            && !peer.is_current()
        {
            return Entry::Refused(Box::new(self.ended(head, peer, policy)));
        }
        let clock = self.is_recorded().then(Instant::now);
        let mut query = head.query();
        query.trailing_slash = self.0.trailing_slash;
        if self.0.provider.is_some() {
            query.resource = Resource::NotAsked;
        }
        let step = policy.step(&query);
        if let Scope::KeepingOut(rule) = scope {
            return self.enter_by(head, rule, policy, &step, clock);
        }
        match step {
            Step::NeedsResource => Entry::Waits,
            Step::Decided(decision) if decision.is_allowed() && self.waits_after_allow() => {
                Entry::Waits
            }
            Step::Decided(decision) => {
                if decision.is_allowed() && !self.needs_record(clock) {
                    return Entry::Allowed;
                }
                Entry::at_once(self.conclude(head, &decision, None, clock))
            }
        }
    }

    /// Decides by a rule in code, where the policy does not keep the request out. Nobody is asked
    /// about a request that this rule refuses.
    #[inline]
    fn enter_by(
        &self,
        head: Head<'_>,
        rule: &Rule,
        policy: &Policy,
        step: &Step<'_>,
        clock: Option<Instant>,
    ) -> Entry {
        let waits = match step {
            Step::Decided(decision) if decision.is_kept_out() => {
                return Entry::at_once(self.conclude(head, decision, None, clock));
            }
            Step::Decided(_) => self.waits_after_allow(),
            Step::NeedsResource => true,
        };
        match rule.judge(head.peer) {
            Ok(()) if waits => Entry::Waits,
            Ok(()) if !self.needs_record(clock) => Entry::Allowed,
            judged => Entry::at_once(self.conclude_rule(head, rule, judged, policy, clock)),
        }
    }

    /// Decides with whatever has to be waited for, by the generation of the policy that is in force
    /// when it begins. Cancel safe.
    pub(crate) async fn settle(&self, parts: &Parts, scope: Scope<'_>) -> Result<(), Refusal> {
        let policy = &self.0.policy.with(Policy::clone);
        let begun = Instant::now();
        let head = Head::from(parts);
        let mut query = head.query();
        query.trailing_slash = self.0.trailing_slash;
        query.resource = Resource::NotAsked;
        let mut note = None;
        let resource;
        let decision = match policy.step(&query) {
            Step::Decided(decision) => decision,
            Step::NeedsResource => {
                resource = self.resource(parts).await.unwrap_or_else(|why| {
                    note = Some(why);
                    None
                });
                query.resource = resource.as_ref().map_or(Resource::Absent, Resource::Known);
                policy.decide(&query)
            }
        };
        let passes = match scope {
            Scope::Everything => decision.is_allowed(),
            Scope::KeepingOut(rule) => !decision.is_kept_out() && rule.judge(head.peer).is_ok(),
        };
        let objection = if passes {
            self.objection(parts).await
        } else {
            None
        };
        // Whoever has waited may have lost the identity meanwhile.
        if let Some(peer) = head.peer
            && !peer.is_current()
        {
            return Err(self.ended(head, peer, policy));
        }
        match (objection, scope) {
            (Some(why), _) => Err(self.object(head, &decision, &why, begun)),
            (None, Scope::KeepingOut(rule)) if !decision.is_kept_out() => {
                let judged = rule.judge(head.peer);
                self.conclude_rule(head, rule, judged, policy, Some(begun))
            }
            (None, _) => self.conclude(head, &decision, note.as_deref(), Some(begun)),
        }
    }

    /// Refuses what no rule was asked about, and records it like any decision.
    #[cfg(feature = "axum")]
    #[cold]
    pub(crate) fn refuse(&self, head: Head<'_>, reason: Reason) -> Refusal {
        if let (Reason::EndedIdentity, Some(peer)) = (reason, head.peer) {
            peer.close();
        }
        let refusal = Refusal::new(reason, head.headers);
        let why = match reason {
            Reason::NotCanonical(why) => Some(why.reason()),
            _ => None,
        };
        self.0.policy.with(|policy| {
            let record = AuditRecord {
                policy: policy.name(),
                generation: policy.generation(),
                reason: why.map_or(refusal.reason(), |_| "bad_request"),
                detail: why,
                ..self.blank(head, None)
            };
            let _ = self.keep(&record);
            observe::denied(head, &record);
        });
        refusal
    }

    #[cold]
    fn conclude_rule(
        &self,
        head: Head<'_>,
        rule: &Rule,
        judged: Result<(), Reason>,
        policy: &Policy,
        begun: Option<Instant>,
    ) -> Result<(), Refusal> {
        let name = rule.to_string();
        let refused = judged.err().map(|reason| refusal(head, reason, None));
        let record = AuditRecord {
            decision: word(refused.is_none()),
            policy: policy.name(),
            generation: policy.generation(),
            rule: Some(&name),
            reason: refused.as_ref().map_or("rule", Refusal::reason),
            ..self.blank(head, begun)
        };
        let kept = self.keep(&record);
        match refused {
            Some(refusal) => {
                observe::denied(head, &record);
                Err(refusal)
            }
            None => kept.map_err(|_| refusal(head, Reason::NoRecord, None)),
        }
    }

    /// Tells when the policy is replaced, if it ever is.
    pub(super) fn replaced(&self) -> Option<Replaced> {
        self.0.policy.replaced()
    }

    async fn resource(&self, parts: &Parts) -> Result<Option<Value>, String> {
        let Some(provider) = &self.0.provider else {
            return Ok(None);
        };
        match tokio::time::timeout(self.0.deadline, provider.ask(parts)).await {
            Ok(Ok(resource)) => Ok(resource),
            Ok(Err(error)) => Err(format!("no resource: {error}")),
            Err(_) => Err("no resource: the provider gave no answer in time".to_owned()),
        }
    }

    async fn objection(&self, parts: &Parts) -> Option<String> {
        let decision_point = self.0.decision_point.as_ref()?;
        match tokio::time::timeout(self.0.deadline, decision_point.ask(parts)).await {
            Ok(Ok(Verdict::NoObjection)) => None,
            Ok(Ok(Verdict::Deny { because })) => Some(because),
            Ok(Err(error)) => Some(format!("the decision point failed: {error}")),
            Err(_) => Some("the decision point gave no answer in time".to_owned()),
        }
    }

    fn waits_after_allow(&self) -> bool {
        self.0.decision_point.is_some()
    }

    fn is_recorded(&self) -> bool {
        self.0.sink.is_some()
            || !self.0.beside.is_empty()
            || tracing::enabled!(target: "spiffe_authz::audit", tracing::Level::DEBUG)
    }

    fn needs_record(&self, clock: Option<Instant>) -> bool {
        clock.is_some()
    }

    /// Records a decision; what was allowed passes only if its record was kept.
    #[cold]
    fn conclude(
        &self,
        head: Head<'_>,
        decision: &Decision<'_>,
        note: Option<&str>,
        begun: Option<Instant>,
    ) -> Result<(), Refusal> {
        let errors: Vec<_> = decision
            .errors()
            .map(|(rule, what)| format!("`{rule}`: {what}"))
            .chain(note.map(str::to_owned))
            .chain(decision.not_canonical().map(|why| why.to_string()))
            .collect();
        let detail = (!errors.is_empty()).then(|| errors.join("; "));
        let mut record = self.record(head, decision, begun);
        record.detail = detail.as_deref();
        let kept = self.keep(&record);
        self.beside(head, begun);
        if decision.is_allowed() {
            return kept.map_err(|_| refusal(head, Reason::NoRecord, None));
        }
        observe::denied(head, &record);
        let reason = decision.refusal_reason();
        Err(refusal(head, reason, decision.rule()))
    }

    #[cold]
    fn object(
        &self,
        head: Head<'_>,
        decision: &Decision<'_>,
        why: &str,
        begun: Instant,
    ) -> Refusal {
        let mut record = self.record(head, decision, Some(begun));
        record.decision = "deny";
        record.reason = "decision_point";
        record.detail = Some(why);
        let _ = self.keep(&record);
        self.beside(head, Some(begun));
        observe::denied(head, &record);
        refusal(head, Reason::DecisionPoint, None)
    }

    /// The identity of the peer has ended: its connection is asked to end too.
    #[cold]
    fn ended(&self, head: Head<'_>, peer: &PeerIdentity, policy: &Policy) -> Refusal {
        peer.close();
        let record = AuditRecord {
            decision: "deny",
            policy: policy.name(),
            generation: policy.generation(),
            reason: "ended_identity",
            ..self.blank(head, None)
        };
        let _ = self.keep(&record);
        observe::denied(head, &record);
        Refusal::new(Reason::EndedIdentity, head.headers)
    }

    /// Evaluates the policies that are beside the enforced one.
    fn beside(&self, head: Head<'_>, begun: Option<Instant>) {
        for source in &self.0.beside {
            source.with(|policy| {
                let mut query = head.query();
                query.trailing_slash = self.0.trailing_slash;
                let decision = policy.decide(&query);
                let mut record = self.record(head, &decision, begun);
                record.reason = "shadow";
                // A record in shadow holds nobody up.
                let _ = self.keep(&record);
            });
        }
    }

    fn record<'a>(
        &'a self,
        head: Head<'a>,
        decision: &Decision<'a>,
        begun: Option<Instant>,
    ) -> AuditRecord<'a> {
        let shadow = decision.shadow();
        AuditRecord {
            decision: word(decision.is_allowed()),
            policy: decision.policy(),
            generation: decision.generation(),
            rule: decision.rule(),
            reason: decision.reason(),
            shadow_decision: shadow.map(|shadow| word(shadow.is_allowed())),
            shadow_rule: shadow.and_then(|shadow| shadow.rule()),
            ..self.blank(head, begun)
        }
    }

    fn blank<'a>(&'a self, head: Head<'a>, begun: Option<Instant>) -> AuditRecord<'a> {
        let peer = head.peer;
        let user: Option<&EndUser> = head.extensions.get();
        let path = head.uri.path();
        AuditRecord {
            event_type: if peer.is_some() {
                "WORKLOAD_AUTHENTICATED"
            } else {
                "WORKLOAD_UNAUTHENTICATED"
            },
            spiffe_id: peer.map(PeerIdentity::as_str),
            trust_domain: peer.map(|peer| peer.trust_domain().as_str()),
            peer_service: peer.and_then(|peer| peer.segments().last()),
            target_service: self.0.service.as_deref(),
            authentication_method: peer.map(|peer| peer.method().to_string()),
            user_subject: user.map(EndUser::subject),
            user_issuer: user.map(EndUser::issuer),
            decision: "deny",
            action: head.method.as_str(),
            resource: shortened(path),
            tenant: head.extensions.get::<Tenant>().map(Tenant::as_str),
            correlation_id: correlation_id(head.headers),
            occurred_at: SystemTime::now(),
            policy: "",
            generation: 0,
            rule: None,
            reason: "",
            detail: None,
            shadow_decision: None,
            shadow_rule: None,
            latency: begun.map(|begun| begun.elapsed()).unwrap_or_default(),
        }
    }

    fn keep(&self, record: &AuditRecord<'_>) -> Result<(), crate::audit::Lost> {
        observe::decided(record);
        match &self.0.sink {
            Some(sink) => sink.record(record),
            None => Ok(()),
        }
    }
}

fn shortened(path: &str) -> &str {
    let longest = path.len().min(LONGEST_PATH);
    let mut ends = (0..=longest).rev();
    ends.find_map(|end| path.get(..end)).unwrap_or_default()
}

fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn refusal(head: Head<'_>, reason: Reason, rule: Option<&str>) -> Refusal {
    Refusal::by_policy(reason, head.headers, head.peer.is_some(), rule)
}
