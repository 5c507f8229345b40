//! What is told to the outside when something is decided: events for `tracing` and, with the feature
//! `metrics`, figures with bounded labels.

use crate::audit::AuditRecord;
use crate::policy::query::Head;

/// An event for one decision: every one, so that a subscriber sees what a sink sees.
pub(crate) fn decided(record: &AuditRecord<'_>) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: "spiffe_authz::audit",
                {
                    event_type = record.event_type,
                    peer.spiffe_id = record.spiffe_id,
                    peer.trust_domain = record.trust_domain,
                    target_service = record.target_service,
                    authentication_method = record.authentication_method,
                    user.issuer = record.user_issuer,
                    decision = record.decision,
                    http.method = record.action,
                    http.path = record.resource,
                    tenant = record.tenant,
                    correlation_id = record.correlation_id,
                    policy = record.policy,
                    generation = record.generation,
                    rule = record.rule,
                    reason = record.reason,
                    detail = record.detail,
                    shadow.decision = record.shadow_decision,
                    shadow.rule = record.shadow_rule,
                    latency_us = record.latency_micros(),
                },
                "decided"
            )
        };
    }
    if record.decision == "deny" {
        event!(info);
    } else {
        event!(debug);
    }
}

/// Counts a request that was denied.
pub(crate) fn denied(head: Head<'_>, record: &AuditRecord<'_>) {
    #[cfg(feature = "metrics")]
    figures::denied(head, record);
    let _ = (head, record);
}

/// Counts a request that was denied and that was about a thing of another tenant than its own.
pub(crate) fn denied_across_tenants(policy: &str) {
    #[cfg(feature = "metrics")]
    figures::denied_across_tenants(policy);
    let _ = policy;
}

/// Whether a reload of this policy was refused and the one in force is older than its file.
pub(crate) fn stale(policy: &str, stale: bool) {
    #[cfg(feature = "metrics")]
    figures::stale(policy, stale);
    let _ = (policy, stale);
}

#[cfg(feature = "metrics")]
mod figures {
    use std::collections::HashSet;
    use std::sync::{Mutex, PoisonError};

    use metrics::{counter, gauge};

    use crate::audit::AuditRecord;
    use crate::policy::query::Head;

    /// So many peers have a label of their own; the rest are `other`.
    const PEERS: usize = 256;

    static KNOWN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

    pub(super) fn denied(head: Head<'_>, record: &AuditRecord<'_>) {
        counter!(
            "spiffe_authz_denied_total",
            "policy" => record.policy.to_owned(),
            "rule" => record.rule.unwrap_or("none").to_owned(),
            "reason" => reason(record.reason),
            "peer" => record.spiffe_id.map_or_else(|| "none".to_owned(), bounded),
            "route" => route(head),
        )
        .increment(1);
    }

    pub(super) fn denied_across_tenants(policy: &str) {
        counter!("spiffe_authz_cross_tenant_denied_total", "policy" => policy.to_owned())
            .increment(1);
    }

    pub(super) fn stale(policy: &str, stale: bool) {
        let labels = [("policy", policy.to_owned())];
        gauge!("spiffe_authz_policy_stale", &labels).set(if stale { 1.0 } else { 0.0 });
        if stale {
            counter!("spiffe_authz_policy_reload_failures_total", &labels).increment(1);
        }
    }

    /// One of the words of the decision; each is a literal, so there are few.
    fn reason(reason: &str) -> String {
        reason.to_owned()
    }

    fn bounded(id: &str) -> String {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if known.contains(id) || (known.len() < PEERS && known.insert(id.to_owned())) {
            id.to_owned()
        } else {
            "other".to_owned()
        }
    }

    /// The template of the route, never the path: a caller chooses paths.
    fn route(head: Head<'_>) -> String {
        #[cfg(feature = "axum")]
        if let Some(matched) = head.extensions.get::<::axum::extract::MatchedPath>() {
            return matched.as_str().to_owned();
        }
        let _ = head;
        "none".to_owned()
    }
}
