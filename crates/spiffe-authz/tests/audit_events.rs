//! What `tracing` hears of decisions. It stands alone, since what a subscriber wants is remembered for the
//! whole process.

#![cfg(feature = "tonic")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `audited`, `common` and `served`"
)]

mod audited;
mod common;
mod served;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use audited::{SECRET, TRACE, Veto, cases, documents};
use common::Probe;
use served::*;
use spiffe_authz::audit::{AuditRecord, AuditSink, Lost};
use spiffe_authz::guard::AuthzLayer;
use tower::{Layer, ServiceExt};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Keeps the events of one target, field by field.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Heard>>>);

type Heard = (tracing::Level, BTreeMap<String, String>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                let value = format!("{value:?}").trim_matches('"').to_owned();
                self.0.insert(field.name().to_owned(), value);
            }
        }
        if event.metadata().target() == "spiffe_authz::audit" {
            let mut fields = Fields(BTreeMap::new());
            event.record(&mut fields);
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), fields.0));
        }
    }
}

#[tokio::test]
async fn tracing_hears_of_each_decision_with_every_field() {
    let events = Events::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let app = AuthzLayer::new(documents())
        .unwrap()
        .named("document-api")
        .decision_point(Veto)
        .layer(everything(&Probe::default()));
    for (request, decision, rule, reason) in cases() {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        peer(WEB).layer(app.clone()).oneshot(request).await.unwrap();
        let heard = std::mem::take(&mut *events.0.lock().unwrap());
        assert_eq!(heard.len(), 1, "{method} {path}: {heard:#?}");
        let (level, fields) = &heard[0];
        let expected_level = if decision == "deny" {
            tracing::Level::INFO
        } else {
            tracing::Level::DEBUG
        };
        assert_eq!(*level, expected_level, "{method} {path}");
        for (key, expected) in [
            ("event_type", "WORKLOAD_AUTHENTICATED"),
            ("peer.spiffe_id", WEB),
            ("peer.trust_domain", "example.org"),
            ("target_service", "document-api"),
            ("authentication_method", "mtls-x509-svid"),
            ("decision", decision),
            ("http.method", &method),
            ("http.path", &path),
            ("tenant", "acme"),
            ("correlation_id", TRACE),
            ("policy", "documents"),
            ("reason", reason),
        ] {
            assert_eq!(
                fields.get(key).map(String::as_str),
                Some(expected),
                "{key} of {fields:#?}"
            );
        }
        assert_eq!(fields.get("rule").map(String::as_str), rule, "{fields:#?}");
        assert!(
            fields.contains_key("generation") && fields.contains_key("latency_us"),
            "{fields:#?}"
        );
        assert!(!format!("{fields:?}").contains(SECRET), "{fields:#?}");
        if path == "/documents/shadowed" {
            assert_eq!(fields["shadow.decision"], "deny");
            assert_eq!(fields["shadow.rule"], "frozen");
        }
    }
}

/// Keeps nothing.
struct Full;

impl AuditSink for Full {
    fn record(&self, _: &AuditRecord<'_>) -> Result<(), Lost> {
        Err(Lost::new())
    }
}

#[tokio::test]
async fn tracing_hears_of_a_denial_where_the_record_of_an_allow_is_lost() {
    let events = Events::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let layer = || AuthzLayer::new(documents()).unwrap().audit_to(Full);
    let probe = Probe::default();
    let guarded = layer().layer(everything(&probe));
    let bound = everything_bound(&probe, layer());
    for (path, rule) in [("/documents/7", "read"), ("/code", WEB)] {
        for is_bound in [false, true] {
            let answer = if is_bound {
                peer(WEB).layer(bound.clone()).oneshot(get(path)).await
            } else {
                peer(WEB).layer(guarded.clone()).oneshot(get(path)).await
            };
            assert_eq!(answer.unwrap().status(), 403, "{path}");
            let heard = std::mem::take(&mut *events.0.lock().unwrap());
            assert_eq!(heard.len(), 1, "{path}: {heard:#?}");
            let (level, fields) = &heard[0];
            assert_eq!(*level, tracing::Level::INFO, "{fields:#?}");
            assert_eq!(fields["decision"], "deny", "{fields:#?}");
            assert_eq!(fields["reason"], "no_record", "{fields:#?}");
            assert!(
                ["read", rule].contains(&fields["rule"].as_str()),
                "{fields:#?}"
            );
        }
    }
    assert_eq!(probe.calls(), 0);
}

fn get(path: &str) -> axum::extract::Request {
    axum::extract::Request::get(path)
        .body(axum::body::Body::empty())
        .unwrap()
}
