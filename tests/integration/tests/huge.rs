//! Answers of a size that nobody expects, in a process of their own: the memory of a process tells
//! nothing where others use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use integration::place::{Place, resident, until};
use integration::scripted::{Rpc, ScriptedAgent, message, update};
use prost::Message as _;
use prost::bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, KeyUsagePurpose};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_peer::parse;
use spiffe_source::{Source, State};

const MIB: usize = 1024 * 1024;
const LIMIT: usize = 64 * MIB;
const BUNDLES: usize = 1000;
const ID: &str = "spiffe://example.org/service/orders";

/// The certificate of an authority that is as large as it is wanted.
fn large_root(bytes: usize) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let padding = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; bytes]);
    params.custom_extensions = vec![padding];
    params.self_signed(&key).unwrap().der().to_vec()
}

#[tokio::test]
async fn threats_68_answers_of_any_size() {
    a_thousand_bundles_in_64_mib_work().await;
    a_gigabyte_is_refused_in_bounded_memory().await;
}

async fn a_thousand_bundles_in_64_mib_work() {
    let authority = Authority::new("example.org").unwrap();
    let svid = authority.issue(&IssueSpec::new(ID).unwrap()).unwrap();
    let domain = |number: usize| format!("partner-{number}.test");
    // webpki reads no certificate of 64 KiB and more.
    let bundle = Bytes::from(large_root(LIMIT / BUNDLES / 2 - 1024).repeat(2));
    let mut answer = update([message(&authority, &svid)]);
    for number in 0..BUNDLES {
        let id = parse::trust_domain(&domain(number)).unwrap().id_string();
        answer.federated_bundles.insert(id, bundle.clone());
    }
    let size = answer.encoded_len();
    assert!((60 * MIB..=LIMIT).contains(&size), "{size} bytes");

    let agent = ScriptedAgent::start();
    let mut source = Source::workload_api()
        .endpoint(agent.endpoint())
        .first_update_within(Duration::from_secs(60));
    for number in 0..BUNDLES {
        source = source.trust(domain(number));
    }
    let connecting = tokio::spawn(source.connect());
    let stream = agent.next(Rpc::FetchX509Svid).await;
    let began = Instant::now();
    stream.send(&answer);
    let source = connecting.await.unwrap().unwrap();
    println!(
        "{size} bytes with {BUNDLES} bundles in {:?}",
        began.elapsed()
    );
    assert_eq!(source.status().last_error(), None);
    assert_eq!(source.snapshot().bundles().len(), BUNDLES + 1);
    assert_eq!(source.status().last_error(), None);

    // What is larger is refused, and what was said before holds.
    let before = source.snapshot();
    let beyond = LIMIT - size + 1024;
    let more = parse::trust_domain("one-more.test").unwrap().id_string();
    answer
        .federated_bundles
        .insert(more, Bytes::from(vec![0; beyond]));
    stream.send(&answer);
    until(&source, |status| status.state() == State::Stale).await;
    let status = source.status();
    assert!(status.is_ready(), "{status}");
    assert!(
        status
            .last_error()
            .is_some_and(|error| error.contains("cannot be used")),
        "{status}"
    );
    assert_eq!(source.snapshot(), before);
}

async fn a_gigabyte_is_refused_in_bounded_memory() {
    let place = Place::new(env!("CARGO_BIN_EXE_chaos-agent"));
    let _agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let memory = resident();
    place.command(&format!("huge {} server", 1024 * MIB)).await;
    until(&source, |status| status.state() == State::Stale).await;
    assert!(source.status().is_ready());
    for _ in 0..3 {
        let asked = source.status().reconnects();
        until(&source, |status| status.reconnects() > asked).await;
    }
    let grown = resident().saturating_sub(memory);
    assert!(
        grown < 32 * 1024,
        "{grown} KiB more for answers that are refused"
    );
    place.command("heal server").await;
    until(&source, |status| status.state() == State::Ready).await;
}
