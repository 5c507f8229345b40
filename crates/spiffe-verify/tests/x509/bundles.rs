//! Whose bundle it is, and when it vouches for nobody.

use std::time::{Duration, SystemTime};

use spiffe_peer::TrustDomain;
use spiffe_verify::{JwtBundle, Purpose, X509Bundle, X509Fault, X509Verifier, default_provider};

use crate::mint::{Authority, Leaf, PARTNER, TD};
use crate::{ID, verify};

fn domain(name: &str) -> TrustDomain {
    spiffe_peer::parse::trust_domain(name).unwrap()
}

#[test]
fn conformance_15_what_no_specification_makes_an_svid_is_no_certificate() {
    let authority = Authority::new(TD);
    let chain = authority.issue(&Leaf::new(ID));
    verify(&chain, &[&authority.bundle()]).unwrap();
    let pem = [
        b"-----BEGIN CERTIFICATE-----\n".as_slice(),
        &chain[0],
        b"-----END CERTIFICATE-----\n",
    ];
    let token = b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy94In0.AA";
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    for (document, bytes) in [
        ("PEM", pem.concat()),
        ("JWT", token.to_vec()),
        ("a SPIFFE ID", ID.as_bytes().to_vec()),
        (
            "a raw public key",
            rcgen::PublicKeyData::subject_public_key_info(&key),
        ),
        ("a certificate request", request.der().to_vec()),
        ("two certificates in one", chain.concat()),
        ("XML", b"<saml:Assertion/>".to_vec()),
    ] {
        let error = verify(&[bytes, chain[1].clone()], &[&authority.bundle()]).unwrap_err();
        assert_eq!(error.fault(), X509Fault::Malformed, "{document}");
    }
}

#[test]
fn conformance_49_and_73_what_verifies_tokens_never_verifies_certificates() {
    // The two kinds of bundle are two types, and neither reads the form of the other.
    let jwks = br#"{"keys": [{"kty": "EC", "use": "jwt-svid", "kid": "1", "crv": "P-256",
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;
    assert!(!JwtBundle::parse(domain(TD), jwks).unwrap().is_empty());
    X509Bundle::from_der(domain(TD), jwks).unwrap_err();

    let authority = Authority::new(TD);
    JwtBundle::parse(domain(TD), &authority.root_der()).unwrap_err();
    verify(&authority.issue(&Leaf::new(ID)), &[&authority.bundle()]).unwrap();
}

#[test]
fn conformance_91_an_unusable_bundle_is_no_bundle() {
    let authority = Authority::new(TD);
    let leaf = &authority.issue(&Leaf::new(ID))[0];
    for (der, why) in [
        (vec![], "no certificate"),
        (b"garbage".to_vec(), "not DER"),
        (leaf.clone(), "no certificate authority"),
        (
            [authority.root_der(), leaf.clone()].concat(),
            "certificate 2",
        ),
        ([authority.root_der(), vec![0x30]].concat(), "not DER"),
    ] {
        let error = X509Bundle::from_der(domain(TD), &der)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why) && error.contains(TD), "{error}");
    }
}

#[test]
fn conformance_91_under_an_effectively_empty_bundle_no_svid_is_valid() {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let authority = Authority::new(TD);
    let chains: Vec<_> = ["a", "b", "c"]
        .map(|name| authority.issue(&Leaf::new(&format!("spiffe://{TD}/{name}"))))
        .into();
    let expired = Authority::with_root_valid(TD, now - 3 * hour, now - hour).bundle();
    let not_yet = Authority::with_root_valid(TD, now + hour, now + 3 * hour).bundle();
    for chain in &chains {
        verify(chain, &[&authority.bundle()]).unwrap();
        for (bundles, fault) in [
            (vec![], X509Fault::UnknownTrustDomain),
            (vec![&expired], X509Fault::UnknownAuthority),
            (vec![&not_yet], X509Fault::UnknownAuthority),
        ] {
            assert_eq!(verify(chain, &bundles).unwrap_err().fault(), fault);
        }
    }
    // The SVIDs of an authority whose own root has ended, every one of them.
    let ended = Authority::with_root_valid(TD, now - 3 * hour, now - hour);
    for name in ["a", "b"] {
        let chain = ended.issue(&Leaf::new(&format!("spiffe://{TD}/{name}")));
        let error = verify(&chain, &[&ended.bundle()]).unwrap_err();
        assert_eq!(error.fault(), X509Fault::UnknownAuthority);
    }
}

#[test]
fn conformance_95_a_bundle_keeps_the_trust_domain_that_it_was_read_for() {
    // Nothing in the certificates says whose bundle it is.
    let authority = Authority::new(TD);
    let read_for = |name| X509Bundle::from_der(domain(name), &authority.root_der()).unwrap();
    let (own, other) = (read_for(TD), read_for(PARTNER));
    assert_eq!(other.trust_domain().as_str(), PARTNER);
    assert_ne!(own, other, "the same bytes, and another bundle");

    let chain = authority.issue(&Leaf::new(ID));
    let verifier = X509Verifier::new(&default_provider().unwrap());
    let now = SystemTime::now();
    let verified = verifier
        .verify(&chain, Purpose::Client, |_| Some(&own), now)
        .unwrap();
    let error = verifier
        .verify(&chain, Purpose::Client, |_| Some(&other), now)
        .unwrap_err();
    assert_eq!(error.fault(), X509Fault::UnknownTrustDomain);
    assert!(own.still_anchors(&verified) && !other.still_anchors(&verified));
}
