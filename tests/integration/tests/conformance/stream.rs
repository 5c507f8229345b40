//! The life of the stream: how it is asked for, held, lost and opened again (SPIFFE Workload
//! Endpoint, section 3 and appendix A; SPIFFE Workload API, section 4).

use std::collections::BTreeSet;
use std::time::Duration;

use integration::scripted::{Rpc, ScriptedAgent, message, update};
use integration::{Caller, Server, settled};
use spiffe_source::{Source, State};
use tokio::time::Instant;
use tonic::Status;

use crate::{
    ID, PATIENCE, authority, following, ids, issue, partner, ready, refused, serial, until,
    with_bundle,
};

#[tokio::test]
async fn conformance_53_every_call_carries_the_security_header_also_after_reconnecting() {
    let authority = authority();
    let first = update([message(&authority, &issue(&authority, ID))]);
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &first).await;
    stream.close();
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.send(&first);
    ready(&source).await;
    agent.cut_connections();
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.fail(Status::unavailable("restarting"));
    agent
        .next(Rpc::FetchX509Svid)
        .await
        .fail(Status::permission_denied("no identity issued"));
    agent
        .next(Rpc::FetchX509Svid)
        .await
        .send_bytes("no protobuf");
    agent.next(Rpc::FetchX509Svid).await;

    let calls = agent.calls();
    assert!(calls.len() >= 6);
    for (rpc, metadata) in calls {
        let values: Vec<_> = metadata.get_all("workload.spiffe.io").iter().collect();
        assert_eq!(values, ["true"], "{rpc:?}");
    }
}

#[tokio::test]
async fn conformance_61_invalid_argument_and_unimplemented_are_reported_and_not_tried_again() {
    for status in [
        Status::invalid_argument("security header missing from request"),
        Status::unimplemented("unknown service SpiffeWorkloadAPI"),
    ] {
        let agent = ScriptedAgent::start();
        let said = status.message().to_owned();
        let endpoint = agent.endpoint().to_owned();
        let connect = tokio::spawn(async move { refused(&endpoint).await });
        let begun = Instant::now();
        agent.next(Rpc::FetchX509Svid).await.fail(status);
        let error = connect.await.unwrap();
        assert!(begun.elapsed() < PATIENCE, "the deadline is not waited for");
        assert!(
            error.is_bad_answer() && error.to_string().contains(&said),
            "{error}"
        );
        assert_eq!(agent.count(Rpc::FetchX509Svid), 1);
    }
}

#[tokio::test]
async fn conformance_61_unavailable_and_permission_denied_are_tried_again_with_back_off() {
    let authority = authority();
    for status in [
        Status::unavailable("starting"),
        Status::permission_denied("no identity issued"),
    ] {
        let agent = ScriptedAgent::start();
        let connect = Source::workload_api()
            .endpoint(agent.endpoint())
            .first_update_within(PATIENCE);
        let connect = tokio::spawn(connect.connect());
        let mut waits = Vec::new();
        let mut stream = agent.next(Rpc::FetchX509Svid).await;
        for _ in 0..4 {
            stream.fail(status.clone());
            let begun = Instant::now();
            stream = agent.next(Rpc::FetchX509Svid).await;
            waits.push(begun.elapsed());
        }
        assert!(waits[0] >= Duration::from_millis(10), "at once: {waits:?}");
        assert!(
            waits[3] >= Duration::from_millis(150),
            "no longer: {waits:?}"
        );
        stream.send(&update([message(&authority, &issue(&authority, ID))]));
        let source = connect.await.unwrap().unwrap();
        assert_eq!(ids(&source), [ID]);
    }
}

#[tokio::test]
async fn conformance_61_an_agent_that_is_gone_is_looked_for_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let authority = authority();
    let agent = ScriptedAgent::start_at(&path);
    let first = update([message(&authority, &issue(&authority, ID))]);
    let (source, stream) = following(&agent, &first).await;
    let before = serial(&source);
    drop(stream);
    agent.stop().await;
    until(&source, "gone", |status| {
        let error = status.last_error();
        error.is_some_and(|error| error.contains("cannot be reached"))
    })
    .await;
    assert_eq!(serial(&source), before, "what was said last holds");

    let agent = ScriptedAgent::start_at(&path);
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.send(&update([message(&authority, &issue(&authority, ID))]));
    settled(&source, |_| serial(&source) != before).await;
    ready(&source).await;
}

#[tokio::test]
async fn conformance_65_one_stream_is_held_open_and_opened_again_when_it_ends() {
    let authority = authority();
    let next = || update([message(&authority, &issue(&authority, ID))]);
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &next()).await;
    for _ in 0..5 {
        let before = serial(&source);
        stream.send(&next());
        settled(&source, |_| serial(&source) != before).await;
        assert_eq!(agent.count(Rpc::FetchX509Svid), 1);
    }

    let before = source.snapshot();
    stream.close();
    let stream = agent.next(Rpc::FetchX509Svid).await;
    assert_eq!(source.snapshot(), before, "what was said last holds");
    assert_eq!(source.status().state(), State::Stale);
    stream.send(&next());
    settled(&source, |now| now.revision() > before.revision()).await;
    assert_eq!(agent.count(Rpc::FetchX509Svid), 2);

    drop(source);
    stream.abandoned().await;
}

/// Some clients keep what they had, and one ends its watch for good.
#[tokio::test]
async fn conformance_69_trap_permission_denied_withdraws_everything_and_a_grant_gives_it_back() {
    let (authority, partner) = (authority(), partner());
    let first = update([message(&authority, &issue(&authority, ID))]);
    let first = with_bundle(first, &partner);
    let agent = ScriptedAgent::start();
    let (source, mut stream) = following(&agent, &first).await;
    for _ in 0..2 {
        assert_eq!(source.snapshot().bundles().len(), 2);
        stream.fail(Status::permission_denied("no identity issued"));
        let withdrawn = settled(&source, |now| now.svid().is_none()).await;
        assert_eq!((withdrawn.svids().len(), withdrawn.bundles().len()), (0, 0));
        until(&source, "not ready", |status| !status.is_ready()).await;

        // An agent that is away does not take the denial back.
        let again = agent.next(Rpc::FetchX509Svid).await;
        again.fail(Status::unavailable("restarting"));
        stream = agent.next(Rpc::FetchX509Svid).await;
        assert!(source.snapshot().svid().is_none());
        assert_eq!(source.status().state(), State::Denied);

        stream.send(&first);
        settled(&source, |now| now.svid().is_some()).await;
        until(&source, "ready", spiffe_source::Status::is_ready).await;
    }
}

#[tokio::test]
async fn conformance_69_no_other_end_of_a_stream_withdraws_anything() {
    let (authority, partner) = (authority(), partner());
    let first = update([message(&authority, &issue(&authority, ID))]);
    let first = with_bundle(first, &partner);
    let agent = ScriptedAgent::start();
    let (source, mut stream) = following(&agent, &first).await;
    let before = source.snapshot();
    for status in [
        Status::unavailable("restarting"),
        Status::internal("broken"),
        Status::unauthenticated("who is it"),
        Status::invalid_argument("no header"),
        Status::unimplemented("no service"),
    ] {
        stream.fail(status);
        until(&source, "the end", |status| status.state() != State::Ready).await;
        assert_eq!(source.snapshot(), before);
        stream = agent.next(Rpc::FetchX509Svid).await;
        stream.send(&first);
        ready(&source).await;
        assert_eq!(source.snapshot(), before);
    }
}

#[tokio::test]
async fn conformance_84_nothing_is_fetched_per_request() {
    let agent = integration::agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut caller = Caller::new(&agent, "allowed", &[], &server).await;
    for _ in 0..5 {
        caller.forget_connections();
        for _ in 0..5 {
            assert!(caller.get("/").await.unwrap().0.is_success());
        }
    }
    let log = agent.log();
    let asked: BTreeSet<_> = log
        .iter()
        .map(|record| (record.caller().listener(), record.method()))
        .collect();
    assert_eq!(asked.len(), log.len(), "nothing is asked twice: {log:#?}");
    for end in ["server", "allowed"] {
        assert!(asked.contains(&(end, "FetchX509SVID")));
    }
}
