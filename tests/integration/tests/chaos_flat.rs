//! What the source keeps while an agent is killed or hurried for long: nothing. One test after the
//! other in a process of their own, since the memory of a process tells nothing where others use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use integration::place::{Place, resident, until};
use integration::settled;
use spiffe_peer::parse;
use spiffe_source::{Snapshot, Source, State};
use tokio::runtime::Handle;

const AGENT: &str = env!("CARGO_BIN_EXE_chaos-agent");

fn serial(source: &Source) -> Option<String> {
    let snapshot = source.snapshot();
    snapshot
        .svid()
        .map(|svid| svid.verified().serial().to_owned())
}

#[tokio::test]
async fn nothing_is_left_of_what_is_over() {
    an_agent_that_is_killed_and_restarted_a_hundred_times().await;
    threats_75_a_thousand_rotations_in_a_row().await;
}

async fn an_agent_that_is_killed_and_restarted_a_hundred_times() {
    const ROUNDS: u32 = 100;
    let place = Place::new(AGENT);
    let mut agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let (mut tasks, mut memory) = (0, 0);
    for round in 1..=ROUNDS {
        let before = source.snapshot();
        agent.kill().await;
        until(&source, |status| status.state() == State::Stale).await;
        assert!(source.status().is_ready(), "what was said last holds");
        assert_eq!(source.snapshot().svids(), before.svids());
        agent = place.agent().await;
        until(&source, |status| {
            status.state() == State::Ready && source.snapshot().svids() != before.svids()
        })
        .await;
        if round == ROUNDS / 5 {
            tasks = Handle::current().metrics().num_alive_tasks();
            memory = resident();
        }
    }
    let reconnects = source.status().reconnects();
    assert!(
        (u64::from(ROUNDS)..u64::from(20 * ROUNDS)).contains(&reconnects),
        "no busy loop: {reconnects}"
    );
    let after = Handle::current().metrics().num_alive_tasks();
    assert!(after <= tasks + 2, "no task is left: {tasks}, then {after}");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 64 * 1024, "memory stays flat: {grown} KiB more");
}

async fn threats_75_a_thousand_rotations_in_a_row() {
    let place = Place::new(AGENT);
    let _agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let mut changes = source.changes();
    let began_at = source.snapshot().revision();
    let first = serial(&source);
    place.command("rotate svids").await;
    until(&source, |_| serial(&source) != first).await;
    let (tasks, memory) = (Handle::current().metrics().num_alive_tasks(), resident());
    let began = Instant::now();
    for _ in 0..10 {
        let hundred = (0..100).map(|_| place.command("rotate svids"));
        futures_util::future::join_all(hundred).await;
    }
    let took = began.elapsed();
    // The last word: what comes after a thousand others must not be lost among them.
    place.command("rotate authority example.org").await;
    let fresh = place.source().connect().await.unwrap().snapshot();
    let own = parse::trust_domain("example.org").unwrap();
    let roots = |snapshot: &Snapshot| -> Vec<Vec<u8>> {
        let bundle = snapshot.bundle(&own).unwrap();
        bundle.authorities().map(<[u8]>::to_vec).collect()
    };
    let wanted = roots(&fresh);
    settled(&source, |snapshot| roots(snapshot) == wanted).await;
    assert!(source.status().is_ready(), "{}", source.status());

    let (mut seen, mut missed) = (0, 0);
    while let Ok(Ok(change)) =
        tokio::time::timeout(Duration::from_millis(100), changes.next()).await
    {
        seen += 1;
        missed += change.missed();
        if let (Some(before), Some(after)) = (change.before(), change.after()) {
            assert!(after.not_before() >= before.not_before(), "{change}");
        }
    }
    let revision = source.snapshot().revision();
    assert_eq!(
        seen + missed,
        revision - began_at,
        "every revision is an event or counted as missed"
    );
    println!("1000 rotations in {took:?}, {revision} revisions, {missed} events missed");
    let after = Handle::current().metrics().num_alive_tasks();
    assert!(after <= tasks + 2, "no task is left: {tasks}, then {after}");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 64 * 1024, "memory stays flat: {grown} KiB more");
}
