//! What a message does to what held before (SPIFFE Workload API, sections 4.3 to 4.6).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use integration::scripted::{Rpc, ScriptedAgent, message, update};
use integration::settled;
use prost::bytes::Bytes;
use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};
use spiffe_source::workload_api::messages::X509Svid;
use spiffe_source::{Source, State};
use spiffe_verify::{Purpose, X509Error, X509Fault, X509Verifier};

use crate::{
    ID, PARTNER, PATIENCE, SECOND, authority, complaint, domain, following, ids, issue,
    no_complaint, partner, serial, until, with_bundle,
};

#[tokio::test]
async fn conformance_67_what_a_message_does_not_say_is_not_remembered() {
    let (authority, partner) = (authority(), partner());
    let svid = issue(&authority, ID);
    let plain = update([message(&authority, &svid)]);
    let mut said = with_bundle(plain.clone(), &partner);
    said.svids[0].hint = "internal".to_owned();
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &said).await;
    let before = source.snapshot();
    assert_eq!(before.svid().unwrap().hint(), Some("internal"));
    assert!(before.bundle(&domain(PARTNER)).is_some());

    stream.send(&plain);
    let after = settled(&source, |now| now.revision() > before.revision()).await;
    assert_eq!(after.svid().unwrap().hint(), None);
    assert!(after.bundle(&domain(PARTNER)).is_none());
    assert!(after.bundle(&domain("example.org")).is_some());
    no_complaint(&source).await;
}

#[tokio::test]
async fn conformance_68_what_is_absent_is_unloaded() {
    let (authority, partner) = (authority(), partner());
    let (first, second) = (issue(&authority, ID), issue(&authority, SECOND));
    let both = || update([message(&authority, &first), message(&authority, &second)]);
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &with_bundle(both(), &partner)).await;
    assert_eq!(ids(&source), [ID, SECOND]);

    stream.send(&with_bundle(
        update([message(&authority, &first)]),
        &partner,
    ));
    let now = settled(&source, |now| now.svids().len() == 1).await;
    assert_eq!(ids(&source), [ID]);
    assert!(now.bundle(&domain(PARTNER)).is_some());

    stream.send(&both());
    let now = settled(&source, |now| now.bundle(&domain(PARTNER)).is_none()).await;
    assert_eq!(now.svids().len(), 2);

    stream.send(&update([message(&authority, &second)]));
    settled(&source, |now| now.svids().len() == 1).await;
    assert_eq!(ids(&source), [SECOND], "the default one can go as well");
}

/// The specification has a client discard the message. Here each part of an update stands on its
/// own: the own material in force stays, and what the message takes away is gone nevertheless, so
/// that no broken message keeps trust alive.
#[tokio::test]
async fn conformance_70_without_a_mandatory_field_the_own_material_stays_and_the_rest_applies() {
    let (authority, partner) = (authority(), partner());
    let good = message(&authority, &issue(&authority, ID));
    let with_partner = || with_bundle(update([good.clone()]), &partner);
    let fresh = issue(&authority, ID);
    let without = |take: fn(&mut X509Svid)| {
        let mut svid = message(&authority, &fresh);
        take(&mut svid);
        vec![svid]
    };
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &with_partner()).await;
    let before = source.snapshot();
    for (missing, svids) in [
        ("svids", vec![]),
        ("spiffe_id", without(|svid| svid.spiffe_id.clear())),
        ("x509_svid", without(|svid| svid.x509_svid.clear())),
        ("x509_svid_key", without(|svid| svid.x509_svid_key.clear())),
        ("bundle", without(|svid| svid.bundle.clear())),
    ] {
        stream.send(&update(svids));
        settled(&source, |now| now.bundle(&domain(PARTNER)).is_none()).await;
        let after = source.snapshot();
        assert_eq!(
            after.svids(),
            before.svids(),
            "{missing}: the own SVID stays"
        );
        let own = domain("example.org");
        assert_eq!(after.bundle(&own), before.bundle(&own), "{missing}");
        complaint(&source, missing).await;
        assert!(source.status().is_ready());

        stream.send(&with_partner());
        settled(&source, |now| now.bundle(&domain(PARTNER)).is_some()).await;
        no_complaint(&source).await;
    }
    stream.send(&update([message(&authority, &fresh)]));
    settled(&source, |now| now.svids() != before.svids()).await;
    assert_eq!(agent.count(Rpc::FetchX509Svid), 1, "the stream stayed open");
}

#[tokio::test]
async fn conformance_70_and_91_an_empty_foreign_bundle_distrusts_its_domain_and_nothing_else() {
    let (authority, partner) = (authority(), partner());
    let next = || {
        with_bundle(
            update([message(&authority, &issue(&authority, ID))]),
            &partner,
        )
    };
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &next()).await;
    for broken in ["", "garbage"] {
        let before = serial(&source);
        let mut update = next();
        for bundle in update.federated_bundles.values_mut() {
            *bundle = Bytes::from(broken);
        }
        stream.send(&update);
        settled(&source, |_| serial(&source) != before).await;
        assert!(source.snapshot().bundle(&domain(PARTNER)).is_none());
        let complaint = complaint(&source, broken).await;
        assert!(complaint.contains(PARTNER), "{complaint}");
        stream.send(&next());
        settled(&source, |now| now.bundle(&domain(PARTNER)).is_some()).await;
    }
}

#[tokio::test]
async fn conformance_70_a_message_that_cannot_be_read_changes_nothing_but_the_status() {
    let authority = authority();
    let first = update([message(&authority, &issue(&authority, ID))]);
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &first).await;
    let before = source.snapshot();
    stream.send_bytes([255_u8; 16].as_slice());
    let status = until(&source, "unreadable", |status| {
        status.state() == State::Stale
    })
    .await;
    assert!(status.last_error().is_some() && status.is_ready());
    assert_eq!(source.snapshot(), before);
}

#[tokio::test]
async fn conformance_72_a_peer_is_held_against_the_bundle_of_its_own_trust_domain() {
    let (own, partner) = (authority(), partner());
    let third = Authority::new("third.test").unwrap();
    let first = update([message(&own, &issue(&own, ID))]);
    let first = with_bundle(with_bundle(first, &partner), &third);
    let agent = ScriptedAgent::start();
    let (source, _stream) = following(&agent, &first).await;
    let verdict = |chain: &IssuedSvid| verdict(&source, chain);

    let foreign = "spiffe://partner.test/service/orders";
    verdict(&issue(&own, SECOND)).unwrap();
    verdict(&issue(&partner, foreign)).unwrap();
    let named_by_nobody = issue(&third, "spiffe://third.test/service/orders");
    let unknown = Authority::new("unknown.test").unwrap();
    let unknown = issue(&unknown, "spiffe://unknown.test/service/orders");
    for stranger in [named_by_nobody, unknown] {
        let fault = verdict(&stranger).unwrap_err().fault();
        assert_eq!(fault, X509Fault::UnknownTrustDomain);
    }
    for (authority, id) in [(&partner, ID), (&own, foreign)] {
        let spec = IssueSpec::new(id).unwrap().of_any_trust_domain();
        let fault = verdict(&authority.issue(&spec).unwrap())
            .unwrap_err()
            .fault();
        assert_eq!(fault, X509Fault::UnknownAuthority, "{id}");
    }
}

fn verdict(source: &Source, svid: &IssuedSvid) -> Result<(), X509Error> {
    let snapshot = source.snapshot();
    let verifier = X509Verifier::new(source.provider());
    verifier
        .verify(
            svid.chain(),
            Purpose::Client,
            |domain| snapshot.bundle(domain),
            SystemTime::now(),
        )
        .map(drop)
}

#[tokio::test]
async fn conformance_73_a_jwt_bundle_in_place_of_an_x509_bundle_vouches_for_nobody() {
    let (authority, partner) = (authority(), partner());
    let next = || {
        with_bundle(
            update([message(&authority, &issue(&authority, ID))]),
            &partner,
        )
    };
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &next()).await;
    let before = source.snapshot();

    let mut foreign = next();
    for bundle in foreign.federated_bundles.values_mut() {
        *bundle = partner.jwt_bundle().into();
    }
    stream.send(&foreign);
    settled(&source, |now| now.bundle(&domain(PARTNER)).is_none()).await;

    let own = source.snapshot();
    let mut update = next();
    update.svids[0].bundle = authority.jwt_bundle().into();
    stream.send(&update);
    let after = settled(&source, |now| now.bundle(&domain(PARTNER)).is_some()).await;
    assert_eq!(after.svids(), own.svids());
    let example_org = domain("example.org");
    assert_eq!(after.bundle(&example_org), before.bundle(&example_org));
}

/// That an SVID is not valid now, because it is old or because a clock has jumped, is found when it
/// arrives.
#[tokio::test]
async fn conformance_85_an_svid_that_has_expired_or_not_begun_replaces_nothing() {
    let authority = authority();
    let hour = Duration::from_secs(3600);
    let agent = ScriptedAgent::start();
    let first = update([message(&authority, &issue(&authority, ID))]);
    let (source, stream) = following(&agent, &first).await;
    let before = source.snapshot();
    for (start, why) in [
        (SystemTime::now() - 2 * hour, "expired"),
        (SystemTime::now() + hour, "not valid yet"),
    ] {
        let spec = IssueSpec::new(ID).unwrap().ttl(hour).starting_at(start);
        let svid = authority.issue(&spec).unwrap();
        stream.send(&update([message(&authority, &svid)]));
        let complaint = complaint(&source, why).await;
        assert!(complaint.contains(why), "{complaint}");
        assert!(source.status().is_ready());
        assert_eq!(source.snapshot().svids(), before.svids());
        stream.send(&first);
        no_complaint(&source).await;
    }
}

#[tokio::test]
async fn conformance_85_a_clock_that_jumps_ends_what_has_expired_and_hurts_nothing_else() {
    let authority = authority();
    let next = || update([message(&authority, &issue(&authority, ID))]);
    let hours = Arc::new(AtomicI64::new(0));
    let clock = hours.clone();
    let agent = ScriptedAgent::start();
    let connect = Source::workload_api()
        .endpoint(agent.endpoint())
        .clock(move || now_and(clock.load(Ordering::SeqCst)))
        .first_update_within(PATIENCE);
    let connect = tokio::spawn(connect.connect());
    let stream = agent.next(Rpc::FetchX509Svid).await;
    stream.send(&next());
    let source = connect.await.unwrap().unwrap();
    let first = serial(&source);

    hours.store(2, Ordering::SeqCst);
    settled(&source, |now| now.svid().is_none()).await;
    assert_eq!(source.status().state(), State::Expired);
    hours.store(0, Ordering::SeqCst);
    settled(&source, |now| now.svid().is_some()).await;
    assert_eq!(serial(&source), first);

    hours.store(-48, Ordering::SeqCst);
    until(&source, "not valid yet", |status| !status.is_ready()).await;
    assert!(source.snapshot().svid().is_some());
    hours.store(0, Ordering::SeqCst);
    until(&source, "ready", |status| status.is_ready()).await;
    drop(stream);
    agent.next(Rpc::FetchX509Svid).await.send(&next());
    settled(&source, |_| serial(&source) != first).await;
}

fn now_and(hours: i64) -> SystemTime {
    let distance = Duration::from_secs(hours.unsigned_abs() * 3600);
    if hours < 0 {
        SystemTime::now() - distance
    } else {
        SystemTime::now() + distance
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_85_of_a_storm_of_updates_the_last_one_holds() {
    let authority = authority();
    let one = || update([message(&authority, &issue(&authority, ID))]);
    let (even, odd, last) = (one(), one(), issue(&authority, ID));
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &one()).await;
    for number in 0..500 {
        stream.send(if number % 2 == 0 { &even } else { &odd });
        assert!(source.status().is_ready(), "there is an SVID all along");
    }
    stream.send(&update([message(&authority, &last)]));
    settled(&source, |_| serial(&source) == last.serial()).await;
    no_complaint(&source).await;
    assert_eq!(agent.count(Rpc::FetchX509Svid), 1);
}
