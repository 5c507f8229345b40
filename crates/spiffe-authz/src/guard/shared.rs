//! What all services of a guarded application share, and the decision itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use serde_json::Value;

use super::decided::Watch;
use super::decision_point::{AnyDecisionPoint, Verdict};
use super::provider::AnyProvider;
use crate::audit::{AuditSink, Tenant};
use crate::observe;
use crate::policy::query::{Head, Resource};
use crate::policy::{NeedsResource, Policy, PolicySource, Replaced, Step};
use crate::refusal::Refusal;
use crate::rule::Rule;

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
    pub(super) watch: Watch,
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
            watch: Watch::default(),
        }
    }
}

pub(crate) struct Guard {
    pub(super) settings: Settings,
    /// Whether nobody else is asked and nobody is told, so that an allow ends with the decision.
    only_decides: bool,
}

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
        let only_decides = settings.provider.is_none()
            && settings.decision_point.is_none()
            && settings.sink.is_none()
            && settings.beside.is_empty()
            && !settings.trailing_slash;
        Self {
            settings,
            only_decides,
        }
    }

    /// Decides, as far as that can be done at once.
    #[inline]
    pub(crate) fn enter(&self, head: Head<'_>, scope: Scope<'_>) -> Entry {
        self.settings.watch.note(head.extensions, scope);
        let policy = &*self.settings.policy.now();
        if let Some(peer) = head.peer
            && !peer.is_current()
        {
            let clock = self.is_recorded().then(Instant::now);
            return Entry::Refused(Box::new(self.ended(head, peer, policy, clock)));
        }
        if self.only_decides
            && let Scope::Everything = scope
            && !is_watched()
        {
            let step = policy.step(&head.query());
            if let Ok(decision) = &step
                && decision.is_allowed()
            {
                return Entry::Allowed;
            }
            return self.enter_after(head, scope, policy, &step, Resource::Absent, None);
        }
        self.enter_and_tell(head, scope, policy)
    }

    #[inline(never)]
    fn enter_and_tell(&self, head: Head<'_>, scope: Scope<'_>, policy: &Policy) -> Entry {
        let clock = self.is_recorded().then(Instant::now);
        let mut query = head.query();
        query.trailing_slash = self.settings.trailing_slash;
        if self.settings.provider.is_some() {
            query.resource = Resource::NotAsked;
        }
        let step = policy.step(&query);
        self.enter_after(head, scope, policy, &step, query.resource, clock)
    }

    #[inline(never)]
    fn enter_after(
        &self,
        head: Head<'_>,
        scope: Scope<'_>,
        policy: &Policy,
        step: &Step<'_>,
        resource: Resource<'_>,
        clock: Option<Instant>,
    ) -> Entry {
        if let Scope::KeepingOut(rule) = scope {
            return self.enter_by(head, rule, policy, step, resource, clock);
        }
        match step {
            Err(NeedsResource) => Entry::Waits,
            Ok(decision) if !decision.is_allowed() => {
                Entry::at_once(self.conclude(head, decision, None, resource, clock))
            }
            Ok(_) if self.waits_after_allow() => Entry::Waits,
            Ok(_) if clock.is_none() => Entry::Allowed,
            Ok(decision) => Entry::at_once(self.conclude(head, decision, None, resource, clock)),
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
        resource: Resource<'_>,
        clock: Option<Instant>,
    ) -> Entry {
        let waits = match step {
            Ok(decision) if decision.is_kept_out() => {
                return Entry::at_once(self.conclude(head, decision, None, resource, clock));
            }
            Ok(_) => self.waits_after_allow(),
            Err(NeedsResource) => true,
        };
        match rule.judge(head.peer, Some(policy)) {
            Ok(()) if waits => Entry::Waits,
            Ok(()) if clock.is_none() => Entry::Allowed,
            judged => {
                Entry::at_once(self.conclude_rule(head, rule, judged, policy, resource, clock))
            }
        }
    }

    /// Decides with whatever has to be waited for, by the generation of the policy that is in force
    /// when it begins. Cancel safe.
    pub(crate) async fn settle(&self, parts: &Parts, scope: Scope<'_>) -> Result<(), Refusal> {
        let policy = &self.settings.policy.now().clone();
        let begun = Instant::now();
        let head = Head::from(parts);
        self.holds(head, policy, begun)?;
        let mut query = head.query();
        query.trailing_slash = self.settings.trailing_slash;
        query.resource = Resource::NotAsked;
        let mut note = None;
        let mut resource = None;
        let decision = match policy.step(&query) {
            Ok(decision) => decision,
            Err(NeedsResource) => {
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
            Scope::KeepingOut(rule) => {
                !decision.is_kept_out() && rule.judge(head.peer, Some(policy)).is_ok()
            }
        };
        let objection = if passes {
            self.objection(parts).await
        } else {
            None
        };
        // Whoever has waited may have lost the identity meanwhile.
        self.holds(head, policy, begun)?;
        let concluded = match (objection, scope) {
            (Some(why), _) => Err(self.object(head, &decision, &why, query.resource, begun)),
            (None, Scope::KeepingOut(rule)) if !decision.is_kept_out() => {
                let judged = rule.judge(head.peer, Some(policy));
                self.conclude_rule(head, rule, judged, policy, query.resource, Some(begun))
            }
            (None, _) => self.conclude(
                head,
                &decision,
                note.as_deref(),
                query.resource,
                Some(begun),
            ),
        };
        if concluded.is_err() && is_across_tenants(head, resource.as_ref()) {
            observe::denied_across_tenants(policy.name());
        }
        concluded
    }

    fn holds(&self, head: Head<'_>, policy: &Policy, begun: Instant) -> Result<(), Refusal> {
        match head.peer {
            Some(peer) if !peer.is_current() => Err(self.ended(head, peer, policy, Some(begun))),
            _ => Ok(()),
        }
    }

    /// Tells when the policy is replaced, if it ever is.
    pub(super) fn replaced(&self) -> Option<Replaced> {
        self.settings.policy.replaced()
    }

    async fn resource(&self, parts: &Parts) -> Result<Option<Value>, String> {
        let Some(provider) = &self.settings.provider else {
            return Ok(None);
        };
        match tokio::time::timeout(self.settings.deadline, provider.ask(parts)).await {
            Ok(Ok(resource)) => Ok(resource),
            Ok(Err(error)) => Err(format!("no resource: {error}")),
            Err(_) => Err("no resource: the provider gave no answer in time".to_owned()),
        }
    }

    async fn objection(&self, parts: &Parts) -> Option<String> {
        let decision_point = self.settings.decision_point.as_ref()?;
        match tokio::time::timeout(self.settings.deadline, decision_point.ask(parts)).await {
            Ok(Ok(Verdict::NoObjection)) => None,
            Ok(Ok(Verdict::Deny { because })) => Some(because),
            Ok(Err(error)) => Some(format!("the decision point failed: {error}")),
            Err(_) => Some("the decision point gave no answer in time".to_owned()),
        }
    }

    fn waits_after_allow(&self) -> bool {
        self.settings.decision_point.is_some()
    }

    fn is_recorded(&self) -> bool {
        self.settings.sink.is_some() || !self.settings.beside.is_empty() || is_watched()
    }
}

/// Whether somebody listens to what becomes of every request.
#[inline]
fn is_watched() -> bool {
    tracing::enabled!(target: "spiffe_authz::audit", tracing::Level::DEBUG)
}

/// Whether the thing that a request is about is known to belong to another tenant than the request.
fn is_across_tenants(head: Head<'_>, resource: Option<&Value>) -> bool {
    let tenant = head.extensions.get::<Tenant>().map(Tenant::as_str);
    let owner = resource.and_then(|resource| resource.get("tenant")?.as_str());
    tenant.is_some() && owner.is_some() && tenant != owner
}
