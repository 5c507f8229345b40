//! What a source tells about itself: to probes, to metrics, to programs and to callbacks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use integration::figures::figures;
use integration::place::until;
use integration::{ALLOWED, SERVER, agent, settled, source};
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};
use spiffe_devkit::Agent;
use spiffe_peer::parse;
use spiffe_source::{Cause, Source, State, health};
use tower::ServiceExt as _;

async fn probe(source: &Source, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = health(source.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn s1_16_probes_tell_alive_from_ready() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let ok = |state: &str| (StatusCode::OK, state.to_owned());
    let not = |state: &str| (StatusCode::SERVICE_UNAVAILABLE, state.to_owned());
    assert_eq!(probe(&source, "/live").await, ok("ready"));
    assert_eq!(probe(&source, "/ready").await, ok("ready"));

    agent
        .withdraw(&parse::workload_id(SERVER).unwrap())
        .unwrap();
    until(&source, |status| status.state() == State::Denied).await;
    assert_eq!(probe(&source, "/live").await, ok("denied"));
    assert_eq!(probe(&source, "/ready").await, not("denied"));

    source.close();
    assert_eq!(probe(&source, "/live").await, not("closed"));
    assert_eq!(probe(&source, "/ready").await, not("closed"));
    assert!(source.clone().changed().await.is_err());
    assert!(source.snapshot().svid().is_none());
}

#[tokio::test]
async fn ready_waits_no_longer_than_it_is_told() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "allowed", &[]).await;
    source.ready(Duration::from_secs(5)).await.unwrap();
    let id = parse::workload_id(ALLOWED).unwrap();
    agent.withdraw(&id).unwrap();
    until(&source, |status| status.state() == State::Denied).await;
    let error = source.ready(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.status().state(), State::Denied);
    assert!(error.to_string().contains("not ready: denied"), "{error}");

    let waiting = tokio::spawn({
        let source = source.clone();
        async move { source.ready(Duration::from_secs(30)).await }
    });
    agent.restore(&id).unwrap();
    waiting.await.unwrap().expect("it becomes ready");
}

#[tokio::test]
async fn a_status_is_for_people_and_for_programs() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &["partner.test"]).await;
    settled(&source, |snapshot| snapshot.jwt_bundles().len() == 2).await;
    let status = source.status();
    let text = status.to_string();
    assert!(
        text.starts_with("ready, from unix:///") && text.contains(SERVER),
        "{text}"
    );

    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["state"], "ready");
    assert_eq!(json["ready"], true);
    assert_eq!(json["svid"]["spiffe_id"], SERVER);
    assert_eq!(json["svid"]["serial"], status.svid().unwrap().serial());
    assert!(json["svid"]["not_after"].as_str().unwrap().ends_with('Z'));
    assert_eq!(json["bundles"][1]["trust_domain"], "partner.test");
    assert_eq!(json["bundles"][1]["authorities"], 1);
    assert_eq!(json["bundles"][1]["jwt_keys"], 1);
    assert_eq!(json["last_error"], serde_json::Value::Null);
    assert!(status.last_update().unwrap() <= SystemTime::now());
}

#[tokio::test]
async fn a_callback_that_panics_stops_neither_the_source_nor_its_own_later_calls() {
    let agent = agent().start().await.unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let source = Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .on_change(move |change| {
            seen.lock().unwrap().push(change.clone());
            panic!("a callback's own fault");
        })
        .connect()
        .await
        .unwrap();
    let before = source.status().svid().unwrap().clone();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    agent.rotate_svids();
    settled(&source, |snapshot| {
        snapshot.svid().unwrap().verified().serial() != before.serial()
    })
    .await;
    let calls = tokio::spawn(async move {
        loop {
            let rotations: Vec<_> = {
                let calls = calls.lock().unwrap_or_else(|held| held.into_inner());
                calls
                    .iter()
                    .filter(|change| change.is_rotation())
                    .cloned()
                    .collect()
            };
            if rotations.len() == 2 {
                sender.send(rotations).unwrap();
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let rotations = tokio::time::timeout(Duration::from_secs(30), receiver.recv())
        .await
        .unwrap()
        .unwrap();
    calls.await.unwrap();
    assert_eq!(rotations[0].before(), None);
    assert_eq!(rotations[1].before(), Some(&before));
    assert_eq!(rotations[1].after(), source.status().svid());
    assert_eq!(rotations[1].cause(), Cause::Update);
}

#[test]
fn s1_17_and_18_metrics_follow_what_happens() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(follow_metrics(&snapshotter));
    });
}

async fn follow_metrics(snapshotter: &Snapshotter) {
    let agent: Agent = agent().start().await.unwrap();
    let offset = Arc::new(AtomicU64::new(0));
    let clock = {
        let offset = offset.clone();
        move || SystemTime::now() + Duration::from_secs(offset.load(Ordering::SeqCst))
    };
    let source = Source::workload_api()
        .endpoint(agent.endpoint("allowed").unwrap())
        .trust("partner.test")
        .clock(clock)
        .connect()
        .await
        .unwrap();
    let end = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let at_first = figures(snapshotter);
    let own_end = end(source.status().svid().unwrap().not_after());
    assert_eq!(at_first["spiffe_svid_expiry_timestamp_seconds"], own_end);
    assert_eq!(at_first["spiffe_svid_updates_total result=applied"], 1.0);
    assert_eq!(at_first["spiffe_svid_update_duration_seconds"], 1.0);
    assert_eq!(at_first["spiffe_workload_api_answer_seconds"], 1.0);
    // A counter that begins with its first event has no increase to alert on.
    assert_eq!(at_first["spiffe_source_withdrawals_total"], 0.0);
    assert_eq!(at_first["spiffe_svid_updates_total result=refused"], 0.0);
    assert_eq!(at_first["spiffe_source_state state=ready"], 1.0);
    assert_eq!(at_first["spiffe_source_state state=expired"], 0.0);
    let partner = "spiffe_bundle_expiry_timestamp_seconds trust_domain=partner.test";
    let partner_domain = parse::trust_domain("partner.test").unwrap();
    let bundle_end = end(source
        .snapshot()
        .bundle(&partner_domain)
        .unwrap()
        .not_after());
    assert_eq!(at_first[partner], bundle_end);

    for _ in 0..3 {
        source
            .jwt_svid(["spiffe://example.org/other"])
            .await
            .unwrap();
    }
    let with_token = figures(snapshotter);
    assert_eq!(
        with_token["spiffe_jwt_svid_fetches_total result=fetched"],
        1.0
    );
    assert_eq!(with_token["spiffe_jwt_svids_held"], 1.0);

    let before = source.status().svid().unwrap().clone();
    agent.rotate_svids();
    until(&source, |status| status.svid() != Some(&before)).await;
    assert_eq!(figures(snapshotter)["spiffe_svid_rotations_total"], 1.0);

    let own = parse::trust_domain("example.org").unwrap();
    agent.remove_bundle(&own, &partner_domain).unwrap();
    settled(&source, |snapshot| {
        snapshot.bundle(&partner_domain).is_none()
    })
    .await;
    assert_eq!(figures(snapshotter)[partner], 0.0);

    offset.store(86_400, Ordering::SeqCst);
    until(&source, |status| status.state() == State::Expired).await;
    let expired = figures(snapshotter);
    assert_eq!(expired["spiffe_svid_expiry_timestamp_seconds"], 0.0);
    assert_eq!(expired["spiffe_source_state state=expired"], 1.0);
    offset.store(0, Ordering::SeqCst);
    until(&source, |status| status.is_ready()).await;

    agent
        .withdraw(&parse::workload_id(ALLOWED).unwrap())
        .unwrap();
    until(&source, |status| status.state() == State::Denied).await;
    until(&source, |status| status.reconnects() > 0).await;
    let denied = figures(snapshotter);
    assert_eq!(denied["spiffe_source_withdrawals_total"], 1.0);
    assert!(denied.contains_key("spiffe_source_reconnects_total"));
    assert!(
        denied.keys().all(|name| !name.contains("spiffe://")),
        "no ID is a label"
    );
}
