//! What is recorded of decisions, and what happens where it cannot be.

#![cfg(feature = "tonic")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::panic_in_result_fn,
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

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use audited::{Case, SECRET, TRACE, Veto, asked, cases, documents};
use axum::body::Body;
use axum::extract::Request;
use common::Probe;
use serde_json::Value;
use served::*;
use spiffe_authz::audit::JsonLines;
use spiffe_authz::axum::{Router, Rpcs, any_service};
use spiffe_authz::guard::AuthzLayer;
use tower::{Layer, ServiceExt};

fn check(record: &Value, case: &Case) {
    let (request, decision, rule, reason) = case;
    let place = format!("{} {}: {record:#}", request.method(), request.uri());
    for (key, expected) in [
        ("eventType", "WORKLOAD_AUTHENTICATED"),
        ("spiffeId", WEB),
        ("trustDomain", "example.org"),
        ("peerService", "web"),
        ("targetService", "document-api"),
        ("authenticationMethod", "mtls-x509-svid"),
        ("authorizationDecision", decision),
        ("action", request.method().as_str()),
        ("resource", request.uri().path()),
        ("tenant", "acme"),
        ("correlationId", TRACE),
        ("policy", "documents"),
        ("reason", reason),
        ("userSubject", "jo"),
    ] {
        assert_eq!(record[key], expected, "{key} of {place}");
    }
    assert_eq!(record.get("rule").and_then(Value::as_str), *rule, "{place}");
    assert!(record["generation"].as_u64().unwrap() > 0, "{place}");
    assert!(record["latencyMicros"].is_u64(), "{place}");
    let at = Duration::from_secs_f64(record["occurredAt"].as_f64().unwrap());
    let age = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .checked_sub(at)
        .unwrap();
    assert!(age < LONG, "{place}");
    assert!(!record.to_string().contains(SECRET), "{place}");
    // Whatever is in shadow is shown beside every decision.
    let shadowed = request.uri().path() == "/documents/shadowed";
    let shadow = if shadowed { "deny" } else { decision };
    if *reason != "decision_point" {
        assert_eq!(record["shadowDecision"], shadow, "{place}");
    }
    if shadowed {
        assert_eq!(record["shadowRule"], "frozen", "{place}");
    }
    let detail = record.get("detail").and_then(Value::as_str);
    match *reason {
        "condition_error" => assert!(detail.unwrap().contains("`erring`"), "{place}"),
        "bad_request" => assert_eq!(detail, Some("the path has an empty segment"), "{place}"),
        "decision_point" => assert_eq!(detail, Some("the account is frozen"), "{place}"),
        _ => assert_eq!(detail, None, "{place}"),
    }
}

#[tokio::test]
async fn one_record_for_each_decision_with_every_field() {
    let records = Records::default();
    let probe = Probe::default();
    let layer = || {
        AuthzLayer::new(documents())
            .unwrap()
            .named("document-api")
            .decision_point(Veto)
            .audit_to(records.clone())
    };
    let guarded = layer().layer(everything(&probe));
    let bound = everything_bound(&probe, layer());
    for case in cases() {
        let request = || {
            let mut copy = asked(case.0.method().as_str(), case.0.uri().path());
            *copy.headers_mut() = case.0.headers().clone();
            *copy.extensions_mut() = case.0.extensions().clone();
            copy
        };
        peer(WEB)
            .layer(guarded.clone())
            .oneshot(request())
            .await
            .unwrap();
        peer(WEB)
            .layer(bound.clone())
            .oneshot(request())
            .await
            .unwrap();
        let kept = records.take();
        assert_eq!(kept.len(), 2, "one record each: {kept:#?}");
        check(&kept[0], &case);
        if case.3 != "bad_request" {
            check(&kept[1], &case);
        } else {
            assert_eq!(kept[1]["reason"], "bad_request");
            assert_eq!(kept[1]["detail"], "the path has an empty segment");
        }
    }
    // Nobody, and somebody whose identity has ended.
    guarded
        .clone()
        .oneshot(asked("GET", "/documents/7"))
        .await
        .unwrap();
    let kept = records.take();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["eventType"], "WORKLOAD_UNAUTHENTICATED");
    assert_eq!(kept[0]["reason"], "no_identity");
    assert!(kept[0].get("spiffeId").is_none());
    let ended = peer(WEB);
    ended.connection().withdraw();
    ended
        .layer(guarded)
        .oneshot(asked("GET", "/documents/7"))
        .await
        .unwrap();
    let kept = records.take();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (&kept[0]["reason"], &kept[0]["spiffeId"]),
        (&"ended_identity".into(), &WEB.into())
    );
}

#[tokio::test]
async fn rules_in_code_are_recorded_too() {
    let records = Records::default();
    let probe = Probe::default();
    let layer = AuthzLayer::new(documents())
        .unwrap()
        .audit_to(records.clone());
    let app = Router::new()
        .route("/documents/{id}", any_service(probe.clone()).policy())
        .route("/code", any_service(probe.clone()).allow(WEB))
        .grpc(Orders::default(), Rpcs::new().allow("Create", WEB))
        .bind_with(layer)
        .unwrap();
    for (id, method, path, decision, rule, reason) in [
        (WEB, "POST", "/code", "allow", Some(WEB), "rule"),
        (BATCH, "POST", "/code", "deny", Some(WEB), "not_allowed"),
        (WEB, "POST", "/nowhere", "deny", None, "default"),
        (
            BATCH,
            "POST",
            "/shop.v1.Orders/Create",
            "deny",
            Some(WEB),
            "not_allowed",
        ),
        (
            WEB,
            "POST",
            "/shop.v1.Orders/Other",
            "deny",
            None,
            "no_rule",
        ),
        (
            WEB,
            "GET",
            "/documents/locked",
            "deny",
            Some("locked"),
            "rule",
        ),
        (WEB, "GET", "/%63ode", "deny", None, "bad_request"),
    ] {
        peer(id)
            .layer(app.clone())
            .oneshot(asked(method, path))
            .await
            .unwrap();
        let kept = records.take();
        assert_eq!(kept.len(), 1, "{method} {path}: {kept:#?}");
        let of = |key: &str| kept[0].get(key).and_then(Value::as_str);
        assert_eq!(
            of("authorizationDecision"),
            Some(decision),
            "{method} {path}"
        );
        assert_eq!(of("rule"), rule, "{method} {path}");
        assert_eq!(of("reason"), Some(reason), "{method} {path}");
        assert_eq!(of("spiffeId"), Some(id), "{method} {path}");
        assert_eq!(of("resource"), Some(path), "{method} {path}");
    }
    assert_eq!(probe.calls(), 1);
}

#[tokio::test]
async fn a_correlation_id_is_the_trace_or_the_request_and_bounded() {
    let records = Records::default();
    let layer = AuthzLayer::new(documents())
        .unwrap()
        .audit_to(records.clone());
    let server = Server::guarded(Some(&peer(WEB)), layer).await;
    let long = "y".repeat(129);
    for (headers, expected) in [
        ("".to_owned(), None),
        (
            format!("\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01\r\nx-request-id: r-1"),
            Some(TRACE),
        ),
        ("\r\nx-request-id: r-1".to_owned(), Some("r-1")),
        (
            "\r\ntraceparent: nonsense\r\nx-request-id: r-2".to_owned(),
            Some("r-2"),
        ),
        (format!("\r\nx-request-id: {long}"), None),
        ("\r\nx-request-id: a b".to_owned(), None),
        ("\r\nx-request-id: \u{e4}".to_owned(), None),
    ] {
        status(
            server.address,
            &format!("{}{headers}", head("GET /documents/7")),
        )
        .await;
        let kept = records.take();
        assert_eq!(kept.len(), 1);
        assert_eq!(
            kept[0].get("correlationId").and_then(Value::as_str),
            expected,
            "{headers:?}"
        );
    }
    // A path of any length is shortened.
    let path = format!("/documents/{}", "\u{e4}".repeat(2000));
    let request = Request::get(path.replace('\u{e4}', "%C3%A4"))
        .body(Body::empty())
        .unwrap();
    let layer = AuthzLayer::new(documents())
        .unwrap()
        .audit_to(records.clone());
    peer(WEB)
        .layer(layer.layer(Probe::default()))
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(records.take()[0]["resource"].as_str().unwrap().len(), 1024);
}

/// A disk that says when it is asked to write, and waits until it may.
struct Disk {
    asked: mpsc::Sender<()>,
    may: mpsc::Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.send(()).ok();
        self.may.recv().ok();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn answers(app: &axum::Router, sink: &Arc<JsonLines>) -> u16 {
    let layer = AuthzLayer::new(documents()).unwrap().audit_to(sink.clone());
    let request = Request::get("/documents/7").body(Body::empty()).unwrap();
    let response = peer(WEB)
        .layer(layer.layer(app.clone()))
        .oneshot(request)
        .await
        .unwrap();
    response.status().as_u16()
}

fn lines(written: &Mutex<Vec<u8>>) -> Vec<Value> {
    let bytes = written.lock().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_or_denies() {
    for deny in [false, true] {
        let ((asked, is_asked), (may, allowed)) = (mpsc::channel(), mpsc::channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk {
            asked,
            may: allowed,
            written: written.clone(),
        };
        let builder = JsonLines::builder().capacity(2);
        let builder = if deny {
            builder.deny_when_full()
        } else {
            builder
        };
        let sink = Arc::new(builder.write_to(disk).unwrap());
        let probe = Probe::default();
        let app = everything(&probe);

        assert_eq!(answers(&app, &sink).await, 200);
        // The disk holds the first record; the queue takes two more, and no request waits.
        is_asked.recv_timeout(LONG).unwrap();
        assert_eq!(answers(&app, &sink).await, 200);
        assert_eq!(answers(&app, &sink).await, 200);
        assert_eq!(sink.dropped(), 0);
        let begun = Instant::now();
        for lost in 1..=3 {
            assert_eq!(answers(&app, &sink).await, if deny { 403 } else { 200 });
            assert_eq!(sink.dropped(), lost);
        }
        assert!(begun.elapsed() < LONG, "nobody waited for the disk");
        assert_eq!(probe.calls(), if deny { 3 } else { 6 });

        // The disk goes on, and so do records and requests.
        drop(may);
        while lines(&written).len() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(answers(&app, &sink).await, 200);
        assert_eq!(sink.dropped(), 3);
        drop(sink);
        assert_eq!(lines(&written).len(), 4);
    }
}

/// A disk that fails while it is told to.
#[derive(Clone, Default)]
struct Broken {
    fails: Arc<AtomicBool>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no space left on the device"));
        }
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failing_disk_denies_by_setting_and_recovers() {
    let disk = Broken::default();
    let sink = Arc::new(
        JsonLines::builder()
            .deny_when_full()
            .write_to(disk.clone())
            .unwrap(),
    );
    let app = everything(&Probe::default());
    assert_eq!(answers(&app, &sink).await, 200);
    disk.fails.store(true, Ordering::SeqCst);
    let until = async |status: u16| {
        let begun = Instant::now();
        while answers(&app, &sink).await != status {
            assert!(begun.elapsed() < LONG, "never {status}");
            tokio::task::yield_now().await;
        }
    };
    // Once the failure has shown, every request is denied, until the disk is mended.
    until(403).await;
    for _ in 0..10 {
        assert_eq!(answers(&app, &sink).await, 403);
    }
    disk.fails.store(false, Ordering::SeqCst);
    until(200).await;
    drop(sink);
    let lines = lines(&disk.written);
    assert!(!lines.is_empty() && lines.iter().all(|line| line["spiffeId"] == WEB));
}

/// What is not set to deny goes on and counts what is lost.
#[tokio::test]
async fn a_failing_disk_counts_what_it_loses() {
    let disk = Broken::default();
    disk.fails.store(true, Ordering::SeqCst);
    let sink = Arc::new(JsonLines::builder().write_to(disk.clone()).unwrap());
    let app = everything(&Probe::default());
    let begun = Instant::now();
    let mut asked = 0;
    while sink.dropped() == 0 {
        assert_eq!(answers(&app, &sink).await, 200);
        asked += 1;
        assert!(begun.elapsed() < LONG);
    }
    disk.fails.store(false, Ordering::SeqCst);
    let dropped = sink.dropped();
    drop(sink);
    let kept = u64::try_from(lines(&disk.written).len()).unwrap();
    assert!(
        kept + dropped <= asked && kept > 0,
        "{kept} and {dropped} of {asked}"
    );
}

/// A writer that panics ends its thread, and nothing else.
#[tokio::test]
async fn a_panicking_disk_is_a_lost_one() {
    struct Explosive;
    impl Write for Explosive {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("the disk is on fire")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (deny, expected) in [(false, 200), (true, 403)] {
        let builder = JsonLines::builder();
        let builder = if deny {
            builder.deny_when_full()
        } else {
            builder
        };
        let sink = Arc::new(builder.write_to(Explosive).unwrap());
        let app = everything(&Probe::default());
        let begun = Instant::now();
        while sink.dropped() == 0 {
            answers(&app, &sink).await;
            assert!(begun.elapsed() < LONG);
        }
        assert_eq!(answers(&app, &sink).await, expected);
    }
}

#[tokio::test]
async fn what_still_waits_is_written_when_the_sink_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    for round in 1..=2 {
        let sink = JsonLines::builder().append_to(&path).unwrap();
        let layer = AuthzLayer::new(documents()).unwrap().audit_to(sink);
        let app = peer(WEB).layer(layer.layer(everything(&Probe::default())));
        drop(layer);
        for _ in 0..100 {
            app.clone()
                .oneshot(asked("GET", "/documents/7"))
                .await
                .unwrap();
        }
        drop(app);
        let written = Mutex::new(std::fs::read(&path).unwrap());
        let lines = lines(&written);
        assert_eq!(lines.len(), round * 100, "it appends");
        for line in lines {
            check(
                &{
                    let mut line = line;
                    line["targetService"] = "document-api".into();
                    line
                },
                &(asked("GET", "/documents/7"), "allow", Some("read"), "rule"),
            );
        }
    }
    assert!(JsonLines::builder().append_to(directory.path()).is_err());
}
