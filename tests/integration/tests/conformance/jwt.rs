//! The JWT bundles, which come on a stream of their own (SPIFFE Workload API, section 6).

use std::time::{Duration, SystemTime};

use integration::scripted::{Call, Rpc, ScriptedAgent, message, update};
use integration::settled;
use prost::bytes::Bytes;
use spiffe_devkit::Authority;
use spiffe_peer::parse;
use spiffe_source::workload_api::messages::JwtBundlesResponse;
use spiffe_source::{Snapshot, Source, State};
use spiffe_verify::{JwtError, JwtFault, JwtVerifier};
use tonic::Status;

use crate::{
    ID, PARTNER, authority, complaint, domain, following, issue, no_complaint, partner, serial,
};

const FOREIGN: &str = "spiffe://partner.test/service/orders";

/// Long enough to notice what should not come.
const A_MOMENT: Duration = Duration::from_millis(500);

fn bundles(of: &[(&str, Vec<u8>)]) -> JwtBundlesResponse {
    let entry = |(id, jwks): &(&str, Vec<u8>)| ((*id).to_owned(), Bytes::from(jwks.clone()));
    JwtBundlesResponse {
        bundles: of.iter().map(entry).collect(),
    }
}

/// The bundles of the own and of the foreign trust domain.
fn both(own: &Authority, partner: &Authority) -> JwtBundlesResponse {
    bundles(&[
        ("spiffe://example.org", own.jwt_bundle()),
        ("spiffe://partner.test", partner.jwt_bundle()),
    ])
}

fn domains(snapshot: &Snapshot) -> Vec<&str> {
    let bundles = snapshot.jwt_bundles();
    bundles
        .map(|bundle| bundle.trust_domain().as_str())
        .collect()
}

/// A source with an SVID and these JWT bundles, two of them of domains that it trusts, and its two
/// streams.
async fn given(
    agent: &ScriptedAgent,
    authority: &Authority,
    first: &JwtBundlesResponse,
) -> (Source, Call, Call) {
    let svids = update([message(authority, &issue(authority, ID))]);
    let (source, x509) = following(agent, &svids).await;
    let jwt = agent.next(Rpc::FetchJwtBundles).await;
    jwt.send(first);
    settled(&source, |now| now.jwt_bundles().len() == 2).await;
    (source, x509, jwt)
}

fn token(authority: &Authority, id: &str) -> String {
    let id = parse::workload_id(id).unwrap();
    let minute = Duration::from_secs(60);
    authority
        .issue_jwt(&id, &["stock".to_owned()], minute)
        .unwrap()
}

fn verdict(source: &Source, token: &str) -> Result<(), JwtError> {
    let snapshot = source.snapshot();
    let verifier = JwtVerifier::new(source.provider().clone(), ["stock"]).unwrap();
    let bundle = |domain: &_| snapshot.jwt_bundle(domain);
    verifier.verify(token, bundle, SystemTime::now()).map(drop)
}

#[tokio::test]
async fn conformance_46_and_72_a_token_is_held_against_the_bundle_of_its_own_trust_domain() {
    let (own, partner) = (authority(), partner());
    let third = Authority::new("third.test").unwrap();
    let mut first = both(&own, &partner);
    let named_by_nobody = ("spiffe://third.test".to_owned(), third.jwt_bundle().into());
    first.bundles.extend([named_by_nobody]);
    let agent = ScriptedAgent::start();
    let (source, _x509, _jwt) = given(&agent, &own, &first).await;
    verdict(&source, &token(&own, ID)).unwrap();
    verdict(&source, &token(&partner, FOREIGN)).unwrap();
    for (stranger, fault) in [
        (
            token(&third, "spiffe://third.test/x"),
            JwtFault::UnknownTrustDomain,
        ),
        (
            token(&Authority::new(PARTNER).unwrap(), FOREIGN),
            JwtFault::UnknownKey,
        ),
    ] {
        assert_eq!(verdict(&source, &stranger).unwrap_err().fault(), fault);
    }
}

#[tokio::test]
async fn conformance_61_and_83_an_agent_without_jwt_bundles_is_not_asked_for_them_again() {
    let authority = authority();
    for status in [
        Status::unimplemented("no JWT profile"),
        Status::invalid_argument("no such thing"),
    ] {
        let agent = ScriptedAgent::start();
        let svids = || update([message(&authority, &issue(&authority, ID))]);
        let (source, x509) = following(&agent, &svids()).await;
        let said = status.message().to_owned();
        agent.next(Rpc::FetchJwtBundles).await.fail(status);
        let complaint = complaint(&source, "no JWT bundles").await;
        assert!(complaint.contains(&said), "{complaint}");
        assert_eq!(source.status().state(), State::Ready, "X.509 goes on");

        tokio::time::sleep(A_MOMENT).await;
        let before = serial(&source);
        x509.send(&svids());
        settled(&source, |_| serial(&source) != before).await;
        assert_eq!(agent.count(Rpc::FetchJwtBundles), 1);
    }
}

#[tokio::test]
async fn conformance_65_the_stream_of_jwt_bundles_is_opened_again_when_it_ends() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    jwt.fail(Status::unavailable("restarting"));
    let again = agent.next(Rpc::FetchJwtBundles).await;
    assert_eq!(
        source.snapshot().jwt_bundles().len(),
        2,
        "what was said last holds"
    );
    verdict(&source, &token(&own, ID)).unwrap();
    again.send(&bundles(&[("spiffe://example.org", own.jwt_bundle())]));
    settled(&source, |now| domains(now) == ["example.org"]).await;
    assert_eq!(
        agent.count(Rpc::FetchX509Svid),
        1,
        "the other stream is another"
    );
}

#[tokio::test]
async fn conformance_67_and_68_a_jwt_bundle_that_is_absent_is_unloaded() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    jwt.send(&bundles(&[("spiffe://example.org", own.jwt_bundle())]));
    settled(&source, |now| domains(now) == ["example.org"]).await;
    let fault = verdict(&source, &token(&partner, FOREIGN))
        .unwrap_err()
        .fault();
    assert_eq!(fault, JwtFault::UnknownTrustDomain);
    jwt.send(&both(&own, &partner));
    settled(&source, |now| now.jwt_bundles().len() == 2).await;
    verdict(&source, &token(&partner, FOREIGN)).unwrap();
}

#[tokio::test]
async fn conformance_69_permission_denied_withdraws_the_jwt_bundles() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    jwt.fail(Status::permission_denied("no identity issued"));
    settled(&source, |now| now.jwt_bundles().len() == 0).await;
    let jwt = agent.next(Rpc::FetchJwtBundles).await;
    jwt.send(&both(&own, &partner));
    settled(&source, |now| now.jwt_bundles().len() == 2).await;
}

/// The specification has a client discard the message. Here each bundle stands on its own.
#[tokio::test]
async fn conformance_70_and_91_an_unusable_foreign_jwt_bundle_distrusts_its_domain_alone() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    for broken in ["", "{", "[]", r#"{"keys": null}"#] {
        jwt.send(&bundles(&[
            ("spiffe://example.org", own.jwt_bundle()),
            ("spiffe://partner.test", broken.into()),
        ]));
        settled(&source, |now| domains(now) == ["example.org"]).await;
        let complaint = complaint(&source, broken).await;
        assert!(complaint.contains(PARTNER), "{complaint}");
        verdict(&source, &token(&own, ID)).unwrap();
        jwt.send(&both(&own, &partner));
        settled(&source, |now| now.jwt_bundles().len() == 2).await;
        no_complaint(&source).await;
    }
    jwt.send(&bundles(&[
        ("spiffe://example.org", own.jwt_bundle()),
        ("spiffe://partner.test", br#"{"keys": []}"#.into()),
    ]));
    let partner_keys = |now: &Snapshot| now.jwt_bundle(&domain(PARTNER)).unwrap().is_empty();
    settled(&source, partner_keys).await;
    let fault = verdict(&source, &token(&partner, FOREIGN))
        .unwrap_err()
        .fault();
    assert_eq!(
        fault,
        JwtFault::UnknownKey,
        "an empty bundle is one, and vouches for nobody"
    );
}

#[tokio::test]
async fn conformance_73_neither_kind_of_bundle_takes_the_place_of_the_other() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    let x509 = source.snapshot().bundle(&domain("example.org")).cloned();
    let for_certificates = String::from_utf8(partner.jwt_bundle())
        .unwrap()
        .replace("jwt-svid", "x509-svid");
    for (wrong, fault) in [
        (partner.bundle_der(), JwtFault::UnknownTrustDomain),
        (for_certificates.into_bytes(), JwtFault::UnknownKey),
    ] {
        jwt.send(&bundles(&[
            ("spiffe://example.org", own.jwt_bundle()),
            ("spiffe://partner.test", wrong),
        ]));
        let usable = |now: &Snapshot| {
            now.jwt_bundle(&domain(PARTNER))
                .is_some_and(|bundle| !bundle.is_empty())
        };
        let now = settled(&source, |now| !usable(now)).await;
        let refused = verdict(&source, &token(&partner, FOREIGN)).unwrap_err();
        assert_eq!(refused.fault(), fault);
        assert!(
            now.bundle(&domain(PARTNER)).is_none(),
            "nor is it an X.509 bundle"
        );
        assert_eq!(now.bundle(&domain("example.org")).cloned(), x509);
        jwt.send(&both(&own, &partner));
        settled(&source, usable).await;
    }
}

#[tokio::test]
async fn conformance_78_a_key_that_is_no_id_of_a_trust_domain_names_none() {
    let (own, partner) = (authority(), partner());
    let agent = ScriptedAgent::start();
    let (source, _x509, jwt) = given(&agent, &own, &both(&own, &partner)).await;
    for key in [
        "partner.test",
        "spiffe://partner.test/",
        "spiffe://partner.test/service/orders",
        "spiffe://Partner.test",
        "SPIFFE://partner.test",
        "spiffe://partner.test:443",
        "",
    ] {
        jwt.send(&bundles(&[
            ("spiffe://example.org", own.jwt_bundle()),
            (key, partner.jwt_bundle()),
        ]));
        settled(&source, |now| domains(now) == ["example.org"]).await;
        jwt.send(&both(&own, &partner));
        settled(&source, |now| now.jwt_bundles().len() == 2).await;
    }
}
