use std::time::Duration;

use prost::bytes::Bytes;
use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};

use super::*;

const ID: &str = "spiffe://example.org/service/orders";

fn reader() -> Reader {
    let federated = BTreeSet::from([parse::trust_domain("partner.test").unwrap()]);
    Reader::new(spiffe_verify::default_provider().unwrap(), federated)
}

fn message(svid: &IssuedSvid, key: &IssuedSvid, bundle: &[u8]) -> X509Svid {
    X509Svid {
        spiffe_id: ID.to_owned(),
        x509_svid: Bytes::from(svid.chain_der()),
        x509_svid_key: Bytes::copy_from_slice(key.key_der()),
        bundle: Bytes::copy_from_slice(bundle),
        hint: String::new(),
    }
}

fn update(svids: Vec<X509Svid>, partner: Option<&Authority>) -> X509SvidResponse {
    let bundles = partner.map(|partner| {
        (
            "spiffe://partner.test".to_owned(),
            Bytes::from(partner.bundle_der()),
        )
    });
    X509SvidResponse {
        svids,
        crl: Vec::new(),
        federated_bundles: bundles.into_iter().collect(),
    }
}

#[test]
fn invariant_8_an_unusable_own_part_leaves_the_own_material_and_lets_the_rest_apply() {
    let (authority, other) = (
        Authority::new("example.org").unwrap(),
        Authority::new("example.org").unwrap(),
    );
    let partner = Authority::new("partner.test").unwrap();
    let issue = |authority: &Authority| authority.issue(&IssueSpec::new(ID).unwrap()).unwrap();
    let (first, second, stranger) = (issue(&authority), issue(&authority), issue(&other));
    let bundle = authority.bundle_der();
    let now = SystemTime::now();
    let reader = reader();

    let good = update(vec![message(&first, &first, &bundle)], Some(&partner));
    let before = reader.apply(&Snapshot::nothing(0), &good, now);
    assert!(
        before.own_is_fresh && before.problems.is_empty(),
        "control: {:?}",
        before.problems
    );
    assert_eq!(before.snapshot.bundles().len(), 2);

    let mut renamed = message(&second, &second, &bundle);
    renamed.spiffe_id = "spiffe://example.org/service/other".to_owned();
    for (why, svids) in [
        ("holds none", vec![]),
        (
            "does not fit the certificate",
            vec![message(&second, &first, &bundle)],
        ),
        ("the certificate is for", vec![renamed]),
        (
            "no authority of the ID's own trust domain",
            vec![message(&stranger, &stranger, &bundle)],
        ),
        ("holds no certificate", vec![message(&second, &second, b"")]),
        ("not DER", vec![message(&second, &second, b"garbage")]),
    ] {
        let after = reader.apply(&before.snapshot, &update(svids, None), now);
        assert!(
            !after.own_is_fresh && after.problems.iter().any(|problem| problem.contains(why)),
            "{why}: {:?}",
            after.problems
        );
        assert_eq!(
            after.snapshot.svids(),
            before.snapshot.svids(),
            "{why}: the own SVID stays"
        );
        assert_eq!(
            after.snapshot.bundles().len(),
            1,
            "{why}: what the update leaves out does not live on"
        );
    }

    let late = second.not_after() + Duration::from_secs(1);
    let expired = reader.apply(
        &before.snapshot,
        &update(vec![message(&second, &second, &bundle)], None),
        late,
    );
    assert!(
        !expired.own_is_fresh
            && expired
                .problems
                .iter()
                .any(|problem| problem.contains("expired"))
    );
}

#[test]
fn nothing_is_published_where_there_was_nothing_before() {
    let authority = Authority::new("example.org").unwrap();
    let issue = || authority.issue(&IssueSpec::new(ID).unwrap()).unwrap();
    let (svid, key) = (issue(), issue());
    let bad = update(vec![message(&svid, &key, &authority.bundle_der())], None);
    let after = reader().apply(&Snapshot::nothing(0), &bad, SystemTime::now());
    assert!(after.snapshot.svid().is_none() && after.snapshot.bundles().len() == 0);
}
