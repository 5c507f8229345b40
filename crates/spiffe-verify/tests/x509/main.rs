//! X.509-SVID validation, rule by rule; the numbers are those of the project's conformance list
//! (SPIFFE-ID, X509-SVID, RFC 5280).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bundles;
mod dear;
mod known;
mod mint;

use std::time::{Duration, SystemTime};

use mint::{Authority, Leaf, PARTNER, TD, san_dns, san_uri};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use spiffe_peer::TrustDomain;
use spiffe_verify::{
    Purpose, VerifiedChain, X509Bundle, X509Error, X509Fault, X509Verifier, default_provider,
};

const ID: &str = "spiffe://example.org/service/orders";

fn verify_at(
    chain: &[Vec<u8>],
    bundles: &[&X509Bundle],
    purpose: Purpose,
    now: SystemTime,
) -> Result<VerifiedChain, X509Error> {
    let verifier = X509Verifier::new(&default_provider().unwrap());
    verifier.verify(
        chain,
        purpose,
        |domain: &TrustDomain| {
            bundles
                .iter()
                .find(|bundle| bundle.trust_domain() == domain)
                .copied()
        },
        now,
    )
}

fn verify(chain: &[Vec<u8>], bundles: &[&X509Bundle]) -> Result<VerifiedChain, X509Error> {
    verify_at(chain, bundles, Purpose::Client, SystemTime::now())
}

/// The fault of a leaf that differs from a good one in one thing.
fn fault_of(change: impl FnOnce(Leaf) -> Leaf) -> X509Fault {
    let authority = Authority::new(TD);
    let good = authority.issue(&Leaf::new(ID));
    verify(&good, &[&authority.bundle()]).expect("the unchanged leaf is good");
    let bad = authority.issue(&change(Leaf::new(ID)));
    verify(&bad, &[&authority.bundle()])
        .expect_err("the changed leaf was accepted")
        .fault()
}

#[test]
fn a_good_chain_is_an_identity() {
    let authority = Authority::new(TD);
    let chain = authority.issue(&Leaf::new(ID));
    for purpose in [Purpose::Client, Purpose::Server, Purpose::Both] {
        let verified =
            verify_at(&chain, &[&authority.bundle()], purpose, SystemTime::now()).unwrap();
        assert_eq!(verified.spiffe_id().to_string(), ID);
        assert!(verified.is_valid_at(SystemTime::now()));
        assert_eq!(verified.peer().spiffe_id.to_string(), ID);
    }
}

#[test]
fn conformance_16_exactly_one_uri() {
    assert_eq!(fault_of(|leaf| leaf.names([])), X509Fault::NoSpiffeId);
    assert_eq!(
        fault_of(|leaf| leaf.names([san_dns("orders.example.org")])),
        X509Fault::NoSpiffeId
    );
    assert_eq!(
        fault_of(|leaf| leaf.names([san_uri(ID), san_uri(ID)])),
        X509Fault::SeveralUris
    );
    assert_eq!(
        fault_of(|leaf| leaf.names([san_uri(ID), san_uri("spiffe://example.org/other")])),
        X509Fault::SeveralUris
    );
    assert_eq!(
        fault_of(|leaf| leaf.names([san_uri(ID), san_uri("https://example.org")])),
        X509Fault::SeveralUris
    );
    assert_eq!(
        fault_of(|leaf| leaf.names([san_uri("https://example.org/service/orders")])),
        X509Fault::BadSpiffeId
    );
}

#[test]
fn conformance_17_other_names_do_not_matter() {
    let authority = Authority::new(TD);
    let names = (0..100)
        .map(|n| san_dns(&format!("n{n}.example.org")))
        .chain([san_uri(ID)]);
    let chain = authority.issue(&Leaf::new(ID).names(names));
    assert_eq!(
        verify(&chain, &[&authority.bundle()])
            .unwrap()
            .spiffe_id()
            .to_string(),
        ID
    );
    assert_eq!(
        fault_of(|leaf| leaf.names(
            (0..256)
                .map(|n| san_dns(&format!("n{n}")))
                .chain([san_uri(ID)])
        )),
        X509Fault::Malformed
    );
}

#[test]
fn conformance_18_and_31_the_uri_is_the_id_of_a_workload() {
    for uri in [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/service//orders",
        "spiffe://example.org/service/../orders",
        "spiffe://example.org/service/orders/",
        "spiffe://example.org:443/service/orders",
        "spiffe://user@example.org/service/orders",
        "spiffe://example.org/service/orders?x",
        "spiffe://example.org/service/orders#x",
        "spiffe://example.org/%6frders",
        "spiffe://Example.org/service/orders",
        "SPIFFE://example.org/service/orders",
        "spiffe:///service/orders",
        "urn:example:orders",
    ] {
        assert_eq!(
            fault_of(|leaf| leaf.names([san_uri(uri)])),
            X509Fault::BadSpiffeId,
            "{uri}"
        );
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    assert_eq!(
        fault_of(|leaf| leaf.names([san_uri(&long)])),
        X509Fault::BadSpiffeId
    );
}

#[test]
fn conformance_22_a_leaf_says_that_it_is_no_authority() {
    assert_eq!(
        fault_of(|leaf| leaf.authority(IsCa::Ca(rcgen::BasicConstraints::Unconstrained))),
        X509Fault::LeafIsAuthority
    );
    assert_eq!(
        fault_of(|leaf| leaf.authority(IsCa::NoCa)),
        X509Fault::LeafIsAuthority
    );
}

#[test]
fn conformance_24_26_27_key_usage_of_a_leaf() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    for usages in [
        vec![],
        vec![KeyEncipherment],
        vec![DigitalSignature, KeyCertSign],
        vec![DigitalSignature, CrlSign],
    ] {
        assert_eq!(
            fault_of(|leaf| leaf.usages(usages.clone())),
            X509Fault::LeafKeyUsage,
            "{usages:?}"
        );
    }
}

#[test]
fn conformance_28_extended_key_usage_covers_the_role() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let authority = Authority::new(TD);
    let now = SystemTime::now();
    for (usages, client, server) in [
        (vec![], true, true),
        (vec![ClientAuth, ServerAuth], true, true),
        (vec![ClientAuth], true, false),
        (vec![ServerAuth], false, true),
    ] {
        let chain = authority.issue(&Leaf::new(ID).extended(usages.clone()));
        for (purpose, good) in [
            (Purpose::Client, client),
            (Purpose::Server, server),
            (Purpose::Both, client && server),
        ] {
            let verdict = verify_at(&chain, &[&authority.bundle()], purpose, now);
            assert_eq!(verdict.is_ok(), good, "{usages:?} as {purpose:?}");
            if let Err(error) = verdict {
                assert_eq!(error.fault(), X509Fault::ExtendedKeyUsage);
            }
        }
    }
}

#[test]
fn conformance_29_dates_of_leaf_intermediate_and_root() {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    assert_eq!(
        fault_of(|leaf| leaf.valid(now - 2 * hour, now - Duration::from_secs(2))),
        X509Fault::Expired
    );
    assert_eq!(
        fault_of(|leaf| leaf.valid(now + hour, now + 2 * hour)),
        X509Fault::NotYetValid
    );

    let authority = Authority::valid(TD, now - hour, now + hour);
    let chain = authority.issue(&Leaf::new(ID).valid(now - hour, now + 10 * hour));
    let verified = verify(&chain, &[&authority.bundle()]).unwrap();
    assert!(
        verified.not_after() <= now + hour,
        "the earliest end of the chain counts, root included"
    );
    let later = verify_at(
        &chain,
        &[&authority.bundle()],
        Purpose::Client,
        now + 2 * hour,
    )
    .unwrap_err();
    assert!(
        matches!(
            later.fault(),
            X509Fault::Expired | X509Fault::UnknownAuthority
        ),
        "{later}"
    );
}

#[test]
fn conformance_29_an_expired_root_anchors_nothing() {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let authority = Authority::with_root_valid(TD, now - 3 * hour, now - hour);
    let chain = authority.issue(&Leaf::new(ID));
    assert_eq!(
        verify(&chain, &[&authority.bundle()]).unwrap_err().fault(),
        X509Fault::UnknownAuthority
    );
    let back_then = verify_at(
        &chain,
        &[&authority.bundle()],
        Purpose::Client,
        now - 2 * hour,
    );
    assert!(
        !matches!(back_then, Err(error) if error.fault() == X509Fault::UnknownAuthority),
        "the root was valid then"
    );
}

#[test]
fn conformance_13_and_30_a_bundle_speaks_for_its_own_trust_domain_only() {
    let (own, partner) = (Authority::new(TD), Authority::new(PARTNER));
    let bundles = [own.bundle(), partner.bundle()];
    let bundles = [&bundles[0], &bundles[1]];
    let partner_id = "spiffe://partner.test/service/orders";
    verify(&own.issue(&Leaf::new(ID)), &bundles).unwrap();
    verify(&partner.issue(&Leaf::new(partner_id)), &bundles).unwrap();

    let foreign_signs_ours = verify(&partner.issue(&Leaf::new(ID)), &bundles).unwrap_err();
    assert_eq!(foreign_signs_ours.fault(), X509Fault::UnknownAuthority);
    assert_eq!(foreign_signs_ours.claimed_id().unwrap().to_string(), ID);
    assert_eq!(
        verify(&own.issue(&Leaf::new(partner_id)), &bundles)
            .unwrap_err()
            .fault(),
        X509Fault::UnknownAuthority
    );
    assert_eq!(
        verify(&partner.issue(&Leaf::new(partner_id)), &bundles[..1])
            .unwrap_err()
            .fault(),
        X509Fault::UnknownTrustDomain
    );
}

#[test]
fn conformance_30_an_answer_with_the_bundle_of_another_domain_is_not_believed() {
    let (own, partner) = (Authority::new(TD), Authority::new(PARTNER));
    let chain = partner.issue(&Leaf::new(ID));
    let verifier = X509Verifier::new(&default_provider().unwrap());
    let wrong = partner.bundle();
    let error = verifier
        .verify(&chain, Purpose::Client, |_| Some(&wrong), SystemTime::now())
        .unwrap_err();
    assert_eq!(error.fault(), X509Fault::UnknownTrustDomain);
    drop(own);
}

#[test]
fn conformance_23_and_25_intermediates_are_authorities() {
    for (authority, usages) in [
        (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::KeyCertSign]),
        (
            IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
            vec![KeyUsagePurpose::DigitalSignature],
        ),
        (IsCa::Ca(rcgen::BasicConstraints::Unconstrained), vec![]),
    ] {
        let authority = Authority::with_intermediate(TD, authority, usages.clone());
        let chain = authority.issue(&Leaf::new(ID));
        assert_eq!(
            verify(&chain, &[&authority.bundle()]).unwrap_err().fault(),
            X509Fault::IssuerNotAuthority,
            "{usages:?}"
        );
    }
}

#[test]
fn threats_28_to_30_what_does_not_belong_together() {
    let (authority, other) = (Authority::new(TD), Authority::new(TD));
    let chain = authority.issue(&Leaf::new(ID));
    let foreign = other.issue(&Leaf::new(ID));
    let fault = |chain: &[Vec<u8>]| verify(chain, &[&authority.bundle()]).unwrap_err().fault();

    assert_eq!(fault(&[]), X509Fault::NoCertificate);
    assert_eq!(
        fault(&chain[..1]),
        X509Fault::UnknownAuthority,
        "the intermediate is missing"
    );
    assert_eq!(
        fault(&foreign),
        X509Fault::BadSignature,
        "another authority of the same name"
    );
    assert_eq!(
        fault(&[chain[1].clone(), chain[0].clone()]),
        X509Fault::NoSpiffeId,
        "issuer first"
    );
    assert_eq!(
        fault(&[chain[0].clone(), chain[1].clone(), chain[1].clone()]),
        X509Fault::ChainOrder,
        "a subject repeats"
    );
    assert_eq!(
        fault(&[chain[0].clone(), other.root_der()]),
        X509Fault::ChainOrder,
        "not its issuer"
    );
    assert_eq!(fault(&vec![chain[0].clone(); 6]), X509Fault::ChainTooLong);
    let mut huge = chain.clone();
    huge[1].resize(64 * 1024, 0);
    assert_eq!(fault(&huge), X509Fault::ChainTooLong);
}

#[test]
fn threats_35_what_is_not_strict_der_is_malformed() {
    let authority = Authority::new(TD);
    let chain = authority.issue(&Leaf::new(ID));
    let mut trailing = chain.clone();
    trailing[0].push(0);
    let mut cut = chain.clone();
    cut[0].pop();
    for bad in [trailing, cut, vec![b"garbage".to_vec()], vec![vec![]]] {
        assert_eq!(
            verify(&bad, &[&authority.bundle()]).unwrap_err().fault(),
            X509Fault::Malformed
        );
    }
    // Every single byte of the leaf that is changed: refused, and no panic.
    let mut accepted = 0;
    for at in 0..chain[0].len() {
        let mut changed = chain.clone();
        changed[0][at] ^= 0x55;
        accepted += usize::from(verify(&changed, &[&authority.bundle()]).is_ok());
    }
    assert_eq!(accepted, 0, "of {} changed leaves", chain[0].len());
}
