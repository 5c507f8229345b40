//! The source against an agent in Python: other implementations of gRPC and protobuf, and
//! certificates that another library has made.
//!
//! Each test talks with the agent on its own thread, while the source lives on another.

use std::sync::Arc;

use interop::{FakeAgent, PATIENCE};
use spiffe_peer::{TrustDomain, parse};
use spiffe_source::{Builder, ConnectError, Snapshot, Source, State, WorkloadApi};
use tokio::time::timeout;

const ID: &str = "spiffe://example.org/service/orders";
const OWN: &str = "example.org";
const PARTNER: &str = "partner.test";

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

fn to(agent: &FakeAgent) -> Builder<WorkloadApi> {
    Source::workload_api()
        .endpoint(agent.endpoint())
        .first_update_within(PATIENCE)
}

async fn connected(builder: Builder<WorkloadApi>) -> Source {
    builder.connect().await.unwrap()
}

/// The snapshot that says so, as soon as it is there.
async fn until(
    source: &mut Source,
    what: &str,
    holds: impl Fn(&Snapshot) -> bool,
) -> Arc<Snapshot> {
    let arrives = async {
        loop {
            let snapshot = source.snapshot();
            if holds(&snapshot) {
                return snapshot;
            }
            source.changed().await.unwrap();
        }
    };
    match timeout(PATIENCE, arrives).await {
        Ok(snapshot) => snapshot,
        Err(_) => panic!("{what} does not come: {source:#?}"),
    }
}

async fn until_serial(source: &mut Source, serial: &str) -> Arc<Snapshot> {
    until(source, serial, |snapshot| {
        own_serial(snapshot) == Some(serial)
    })
    .await
}

fn own_serial(snapshot: &Snapshot) -> Option<&str> {
    snapshot.svid().map(|svid| svid.verified().serial())
}

/// The authorities of a trusted domain, hexadecimal DER; none where it is not trusted.
fn authorities(snapshot: &Snapshot, trust_domain: &str) -> Vec<String> {
    let bundle = snapshot.bundle(&domain(trust_domain));
    let hexadecimal = |der: &[u8]| der.iter().map(|byte| format!("{byte:02x}")).collect();
    bundle
        .into_iter()
        .flat_map(|bundle| bundle.authorities())
        .map(hexadecimal)
        .collect()
}

/// The most recent error says all of this.
fn assert_last_error(source: &Source, words: &[&str]) {
    let status = source.status();
    let error = status.last_error().unwrap_or_default();
    assert!(words.iter().all(|word| error.contains(word)), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_53_every_call_carries_the_security_header() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let source = connected(to(&agent)).await;
    for calls in 2..=3 {
        agent.tell("end");
        agent.tell(&format!("await FetchX509SVID {calls}"));
    }
    for call in agent.all_calls() {
        assert_eq!(call.security_header, ["true"], "{call:?}");
    }
    drop(source);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_76_of_several_svids_the_first_is_in_use_and_all_keep_their_hints() {
    let mut agent = FakeAgent::start();
    for (ids, expected) in [
        (
            ["spiffe://example.org/a#internal", "spiffe://example.org/b"],
            [
                ("spiffe://example.org/a", Some("internal")),
                ("spiffe://example.org/b", None),
            ],
        ),
        (
            ["spiffe://example.org/b", "spiffe://example.org/a#internal"],
            [
                ("spiffe://example.org/b", None),
                ("spiffe://example.org/a", Some("internal")),
            ],
        ),
    ] {
        let serials = agent.svids(&ids);
        agent.tell("send");
        let snapshot = connected(to(&agent)).await.snapshot();
        let svids = snapshot.svids();
        let seen: Vec<_> = svids
            .iter()
            .map(|svid| (svid.spiffe_id().to_string(), svid.hint()))
            .collect();
        let seen: Vec<_> = seen.iter().map(|(id, hint)| (id.as_str(), *hint)).collect();
        assert_eq!(seen, expected);
        assert_eq!(snapshot.svid(), svids.first());
        let seen: Vec<_> = svids.iter().map(|svid| svid.verified().serial()).collect();
        assert_eq!(seen, serials);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn svids_with_keys_of_every_kind_are_taken() {
    let mut agent = FakeAgent::start();
    let first = agent.send(ID);
    let mut source = connected(to(&agent)).await;
    assert_eq!(own_serial(&source.snapshot()), Some(first.as_str()));
    for kind in ["P-384", "RSA-2048", "Ed25519", "P-256"] {
        agent.tell(&format!("keys {kind}"));
        let serial = agent.send(ID);
        until_serial(&mut source, &serial).await;
        assert_eq!(source.status().last_error(), None, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_rotation_comes_on_the_open_stream() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let mut source = connected(to(&agent)).await;
    assert_eq!(source.snapshot().svid().unwrap().chain().len(), 2);

    let serial = agent.send(ID);
    until_serial(&mut source, &serial).await;

    let before = agent.bundle(OWN);
    agent.tell("rotate-authority example.org");
    let serial = agent.send(ID);
    let snapshot = until_serial(&mut source, &serial).await;
    let both = agent.bundle(OWN);
    assert_eq!(both.len(), 2);
    assert_eq!(authorities(&snapshot, OWN), both);

    agent.tell("retire-authority example.org");
    let serial = agent.send(ID);
    let snapshot = until_serial(&mut source, &serial).await;
    assert_eq!(authorities(&snapshot, OWN), both[1..]);
    assert_ne!(authorities(&snapshot, OWN), before);

    assert_eq!(agent.calls("FetchX509SVID").len(), 1);
    assert_eq!(source.status().reconnects(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn invariant_4_a_federated_domain_is_trusted_only_where_it_is_named() {
    let mut agent = FakeAgent::start();
    agent.tell("federate partner.test third.test");
    agent.send(ID);

    let naming = connected(to(&agent).trust(PARTNER)).await.snapshot();
    assert_eq!(authorities(&naming, PARTNER), agent.bundle(PARTNER));
    assert_eq!(authorities(&naming, OWN), agent.bundle(OWN));
    assert!(naming.bundle(&domain("third.test")).is_none());
    assert_eq!(naming.bundles().len(), 2);

    let silent = connected(to(&agent)).await.snapshot();
    assert_eq!(authorities(&silent, OWN), agent.bundle(OWN));
    assert_eq!(silent.bundles().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn invariant_5_a_federated_domain_that_a_message_leaves_out_is_distrusted() {
    let mut agent = FakeAgent::start();
    agent.tell("federate partner.test");
    let serial = agent.send(ID);
    let mut source = connected(to(&agent).trust(PARTNER)).await;
    assert!(source.snapshot().bundle(&domain(PARTNER)).is_some());

    agent.tell("federate");
    agent.tell("send");
    let without = until(&mut source, "the end of the federation", |snapshot| {
        snapshot.bundle(&domain(PARTNER)).is_none()
    })
    .await;
    assert_eq!(own_serial(&without), Some(serial.as_str()));
    assert!(without.bundle(&domain(OWN)).is_some());
    assert_eq!(source.status().last_error(), None);

    agent.tell("federate partner.test");
    agent.tell("send");
    until(&mut source, "the federation again", |snapshot| {
        snapshot.bundle(&domain(PARTNER)).is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_69_a_denial_withdraws_everything_until_the_agent_says_yes_again() {
    let mut agent = FakeAgent::start();
    agent.tell("federate partner.test");
    agent.send(ID);
    let mut source = connected(to(&agent).trust(PARTNER)).await;
    assert_eq!(source.snapshot().bundles().len(), 2);

    agent.tell("refuse PERMISSION_DENIED");
    let nothing = until(&mut source, "the withdrawal", |snapshot| {
        snapshot.svid().is_none()
    })
    .await;
    assert_eq!((nothing.svids().len(), nothing.bundles().len()), (0, 0));
    assert_eq!(source.status().state(), State::Denied);
    assert!(!source.status().is_ready());
    // It goes on asking.
    agent.tell("await FetchX509SVID 3");
    assert!(source.snapshot().svid().is_none());

    let serial = agent.send(ID);
    agent.tell("answer");
    let again = until_serial(&mut source, &serial).await;
    assert_eq!(again.bundles().len(), 2);
    assert_eq!(source.status().state(), State::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_65_a_stream_that_ends_is_opened_again_and_takes_nothing_away() {
    let mut agent = FakeAgent::start();
    let first = agent.send(ID);
    let mut source = connected(to(&agent)).await;
    let mut changes = source.changes();

    for (calls, prepare, ending) in [(2, "hold", "end"), (3, "answer", "refuse UNAVAILABLE")] {
        agent.tell(prepare);
        agent.tell(ending);
        // It asks again, has no answer yet, and knows that the stream has ended.
        agent.tell(&format!("await FetchX509SVID {calls}"));
        assert_eq!(
            own_serial(&source.snapshot()),
            Some(first.as_str()),
            "{ending}"
        );
        assert_eq!(source.status().state(), State::Stale, "{ending}");
        assert!(source.status().is_ready(), "{ending}");
    }
    agent.tell("answer");
    let second = agent.send(ID);
    until_serial(&mut source, &second).await;
    assert!(source.status().reconnects() >= 2);
    assert_eq!(source.status().state(), State::Ready);

    loop {
        let change = timeout(PATIENCE, changes.next()).await.unwrap().unwrap();
        let svid = change.after().expect("nothing was withdrawn in between");
        if svid.serial() == second {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn invariant_8_a_key_that_does_not_fit_is_not_published() {
    let mut agent = FakeAgent::start();
    let first = agent.send(ID);
    let mut source = connected(to(&agent).trust(PARTNER)).await;

    let second = agent.svids(&[ID]).remove(0);
    agent.tell("misfit");
    // What else the message says is how the test knows that it has come.
    agent.tell("federate partner.test");
    agent.tell("send");
    let snapshot = until(&mut source, "the federation", |snapshot| {
        snapshot.bundle(&domain(PARTNER)).is_some()
    })
    .await;
    assert_ne!(own_serial(&snapshot), Some(second.as_str()));
    assert_eq!(own_serial(&snapshot), Some(first.as_str()));
    assert_last_error(&source, &["key does not fit", ID]);

    let third = agent.send(ID);
    until_serial(&mut source, &third).await;
    assert_eq!(source.status().last_error(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn invariant_8_a_malformed_federated_bundle_distrusts_its_domain_and_no_more() {
    let mut agent = FakeAgent::start();
    agent.tell("federate partner.test third.test");
    agent.send(ID);
    let mut source = connected(to(&agent).trust(PARTNER).trust("third.test")).await;
    assert_eq!(source.snapshot().bundles().len(), 3);

    agent.tell("garble x509 partner.test");
    let serial = agent.send(ID);
    let snapshot = until_serial(&mut source, &serial).await;
    assert!(snapshot.bundle(&domain(PARTNER)).is_none());
    assert_eq!(
        authorities(&snapshot, "third.test"),
        agent.bundle("third.test")
    );
    assert_eq!(authorities(&snapshot, OWN), agent.bundle(OWN));
    assert_last_error(&source, &[PARTNER]);

    agent.tell("mend");
    let serial = agent.send(ID);
    let snapshot = until_serial(&mut source, &serial).await;
    assert_eq!(authorities(&snapshot, PARTNER), agent.bundle(PARTNER));
    assert_eq!(source.status().last_error(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_agent_that_does_not_understand_ends_the_attempt_and_one_that_is_not_ready_does_not() {
    let mut agent = FakeAgent::start();
    let serial = agent.send(ID);

    agent.tell("refuse UNAVAILABLE");
    let attempt = tokio::spawn(to(&agent).connect());
    agent.tell("await FetchX509SVID 3");
    assert!(!attempt.is_finished());
    agent.tell("answer");
    let source = timeout(PATIENCE, attempt).await.unwrap().unwrap().unwrap();
    assert_eq!(own_serial(&source.snapshot()), Some(serial.as_str()));
    drop(source);

    let before = agent.calls("FetchX509SVID").len();
    agent.tell("refuse INVALID_ARGUMENT");
    let error: ConnectError = to(&agent).connect().await.unwrap_err();
    assert!(error.is_bad_answer(), "{error:?}");
    assert!(error.to_string().contains("InvalidArgument"), "{error}");
    assert_eq!(agent.calls("FetchX509SVID").len(), before + 1);
}
