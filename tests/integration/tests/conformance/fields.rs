//! What the fields of a message hold (SPIFFE Workload API, sections 5.2 and 8).

use std::time::Duration;

use base64::Engine;
use integration::scripted::{Rpc, ScriptedAgent, message, update};
use integration::settled;
use prost::bytes::Bytes;
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_source::Source;
use spiffe_source::workload_api::messages::X509Svid;

use crate::{
    ID, PARTNER, SECOND, authority, complaint, domain, following, ids, issue, no_complaint,
    partner, serial,
};

/// SVIDs of one authority with these IDs and hints.
fn svids(authority: &Authority, of: &[(&str, &str)]) -> Vec<X509Svid> {
    let one = |(id, hint): &(&str, &str)| {
        let mut svid = message(authority, &issue(authority, id));
        svid.hint = (*hint).to_owned();
        svid
    };
    of.iter().map(one).collect()
}

#[tokio::test]
async fn conformance_75_of_several_svids_with_one_hint_the_first_is_taken() {
    let authority = authority();
    let third = "spiffe://example.org/service/third";
    let agent = ScriptedAgent::start();
    let hints = [(ID, "internal"), (SECOND, "internal"), (third, "external")];
    let (source, _stream) = following(&agent, &update(svids(&authority, &hints))).await;
    assert_eq!(ids(&source), [ID, third]);
    let complaint = complaint(&source, "hints").await;
    assert!(complaint.contains("internal"), "{complaint}");
}

/// A client that takes the absence of a hint for a hint loses identities.
#[tokio::test]
async fn conformance_75_trap_svids_without_a_hint_are_no_duplicates() {
    let authority = authority();
    let third = "spiffe://example.org/service/third";
    let agent = ScriptedAgent::start();
    let hints = [(ID, ""), (SECOND, ""), (third, "")];
    let (source, _stream) = following(&agent, &update(svids(&authority, &hints))).await;
    assert_eq!(ids(&source), [ID, SECOND, third]);
    let snapshot = source.snapshot();
    assert!(snapshot.svids().iter().all(|svid| svid.hint().is_none()));
    no_complaint(&source).await;
}

#[tokio::test]
async fn conformance_75_a_hint_is_any_text_of_at_most_1024_bytes() {
    let authority = authority();
    let (longest, too_long) = ("h".repeat(1024), "h".repeat(1025));
    let agent = ScriptedAgent::start();
    let hints = [(ID, "ünexpected \u{1b}[2J"), (SECOND, &*longest)];
    let (source, stream) = following(&agent, &update(svids(&authority, &hints))).await;
    let snapshot = source.snapshot();
    let held: Vec<_> = snapshot.svids().iter().map(|svid| svid.hint()).collect();
    assert_eq!(held, [Some("ünexpected \u{1b}[2J"), Some(&*longest)]);

    stream.send(&update(svids(&authority, &[(ID, ""), (SECOND, &too_long)])));
    settled(&source, |now| now.revision() > snapshot.revision()).await;
    assert_eq!(ids(&source), [ID]);
    let complaint = complaint(&source, "hints").await;
    assert!(complaint.contains("hint"), "{complaint}");
}

/// No other identity takes the place of one that was asked for by its hint.
#[tokio::test]
async fn conformance_75_a_hint_that_is_asked_for_is_the_first_of_that_name_or_an_error() {
    let authority = authority();
    let third = "spiffe://example.org/service/third";
    for (asked_for, hints, used) in [
        (
            "external",
            [(ID, ""), (SECOND, "external"), (third, "external")],
            Some(SECOND),
        ),
        (
            "external",
            [(ID, "External"), (SECOND, "externals"), (third, "")],
            None,
        ),
    ] {
        let agent = ScriptedAgent::start();
        let connect = Source::workload_api()
            .endpoint(agent.endpoint())
            .pick_hint(asked_for)
            .first_update_within(Duration::from_millis(500));
        let connect = tokio::spawn(connect.connect());
        let stream = agent.next(Rpc::FetchX509Svid).await;
        stream.send(&update(svids(&authority, &hints)));
        let connected = connect.await.unwrap();
        match used {
            Some(used) => assert_eq!(ids(&connected.unwrap())[0], used),
            None => {
                let error = connected.unwrap_err();
                assert!(
                    error.is_bad_answer() && error.to_string().contains(asked_for),
                    "{error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn conformance_76_the_first_svid_is_the_default_identity() {
    let authority = authority();
    let agent = ScriptedAgent::start();
    let hints = [(ID, "z"), (SECOND, "a")];
    let (source, stream) = following(&agent, &update(svids(&authority, &hints))).await;
    let used = |source: &Source| {
        let snapshot = source.snapshot();
        snapshot.svid().unwrap().spiffe_id().to_string()
    };
    assert_eq!(used(&source), ID);
    let before = source.snapshot();
    stream.send(&update(svids(&authority, &[(SECOND, "a"), (ID, "z")])));
    settled(&source, |now| now.revision() > before.revision()).await;
    assert_eq!(
        used(&source),
        SECOND,
        "whatever the hints and the order before"
    );
}

#[tokio::test]
async fn conformance_77_chain_key_and_bundle_are_der_and_belong_together() {
    let authority = authority();
    let good = || message(&authority, &issue(&authority, ID));
    let svid = issue(&authority, ID);
    let (leaf, intermediate) = (svid.chain()[0].clone(), svid.chain()[1].clone());
    let of_another = issue(&authority, SECOND);
    let foreign = partner();
    let other = Authority::new("example.org").unwrap();
    let of_partner = IssueSpec::new("spiffe://partner.test/service/orders").unwrap();
    let of_partner = foreign.issue(&of_partner).unwrap();
    let change = |change: &dyn Fn(&mut X509Svid)| {
        let mut svid = message(&authority, &svid);
        change(&mut svid);
        svid
    };
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        Bytes::from(format!(
            "-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"
        ))
    };
    let broken = [
        (
            "the chain, issuer first",
            change(&|svid| svid.x509_svid = [&*intermediate, &*leaf].concat().into()),
        ),
        (
            "the chain with a byte more",
            change(&|svid| svid.x509_svid = [&*leaf, &*intermediate, &[0]].concat().into()),
        ),
        (
            "the chain cut off",
            change(&|svid| svid.x509_svid.truncate(leaf.len() + 40)),
        ),
        (
            "the chain without its intermediate",
            change(&|svid| svid.x509_svid = leaf.clone().into()),
        ),
        (
            "the chain in PEM",
            change(&|svid| svid.x509_svid = pem("CERTIFICATE", &leaf)),
        ),
        (
            "the key in PEM",
            change(&|svid| svid.x509_svid_key = pem("PRIVATE KEY", &svid.x509_svid_key)),
        ),
        (
            "the key in SEC1",
            change(&|svid| svid.x509_svid_key = sec1(&svid.x509_svid_key)),
        ),
        (
            "the key of another leaf",
            change(&|svid| svid.x509_svid_key = of_another.key_der().to_vec().into()),
        ),
        (
            "another ID",
            change(&|svid| svid.spiffe_id = SECOND.to_owned()),
        ),
        (
            "the ID of the trust domain",
            change(&|svid| svid.spiffe_id = "spiffe://example.org".to_owned()),
        ),
        (
            "an ID in upper case",
            change(&|svid| svid.spiffe_id = ID.to_uppercase()),
        ),
        (
            "the bundle of another domain",
            change(&|svid| svid.bundle = foreign.bundle_der().into()),
        ),
        (
            "another bundle of this name",
            change(&|svid| svid.bundle = other.bundle_der().into()),
        ),
        (
            "the bundle in PEM",
            change(&|svid| svid.bundle = pem("CERTIFICATE", &leaf)),
        ),
        (
            "a leaf in the bundle",
            change(&|svid| svid.bundle = [&*svid.bundle, &*leaf].concat().into()),
        ),
        ("a leaf of another domain", {
            let mut svid = message(&foreign, &of_partner);
            svid.spiffe_id = ID.to_owned();
            svid
        }),
    ];
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &update([good()])).await;
    for (what, svid) in broken {
        let before = source.snapshot();
        stream.send(&update([svid]));
        complaint(&source, what).await;
        assert_eq!(source.snapshot().svids(), before.svids(), "{what}");
        let old = serial(&source);
        stream.send(&update([good()]));
        settled(&source, |_| serial(&source) != old).await;
        no_complaint(&source).await;
    }

    let before = source.snapshot();
    stream.send(&update([message(&authority, &svid)]));
    let now = settled(&source, |now| now.revision() > before.revision()).await;
    let held = now.svid().unwrap();
    assert!(held.chain().eq([&*leaf, &*intermediate]), "leaf first");
    assert_eq!(held.expose_key(), svid.key_der());
    let bundle = now.bundle(&domain("example.org")).unwrap();
    assert!(bundle.authorities().eq(authority.roots().iter()));
}

/// The private key inside a PKCS#8 document, which is one in SEC1.
fn sec1(pkcs8: &[u8]) -> Bytes {
    let version_and_length = [2, 1, 1, 4, 32];
    let at = pkcs8
        .windows(version_and_length.len())
        .position(|window| window == version_and_length)
        .unwrap();
    Bytes::copy_from_slice(&pkcs8[at - 2..])
}

/// The specification has a client discard the message. Here the entry alone counts for nothing, so
/// that it does not stop the own SVID's rotation.
#[tokio::test]
async fn conformance_78_a_key_that_is_no_id_of_a_trust_domain_names_none_and_breaks_nothing_else() {
    let authority = authority();
    let partner = partner();
    let next = |key: &str| {
        let mut update = update([message(&authority, &issue(&authority, ID))]);
        let bundle = partner.bundle_der().into();
        update.federated_bundles.insert(key.to_owned(), bundle);
        update
    };
    let agent = ScriptedAgent::start();
    let (source, stream) = following(&agent, &next("spiffe://partner.test")).await;
    for key in [
        "partner.test",
        "spiffe://partner.test/",
        "spiffe://partner.test/service/orders",
        "spiffe://Partner.test",
        "SPIFFE://partner.test",
        "https://partner.test",
        "spiffe://partner.test:443",
        "spiffe://partner.test ",
        "",
    ] {
        assert!(
            source.snapshot().bundle(&domain(PARTNER)).is_some(),
            "control"
        );
        let before = serial(&source);
        stream.send(&next(key));
        let now = settled(&source, |_| serial(&source) != before).await;
        assert!(now.bundle(&domain(PARTNER)).is_none(), "{key:?}");
        assert_eq!(now.bundles().len(), 1, "{key:?}");
        stream.send(&next("spiffe://partner.test"));
        settled(&source, |now| now.bundle(&domain(PARTNER)).is_some()).await;
    }
}
