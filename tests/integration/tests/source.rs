//! The source against everything that an agent can do, over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use integration::place::until;
use integration::{ALLOWED, FOREIGN, SERVER, agent, settled, source};
use spiffe_devkit::{Agent, Code, Fault};
use spiffe_peer::{TrustDomain, parse};
use spiffe_source::{ConnectError, Source, State};
use tokio::net::UnixListener;

const SOON: Duration = Duration::from_millis(500);

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

async fn refused(endpoint: &str) -> ConnectError {
    let connect = Source::workload_api()
        .endpoint(endpoint)
        .first_update_within(SOON)
        .connect();
    tokio::time::timeout(Duration::from_secs(10), connect)
        .await
        .expect("bounded")
        .expect_err("there is no SVID to have")
}

async fn refused_by(agent: &Agent, socket: &str) -> ConnectError {
    refused(agent.endpoint(socket).unwrap()).await
}

#[tokio::test]
async fn bad_input_an_endpoint_that_is_none() {
    for (endpoint, why) in [
        ("http://127.0.0.1:1", "neither `unix` nor `tcp`"),
        ("unix://tmp/x", "write `unix:///tmp/x`"),
        ("/tmp/x", "write `unix:///tmp/x`"),
        ("tcp://localhost:1", "IP address"),
    ] {
        let error = refused(endpoint).await;
        assert!(
            error.is_configuration() && error.to_string().contains(why),
            "{error}"
        );
    }
    let error = Source::workload_api()
        .endpoint("unix:///tmp/x")
        .trust("Partner.test")
        .connect()
        .await
        .unwrap_err();
    assert!(
        error.is_configuration() && error.to_string().contains("partner.test"),
        "{error}"
    );
}

#[tokio::test]
async fn bad_input_threats_63_a_socket_that_is_absent() {
    let error = refused("unix:///nonexistent/agent.sock").await;
    assert!(error.is_unreachable(), "{error:?}");
    assert!(
        error.to_string().contains("unix:///nonexistent/agent.sock")
            && error.to_string().contains("is the agent running"),
        "{error}"
    );
}

#[tokio::test]
async fn bad_input_threats_65_an_agent_that_hangs() {
    let agent = agent().start().await.unwrap();
    agent.fault("server", Fault::Hang).unwrap();
    let error = refused_by(&agent, "server").await;
    assert!(error.is_hung(), "{error:?}");

    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("silent.sock");
    let _accepts_and_is_silent = UnixListener::bind(&directory).unwrap();
    let error = refused(&format!("unix://{}", directory.display())).await;
    assert!(error.is_hung() || error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn bad_input_threats_76_no_entry_for_the_process() {
    let agent = agent().start().await.unwrap();
    let error = refused_by(&agent, "stranger").await;
    assert!(error.is_denied(), "{error:?}");
    assert!(
        error.to_string().contains("no identity issued")
            && error.to_string().contains("register an entry"),
        "{error}"
    );
}

#[tokio::test]
async fn threats_66_and_68_garbage_and_a_huge_answer_are_bad_answers() {
    let agent = agent().start().await.unwrap();
    for fault in [
        Fault::Garbage,
        Fault::Huge(80 * 1024 * 1024),
        Fault::Error {
            code: Code::Internal,
            message: "broken".into(),
        },
    ] {
        let shown = format!("{fault:?}");
        agent.fault("server", fault).unwrap();
        let error = refused_by(&agent, "server").await;
        assert!(error.is_bad_answer(), "{shown}: {error:?}");
        agent.heal("server").unwrap();
    }
    source(&agent, "server", &[]).await;
}

#[tokio::test]
async fn an_answer_above_tonic_s_default_limit_is_read() {
    let agent = agent().start().await.unwrap();
    agent
        .fault("server", Fault::Huge(32 * 1024 * 1024))
        .unwrap();
    assert_eq!(
        source(&agent, "server", &[])
            .await
            .snapshot()
            .svid()
            .unwrap()
            .spiffe_id()
            .to_string(),
        SERVER
    );
}

#[tokio::test]
async fn a_broken_stream_leaves_what_holds_and_mends_itself() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let before = source.snapshot();
    for fault in [
        Fault::Garbage,
        Fault::Error {
            code: Code::Unavailable,
            message: "restarting".into(),
        },
    ] {
        agent.fault("server", fault).unwrap();
        until(&source, |status| status.state() == State::Stale).await;
        let status = source.status();
        assert!(status.is_ready(), "what was said last holds: {status}");
        assert_eq!(source.snapshot(), before);
        agent.heal("server").unwrap();
        until(&source, |status| status.state() == State::Ready).await;
        assert_eq!(
            source.snapshot().revision(),
            before.revision(),
            "an identical answer is no revision"
        );
    }
    assert!(source.status().reconnects() >= 2);
}

#[tokio::test]
async fn a_denial_withdraws_and_a_grant_gives_back() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "allowed", &[]).await;
    let id = parse::workload_id(ALLOWED).unwrap();
    agent.withdraw(&id).unwrap();
    let withdrawn = settled(&source, |snapshot| snapshot.svid().is_none()).await;
    assert_eq!(
        withdrawn.bundles().len(),
        0,
        "without identity there is no trust"
    );
    assert_eq!(source.status().state(), State::Denied);
    assert!(!source.status().is_ready());
    agent.restore(&id).unwrap();
    settled(&source, |snapshot| snapshot.svid().is_some()).await;
    assert!(source.status().is_ready());
}

#[tokio::test]
async fn invariant_8_a_broken_foreign_bundle_breaks_that_trust_domain_alone() {
    let agent = agent().start().await.unwrap();
    let own = domain("example.org");
    let partner = domain("partner.test");
    let source = source(&agent, "server", &["partner.test"]).await;
    assert!(source.snapshot().bundle(&partner).is_some());

    let good = agent.authority(&partner).unwrap().bundle_der();
    for broken in [Vec::new(), b"garbage".to_vec()] {
        agent.add_bundle(&own, &partner, broken).unwrap();
        settled(&source, |snapshot| snapshot.bundle(&partner).is_none()).await;
        assert!(
            source
                .status()
                .last_error()
                .unwrap()
                .contains("partner.test")
        );

        let serial = source
            .snapshot()
            .svid()
            .unwrap()
            .verified()
            .serial()
            .to_owned();
        agent.rotate_svids();
        settled(&source, |snapshot| {
            snapshot.svid().unwrap().verified().serial() != serial
        })
        .await;

        agent.add_bundle(&own, &partner, good.clone()).unwrap();
        settled(&source, |snapshot| snapshot.bundle(&partner).is_some()).await;
    }
}

#[tokio::test]
async fn a_federated_entry_never_replaces_the_own_bundle() {
    let agent = agent().start().await.unwrap();
    let own = domain("example.org");
    let foreign = agent
        .authority(&domain("partner.test"))
        .unwrap()
        .bundle_der();
    let source = source(&agent, "server", &["partner.test", "example.org"]).await;
    let before = source.snapshot().bundle(&own).unwrap().clone();
    agent
        .add_bundle_under(&own, &own.id_string(), foreign)
        .unwrap();
    agent.rotate_svids();
    let serial = source
        .snapshot()
        .svid()
        .unwrap()
        .verified()
        .serial()
        .to_owned();
    settled(&source, |snapshot| {
        snapshot.svid().unwrap().verified().serial() != serial
            || source.status().last_error().is_some()
    })
    .await;
    assert_eq!(source.snapshot().bundle(&own), Some(&before));
}

#[tokio::test]
async fn invariant_4_a_bundle_that_nobody_named_is_not_trusted() {
    let agent = agent().start().await.unwrap();
    let partner = domain("partner.test");
    assert!(
        source(&agent, "server", &[])
            .await
            .snapshot()
            .bundle(&partner)
            .is_none()
    );
    assert!(
        source(&agent, "server", &["partner.test"])
            .await
            .snapshot()
            .bundle(&partner)
            .is_some(),
        "control"
    );
    let foreign = source(&agent, "foreign", &[]).await;
    assert_eq!(
        foreign.snapshot().svid().unwrap().spiffe_id().to_string(),
        FOREIGN
    );
    assert!(foreign.snapshot().bundle(&domain("example.org")).is_none());
}
