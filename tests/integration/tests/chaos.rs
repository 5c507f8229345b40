//! The source against a real agent process that is killed, stopped, replaced and hurried, and
//! against a clock that jumps. Each time it has to come to the right state within a bounded time,
//! without a busy loop, and without keeping anything of what is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use integration::place::{BOUND, Place, until};
use integration::{SERVER, settled, with_tokens};
use spiffe_source::{Cause, Source, State};

const AGENT: &str = env!("CARGO_BIN_EXE_chaos-agent");

#[tokio::test]
async fn an_agent_that_is_stopped_for_longer_than_a_keepalive() {
    let place = Place::new(AGENT);
    let agent = place.agent().await;
    let keepalive = Duration::from_millis(300);
    let source = place.source().keepalive(keepalive, keepalive);
    let source = with_tokens(source.connect().await.unwrap()).await;
    let before = source.snapshot();
    agent.signal("STOP").await;
    until(&source, |status| status.state() == State::Stale).await;
    let status = source.status();
    assert!(
        status.is_ready() && status.stale_since().is_some(),
        "{status}"
    );
    assert_eq!(source.snapshot(), before);
    agent.signal("CONT").await;
    let took = tokio::time::timeout(
        // The attempt that hangs in the stopped agent has its own deadline.
        Duration::from_secs(30),
        async {
            while source.status().state() != State::Ready {
                source.statuses().next().await.unwrap();
            }
        },
    );
    took.await.expect("it comes back");
    assert!(source.status().stale_since().is_none());
}

#[tokio::test]
async fn an_agent_that_hangs_is_noticed_when_a_rotation_is_overdue() {
    let place = Place::new(AGENT);
    let agent = place.agent().await;
    let clock = Jumping::default();
    let source = place.source().clock(clock.clone().read()).connect().await;
    let source = with_tokens(source.unwrap()).await;
    agent.signal("STOP").await;
    let svid = source.status().svid().unwrap().clone();
    let life = svid.not_after().duration_since(svid.not_before()).unwrap();
    clock.forward(life * 3 / 4);
    let noticed = async {
        while source.status().state() != State::Stale {
            source.statuses().next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noticed)
        .await
        .expect("no ping was due, and still it is noticed");
    assert!(source.status().is_ready());
}

#[tokio::test]
async fn threats_77_a_socket_that_is_replaced() {
    let place = Place::new(AGENT);
    let old = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let before = source.snapshot();
    // The old agent lives on and keeps its streams, as one does that is slow to end.
    std::fs::rename(&place.directory, place.directory.with_extension("old")).unwrap();
    let _new = place.agent().await;
    let first = before.svid().unwrap().verified().serial();
    settled(&source, |snapshot| {
        snapshot.svid().unwrap().verified().serial() != first
    })
    .await;
    until(&source, |status| status.state() == State::Ready).await;
    // The keys for tokens are those of the new agent as well.
    let fresh = with_tokens(place.source().connect().await.unwrap()).await;
    let keys = |source: &Source| -> Vec<String> {
        let snapshot = source.snapshot();
        let bundles = snapshot.jwt_bundles();
        bundles
            .flat_map(|bundle| bundle.key_ids().map(str::to_owned))
            .collect()
    };
    let wanted = keys(&fresh);
    settled(&source, |_| keys(&source) == wanted).await;
    old.kill().await;
}

#[tokio::test]
async fn threats_76_an_entry_that_is_withdrawn_and_restored() {
    let place = Place::new(AGENT);
    let _agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let mut changes = source.changes();
    for round in 0..5 {
        place.command(&format!("withdraw {SERVER}")).await;
        until(&source, |status| status.state() == State::Denied).await;
        assert!(!source.status().is_ready() && source.snapshot().bundles().len() == 0);
        place.command(&format!("restore {SERVER}")).await;
        let took = until(&source, |status| status.state() == State::Ready).await;
        assert!(took < Duration::from_secs(5), "round {round}: {took:?}");
        for cause in [Cause::Withdrawal, Cause::Update] {
            let rotation = loop {
                let change = changes.next().await.unwrap();
                if change.is_rotation() {
                    break change;
                }
            };
            assert_eq!(rotation.cause(), cause);
        }
    }
    // While there is no identity the agent is asked, but not in a loop.
    place.command(&format!("withdraw {SERVER}")).await;
    until(&source, |status| status.state() == State::Denied).await;
    let before = source.status().reconnects();
    let denied = Duration::from_secs(3);
    let _ = tokio::time::timeout(denied, std::future::pending::<()>()).await;
    let asked = source.status().reconnects() - before;
    assert!((1..=10).contains(&asked), "{asked} times in {denied:?}");
}

/// A clock that a test makes jump.
#[derive(Clone, Default)]
struct Jumping {
    /// In seconds, forwards or back.
    offset: Arc<Mutex<i64>>,
}

impl Jumping {
    fn read(self) -> impl Fn() -> SystemTime {
        move || {
            let offset = *self.offset.lock().unwrap();
            let by = Duration::from_secs(offset.unsigned_abs());
            if offset < 0 {
                SystemTime::now() - by
            } else {
                SystemTime::now() + by
            }
        }
    }

    fn forward(&self, by: Duration) {
        *self.offset.lock().unwrap() += i64::try_from(by.as_secs()).unwrap();
    }

    fn back(&self, by: Duration) {
        *self.offset.lock().unwrap() -= i64::try_from(by.as_secs()).unwrap();
    }
}

#[tokio::test]
async fn threats_98_a_clock_that_jumps_a_day_both_ways() {
    const DAY: Duration = Duration::from_secs(86_400);
    let place = Place::new(AGENT);
    let _agent = place.agent().await;
    let clock = Jumping::default();
    let source = place.source().clock(clock.clone().read()).connect().await;
    let source = with_tokens(source.unwrap()).await;
    let mut changes = source.changes();
    let before = source.snapshot();

    clock.forward(DAY);
    let expiry = tokio::time::timeout(BOUND, changes.next()).await.unwrap();
    assert_eq!(expiry.unwrap().cause(), Cause::Expiry);
    assert_eq!(source.status().state(), State::Expired);
    assert!(source.snapshot().svid().is_none());
    clock.back(DAY);
    let back = tokio::time::timeout(BOUND, changes.next()).await.unwrap();
    assert_eq!(back.unwrap().cause(), Cause::ClockChange);
    assert_eq!(source.snapshot().svids(), before.svids());

    clock.back(DAY);
    until(&source, |status| !status.is_ready()).await;
    let status = source.status();
    assert!(status.last_error().unwrap().contains("clock"), "{status}");
    assert_eq!(
        source.snapshot().svids(),
        before.svids(),
        "nothing is taken away"
    );
    place.command("rotate svids").await;
    until(&source, |status| {
        status
            .last_error()
            .is_some_and(|error| error.contains("not valid yet"))
    })
    .await;
    clock.forward(DAY);
    place.command("rotate svids").await;
    settled(&source, |snapshot| snapshot.svids() != before.svids()).await;
    until(&source, |status| status.state() == State::Ready).await;
}

#[tokio::test]
async fn an_agent_that_is_absent_is_not_asked_in_a_loop() {
    let place = Place::new(AGENT);
    let agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    agent.kill().await;
    until(&source, |status| status.state() == State::Stale).await;
    let before = source.status().reconnects();
    let absent = Duration::from_secs(3);
    let _ = tokio::time::timeout(absent, std::future::pending::<()>()).await;
    let asked = source.status().reconnects() - before;
    assert!((1..=10).contains(&asked), "{asked} times in {absent:?}");
}
