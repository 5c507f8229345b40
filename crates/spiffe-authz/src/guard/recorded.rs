//! What is told of a decision: its audit record, and the refusal that comes of it.

use std::time::{Instant, SystemTime};

use spiffe_peer::{EndUser, PeerIdentity};

use super::shared::Guard;
use crate::audit::{AuditRecord, Lost, Tenant, correlation_id};
use crate::decision::Reason;
use crate::observe;
use crate::policy::query::{Head, Resource};
use crate::policy::{Decision, NeedsResource, Policy};
use crate::refusal::Refusal;
use crate::rule::Rule;

/// The longest path that a record shows.
const LONGEST_PATH: usize = 1024;

impl Guard {
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
        let policy = self.settings.policy.now();
        let record = AuditRecord {
            policy: policy.name(),
            generation: policy.generation(),
            reason: why.map_or(refusal.reason(), |_| "bad_request"),
            detail: why,
            ..self.blank(head, None)
        };
        let _ = self.keep(&record);
        observe::denied(head, &record);
        refusal
    }

    #[cold]
    pub(super) fn conclude_rule(
        &self,
        head: Head<'_>,
        rule: &Rule,
        judged: Result<(), Reason>,
        policy: &Policy,
        resource: Resource<'_>,
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
        self.beside(head, resource, begun);
        match refused {
            Some(refusal) => {
                observe::denied(head, &record);
                Err(refusal)
            }
            None => kept.map_err(|_| without_record(head, record)),
        }
    }

    /// Records a decision; what was allowed passes only if its record was kept.
    #[cold]
    pub(super) fn conclude(
        &self,
        head: Head<'_>,
        decision: &Decision<'_>,
        note: Option<&str>,
        resource: Resource<'_>,
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
        self.beside(head, resource, begun);
        if decision.is_allowed() {
            return kept.map_err(|_| without_record(head, record));
        }
        observe::denied(head, &record);
        let reason = decision.refusal_reason();
        Err(refusal(head, reason, decision.rule()))
    }

    #[cold]
    pub(super) fn object(
        &self,
        head: Head<'_>,
        decision: &Decision<'_>,
        why: &str,
        resource: Resource<'_>,
        begun: Instant,
    ) -> Refusal {
        let mut record = self.record(head, decision, Some(begun));
        record.decision = "deny";
        record.reason = "decision_point";
        record.detail = Some(why);
        let _ = self.keep(&record);
        self.beside(head, resource, Some(begun));
        observe::denied(head, &record);
        refusal(head, Reason::DecisionPoint, None)
    }

    /// The identity of the peer has ended: its connection is asked to end too.
    #[cold]
    pub(super) fn ended(
        &self,
        head: Head<'_>,
        peer: &PeerIdentity,
        policy: &Policy,
        begun: Option<Instant>,
    ) -> Refusal {
        peer.close();
        let record = AuditRecord {
            decision: "deny",
            policy: policy.name(),
            generation: policy.generation(),
            reason: "ended_identity",
            ..self.blank(head, begun)
        };
        let _ = self.keep(&record);
        observe::denied(head, &record);
        Refusal::new(Reason::EndedIdentity, head.headers)
    }

    /// Evaluates the policies that are beside the enforced one.
    fn beside(&self, head: Head<'_>, resource: Resource<'_>, begun: Option<Instant>) {
        for source in &self.settings.beside {
            let policy = source.now();
            let mut query = head.query();
            query.trailing_slash = self.settings.trailing_slash;
            query.resource = resource;
            let mut record = match policy.step(&query) {
                Ok(decision) => self.record(head, &decision, begun),
                Err(NeedsResource) => AuditRecord {
                    decision: "allow",
                    policy: policy.name(),
                    generation: policy.generation(),
                    shadow_decision: Some("undecided"),
                    detail: Some("the enforced policy did not ask for the resource"),
                    ..self.blank(head, begun)
                },
            };
            record.reason = "shadow";
            observe::decided(&record);
            // A record in shadow holds nobody up.
            let _ = self.store(&record);
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
            target_service: self.settings.service.as_deref(),
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
            latency: begun.map(|begun| begun.elapsed()),
        }
    }

    /// Keeps a record, and tells of it. An allow whose record is lost is none: see [`without_record`].
    fn keep(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        let kept = self.store(record);
        if kept.is_ok() || record.decision == "deny" {
            observe::decided(record);
        }
        kept
    }

    fn store(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        self.settings
            .sink
            .as_ref()
            .map_or(Ok(()), |sink| sink.record(record))
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

/// Refuses what was allowed, since the record of that is lost.
fn without_record(head: Head<'_>, lost: AuditRecord<'_>) -> Refusal {
    let refusal = refusal(head, Reason::NoRecord, None);
    let record = AuditRecord {
        decision: "deny",
        reason: refusal.reason(),
        ..lost
    };
    observe::decided(&record);
    observe::denied(head, &record);
    refusal
}

fn refusal(head: Head<'_>, reason: Reason, rule: Option<&str>) -> Refusal {
    Refusal::by_policy(reason, head.headers, head.peer.is_some(), rule)
}
