use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use der::{Decode, Encode};
use rustls::pki_types::PrivatePkcs8KeyDer;
use spiffe_devkit::{Authority, Entry, IssueSpec, TrustDomainSpec};
use spiffe_source::workload_api::messages::X509Svid;
use spiffe_verify::{
    JwtBundle, JwtFault, JwtVerifier, Purpose, X509Bundle, X509Fault, X509Verifier, split_der,
};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};

use crate::client::Client;
use crate::{ORDERS, domain, entry, example_org};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// The certificates of an SVID, leaf first.
pub(crate) fn chain(svid: &X509Svid) -> Vec<Certificate> {
    certificates(&svid.x509_svid)
}

pub(crate) fn serial(svid: &X509Svid) -> String {
    let serial = chain(svid)[0].tbs_certificate.serial_number.clone();
    serial
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn not_after(svid: &X509Svid) -> SystemTime {
    chain(svid)[0]
        .tbs_certificate
        .validity
        .not_after
        .to_system_time()
}

fn certificates(mut der: &[u8]) -> Vec<Certificate> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let mut reader = der::SliceReader::new(der).unwrap();
        let certificate = Certificate::decode(&mut reader).unwrap();
        der = &der[usize::try_from(certificate.encoded_len().unwrap()).unwrap()..];
        found.push(certificate);
    }
    found
}

/// An extension, with whether it is critical.
fn extension<'a, T: Decode<'a> + AssociatedOid>(certificate: &'a Certificate) -> (bool, T) {
    certificate.tbs_certificate.get::<T>().unwrap().unwrap()
}

fn uris(names: &SubjectAltName) -> Vec<&str> {
    let mut found = Vec::new();
    for name in &names.0 {
        if let GeneralName::UniformResourceIdentifier(uri) = name {
            found.push(uri.as_str());
        }
    }
    found
}

#[tokio::test]
async fn conformance_16_to_28_a_leaf_is_an_x509_svid() {
    let ttl = Duration::from_secs(600);
    let entry = entry(ORDERS)
        .ttl(ttl)
        .dns("localhost")
        .dns("orders.example.org");
    let agent = example_org()
        .entry(entry)
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let before = SystemTime::now();
    let svid = client.first_x509_svids().await.unwrap().svids.remove(0);
    let after = SystemTime::now();
    let chain = chain(&svid);
    let [leaf, intermediate] = &chain[..] else {
        panic!("{} certificates", chain.len())
    };
    let roots = certificates(&svid.bundle);
    let [root] = &roots[..] else {
        panic!("{} roots", roots.len())
    };

    let (_, names) = extension::<SubjectAltName>(leaf);
    assert_eq!(uris(&names), [ORDERS], "one URI");
    let dns = names
        .0
        .iter()
        .filter(|name| matches!(name, GeneralName::DnsName(_)))
        .count();
    assert_eq!((dns, names.0.len()), (2, 3));
    assert!(
        !leaf.tbs_certificate.subject.0.is_empty(),
        "the names are not critical, so there is a subject"
    );

    let (critical, usage) = extension::<KeyUsage>(leaf);
    assert!(critical);
    assert_eq!(usage.0, KeyUsages::DigitalSignature);
    let (_, purposes) = extension::<ExtendedKeyUsage>(leaf);
    assert_eq!(purposes.0, [SERVER_AUTH, CLIENT_AUTH]);
    let (_, constraints) = extension::<BasicConstraints>(leaf);
    assert!(!constraints.ca);

    for (certificate, path_length) in [(intermediate, Some(0)), (root, None)] {
        let (critical, constraints) = extension::<BasicConstraints>(certificate);
        assert!(critical && constraints.ca);
        assert_eq!(constraints.path_len_constraint, path_length);
        let (critical, usage) = extension::<KeyUsage>(certificate);
        assert!(critical);
        assert_eq!(usage.0, KeyUsages::KeyCertSign | KeyUsages::CRLSign);
        assert_eq!(
            uris(&extension::<SubjectAltName>(certificate).1),
            ["spiffe://example.org"],
            "and no path"
        );
    }

    // Each names the one above it, by name and by key.
    assert_eq!(
        leaf.tbs_certificate.issuer,
        intermediate.tbs_certificate.subject
    );
    assert_eq!(
        intermediate.tbs_certificate.issuer,
        root.tbs_certificate.subject
    );
    assert_eq!(root.tbs_certificate.issuer, root.tbs_certificate.subject);
    assert_ne!(
        intermediate.tbs_certificate.subject,
        root.tbs_certificate.subject
    );
    for (below, above) in [(leaf, intermediate), (intermediate, root)] {
        let (_, authority) = extension::<AuthorityKeyIdentifier>(below);
        let (_, subject) = extension::<SubjectKeyIdentifier>(above);
        assert_eq!(authority.key_identifier.unwrap(), subject.0);
    }
    assert!(
        leaf.tbs_certificate
            .get::<SubjectKeyIdentifier>()
            .unwrap()
            .is_some()
    );

    let validity = leaf.tbs_certificate.validity;
    let skew = Duration::from_secs(10);
    assert!(
        validity.not_before.to_system_time() + skew < before,
        "clocks differ"
    );
    assert!(
        validity.not_before.to_system_time()
            >= intermediate
                .tbs_certificate
                .validity
                .not_before
                .to_system_time()
    );
    let second = Duration::from_secs(1);
    let end = validity.not_after.to_system_time();
    assert!(end >= before + ttl && end <= after + ttl + second);
}

#[tokio::test]
async fn conformance_77_chain_key_and_bundle_are_der_and_belong_together() {
    let agent = example_org()
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let svid = client.first_x509_svids().await.unwrap().svids.remove(0);
    let chain = chain(&svid);
    let (_, names) = extension::<SubjectAltName>(&chain[0]);
    assert_eq!(uris(&names), [svid.spiffe_id.as_str()], "the leaf is first");

    let pkcs8 = PrivatePkcs8KeyDer::from(&svid.x509_svid_key[..]);
    let key = rcgen::KeyPair::try_from(&pkcs8).unwrap();
    let info = chain[0]
        .tbs_certificate
        .subject_public_key_info
        .to_der()
        .unwrap();
    let held = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(held, info);

    let last = chain.last().unwrap().tbs_certificate.issuer.clone();
    assert!(
        certificates(&svid.bundle)
            .iter()
            .any(|root| root.tbs_certificate.subject == last)
    );
}

#[test]
fn conformance_10_and_11_nothing_is_issued_for_what_is_no_id() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    for bad in [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://Example.org/service/orders",
        "SPIFFE://example.org/service/orders",
        "spiffe://example.org:443/service/orders",
        "spiffe://example.org/service/%6frders",
        "https://example.org/service/orders",
        long.as_str(),
    ] {
        assert!(IssueSpec::new(bad).is_err(), "{bad}");
        assert!(Entry::new(bad).is_err(), "{bad}");
    }
    for bad in [
        "",
        "Example.org",
        "spiffe://example.org",
        "example.org:443",
        &"a".repeat(256),
    ] {
        assert!(Authority::new(bad).is_err(), "{bad}");
        assert!(TrustDomainSpec::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn conformance_14_the_id_and_the_key_are_inside_what_is_signed() {
    let authority = Authority::new("example.org").unwrap();
    let own = X509Bundle::from_der(domain("example.org"), &authority.bundle_der()).unwrap();
    let spec = IssueSpec::new(ORDERS).unwrap();
    let svid = authority.issue(&spec).unwrap();
    let other = authority.issue(&spec).unwrap();
    let verifier = X509Verifier::new(&spiffe_verify::default_provider().unwrap());
    let verdict = |leaf: Vec<u8>| {
        let chain = [leaf, svid.chain()[1].clone()];
        verifier
            .verify(&chain, Purpose::Client, |_| Some(&own), SystemTime::now())
            .map_err(|error| error.fault())
    };
    verdict(svid.chain()[0].clone()).unwrap();

    let leaf = Certificate::from_der(&svid.chain()[0]).unwrap();
    let mut of_another_key = leaf.clone();
    of_another_key.tbs_certificate.subject_public_key_info = certificates(&other.chain()[0])[0]
        .tbs_certificate
        .subject_public_key_info
        .clone();
    let mut of_another_id = leaf.clone();
    let names = SubjectAltName(vec![GeneralName::UniformResourceIdentifier(
        Ia5String::new("spiffe://example.org/service/admin").unwrap(),
    )]);
    for extension in of_another_id
        .tbs_certificate
        .extensions
        .iter_mut()
        .flatten()
    {
        if extension.extn_id == SubjectAltName::OID {
            extension.extn_value = OctetString::new(names.to_der().unwrap()).unwrap();
        }
    }
    for changed in [of_another_key, of_another_id] {
        assert_ne!(changed, leaf);
        assert_eq!(
            verdict(changed.to_der().unwrap()),
            Err(X509Fault::BadSignature)
        );
    }

    let audience = ["stock".to_owned()];
    let token = |id: &str| {
        authority
            .issue_jwt(&crate::id(id), &audience, Duration::from_secs(60))
            .unwrap()
    };
    let (orders, admin) = (token(ORDERS), token("spiffe://example.org/service/admin"));
    let [header, _, signature] = orders.split('.').collect::<Vec<_>>()[..] else {
        panic!("{orders}")
    };
    let claims = admin.split('.').nth(1).unwrap();
    let keys = JwtBundle::parse(domain("example.org"), &authority.jwt_bundle()).unwrap();
    let provider = spiffe_verify::default_provider().unwrap();
    let verifier = JwtVerifier::new(provider, ["stock"]).unwrap();
    let verdict = |token: &str| verifier.verify(token, |_| Some(&keys), SystemTime::now());
    verdict(&orders).unwrap();
    let error = verdict(&format!("{header}.{claims}.{signature}")).unwrap_err();
    assert_eq!(error.fault(), JwtFault::Signature);
}

#[test]
fn an_svid_never_outlives_its_authority() {
    let authority = Authority::new("example.org").unwrap();
    let long = IssueSpec::new(ORDERS)
        .unwrap()
        .ttl(Duration::from_secs(u64::MAX));
    let svid = authority.issue(&long).unwrap();
    let root = &certificates(&authority.bundle_der())[0];
    let root_end = root.tbs_certificate.validity.not_after.to_unix_duration();
    let end = svid.not_after().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(end.as_secs(), root_end.as_secs());
}

#[test]
fn an_authority_signs_for_others_only_when_told_to() {
    let authority = Authority::new("example.org").unwrap();
    let foreign = IssueSpec::new("spiffe://partner.test/x").unwrap();
    assert!(authority.issue(&foreign).is_err());
    let svid = authority.issue(&foreign.of_any_trust_domain()).unwrap();
    assert_eq!(svid.spiffe_id().to_string(), "spiffe://partner.test/x");
    assert!(!format!("{svid:?}").contains("key"));
}

#[test]
fn what_does_not_fit_into_a_certificate_is_an_error() {
    let authority = Authority::new("example.org").unwrap();
    let spec = || IssueSpec::new(ORDERS).unwrap();
    assert!(
        authority
            .issue(&spec().starting_at(UNIX_EPOCH - Duration::from_secs(1)))
            .is_err()
    );
    let far = SystemTime::now() + Duration::from_secs(400_000_000_000);
    assert!(authority.issue(&spec().starting_at(far)).is_err());
    assert!(authority.issue(&spec().dns("ü")).is_err());
    assert!(Authority::new("Example.org").is_err());
}

#[tokio::test]
async fn what_the_agent_gives_verifies_for_both_ends_under_the_bundle_beside_it_and_no_other() {
    let agent = example_org()
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let svid = client.first_x509_svids().await.unwrap().svids.remove(0);
    let chain = split_der(&svid.x509_svid).unwrap();
    let own = X509Bundle::from_der(domain("example.org"), &svid.bundle).unwrap();
    let impostor = Authority::new("example.org").unwrap().bundle_der();
    let impostor = X509Bundle::from_der(domain("example.org"), &impostor).unwrap();

    let verifier = X509Verifier::new(&spiffe_verify::default_provider().unwrap());
    let now = SystemTime::now();
    for purpose in [Purpose::Client, Purpose::Server] {
        let verified = verifier
            .verify(&chain, purpose, |_| Some(&own), now)
            .unwrap();
        assert_eq!(verified.spiffe_id().to_string(), ORDERS);
        verifier
            .verify(&chain, purpose, |_| Some(&impostor), now)
            .unwrap_err();
    }
}
