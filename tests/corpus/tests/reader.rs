//! What the verifier takes for a certificate, beside what the decoder of `x509-cert` takes for one: it
//! takes none that is refused there, and reads in each what is read there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::SystemTime;

use ::der::{Decode, Encode};
use corpus::case::{Case, Role};
use corpus::certificate::Template;
use corpus::extension::{san, uri};
use corpus::key::KeyKind;
use corpus::world::{ID, World};
use corpus::{cases, der, mutation};
use der::tlv;
use spiffe_peer::parse;
use spiffe_verify::{
    MAX_CHAIN_BYTES, Purpose, VerifiedChain, X509Bundle, X509Fault, X509Verifier, default_provider,
};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

/// What the verifier refuses and `x509-cert` takes, by what the verifier says of it.
const STRICTER: [(&str, &str); 12] = [
    ("not DER", "what stands in a list is no value"),
    ("nested deeper than", "a bound"),
    ("values in the certificates", "a bound"),
    ("members of a SET", "a bound"),
    ("more than 64 extensions", "a bound"),
    ("more than 256 names", "a bound"),
    ("more than 16 KiB of names", "a bound"),
    ("serial number is negative", "RFC 5280, section 4.1.2.2"),
    ("more than 20 bytes", "RFC 5280, section 4.1.2.2"),
    ("SET OF ordering", "x509-cert sorts what DER wants sorted"),
    (
        "OBJECT IDENTIFIER not canonically",
        "x509-cert takes a number of an OID that begins with a byte that adds nothing",
    ),
    (
        "expected CONTEXT-SPECIFIC [3]",
        "unique identifiers, which path validation refuses, and fields that x509-cert skips",
    ),
];

#[test]
fn nothing_is_a_certificate_that_is_none_to_another_decoder() {
    let now = SystemTime::now();
    let world = World::new(KeyKind::P256, now);
    let cases = cases::of_kind(&world);
    let rich = rich(&world);
    let usual: Vec<_> = shown_in(&cases)
        .filter(|der| der.len() < 8 * 1024)
        .collect();
    let mutated = |originals, seed| mutation::certificates(originals, &cases, 20_000, seed);
    let mutated = mutated(&rich, 7).chain(mutated(&usual, 8));
    let all = cases::all(now);
    let verifier = X509Verifier::new(&default_provider().unwrap());
    // Nothing is explained that does not occur, whatever the mutations come to.
    let occur: BTreeSet<_> = rich
        .iter()
        .filter_map(|certificate| match compare(&verifier, certificate) {
            Compared::RefusedHereAlone(says) => Some(says),
            Compared::Taken | Compared::Refused => None,
        })
        .collect();
    assert_eq!(occur.len(), STRICTER.len(), "{occur:?}");

    let mut count: BTreeMap<Compared, usize> = BTreeMap::new();
    for certificate in shown_in(&all).chain(rich.clone()).chain(mutated) {
        if certificate.len() <= MAX_CHAIN_BYTES {
            *count.entry(compare(&verifier, &certificate)).or_default() += 1;
        }
    }
    println!("{count:?}");
    assert!(count[&Compared::Taken] > 5_000 && count[&Compared::Refused] > 10_000);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Compared {
    /// By both.
    Taken,
    /// By both.
    Refused,
    RefusedHereAlone(&'static str),
}

fn compare(verifier: &X509Verifier, certificate: &[u8]) -> Compared {
    match (ours(verifier, certificate), theirs(certificate)) {
        (Ok(()), Ok(())) => Compared::Taken,
        (Err(_), Err(_)) => Compared::Refused,
        (Ok(()), Err(why)) => panic!("refused by x509-cert alone, {why}: {certificate:02x?}"),
        (Err(why), Ok(())) => {
            let known = STRICTER.iter().find(|(says, _)| why.contains(says));
            let (says, _) =
                known.unwrap_or_else(|| panic!("refused here alone, {why}: {certificate:02x?}"));
            Compared::RefusedHereAlone(says)
        }
    }
}

/// Nobody is trusted, so that it comes no farther than the certificate itself.
fn ours(verifier: &X509Verifier, certificate: &[u8]) -> Result<(), String> {
    let verdict = verifier.verify(
        &[certificate],
        Purpose::Both,
        |_| None,
        SystemTime::UNIX_EPOCH,
    );
    let error = verdict.unwrap_err();
    match error.fault() {
        X509Fault::Malformed => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn theirs(certificate: &[u8]) -> ::der::Result<()> {
    let signed = Certificate::from_der(certificate)?.tbs_certificate;
    let extensions = signed.extensions.as_deref().unwrap_or_default();
    for (index, extension) in extensions.iter().enumerate() {
        let earlier = &extensions[..index];
        if earlier.iter().any(|it| it.extn_id == extension.extn_id) {
            return Err(::der::ErrorKind::Failed.into());
        }
    }
    signed.get::<BasicConstraints>()?;
    signed.get::<KeyUsage>()?;
    signed.get::<SubjectAltName>()?;
    Ok(())
}

fn shown_in(cases: &[Case]) -> impl Iterator<Item = Vec<u8>> {
    let chains = cases.iter().map(|case| case.presented.chain.clone());
    chains.flatten()
}

/// Certificates in which there is much to be read.
fn rich(world: &World) -> Vec<Vec<u8>> {
    let attribute =
        |kind: &str, tag: u8, text: &[u8]| der::sequence([der::oid(kind), tlv(tag, text)]);
    let people = [
        attribute("2.5.4.3", 0x0c, b"orders"),
        attribute("2.5.4.10", 0x13, b"example"),
    ];
    let backwards = [people[1].clone(), people[0].clone()];
    let twice = [people[0].clone(), people[0].clone()];
    let text = tlv(0x0c, b"text");
    let names = [
        uri(ID),
        tlv(
            0xa0,
            &[der::oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xa0, &text)].concat(),
        ),
        tlv(0x81, b"orders@example.org"),
        tlv(0x82, b"orders.example.org"),
        tlv(0xa4, &der::sequence([der::set(&people)])),
        tlv(
            0xa5,
            &[tlv(0xa0, &tlv(0x14, b"a")), tlv(0xa1, &tlv(0x13, b"b"))].concat(),
        ),
        tlv(0x87, &[127, 0, 0, 1]),
        tlv(0x88, &[0x2a, 0x86, 0x48]),
    ];
    let mut nested = text.clone();
    for _ in 0..20 {
        nested = der::sequence([nested]);
    }
    let many = (0..10).map(|kind| attribute(&format!("2.5.4.{kind}"), 0x0c, b"x"));
    let unknown = |kind| {
        let id = der::oid(&format!("1.3.6.1.4.1.55555.{kind}"));
        der::sequence([id, der::octets(&[5, 0])])
    };
    let unknown = der::sequence((0..65).map(unknown));
    let change = |change: &dyn Fn(&mut Template)| world.leaf(ID).change(|it| change(it));
    let rows = [
        world.leaf(ID).with(san(names.clone())),
        world
            .leaf(ID)
            .with(san([uri(ID), tlv(0x87, &[0; 17 * 1024])])),
        world.leaf(ID).with(san(vec![uri(ID); 257])),
        change(&|it| it.subject = der::sequence([der::set(&people), der::set(&backwards[..1])])),
        change(&|it| it.subject = der::sequence([der::set(&backwards)])),
        change(&|it| it.subject = der::sequence([der::set(&twice)])),
        change(&|it| it.subject = der::sequence([der::set(many.clone())])),
        change(&|it| it.subject = der::sequence([der::set([attribute("2.5.4.3", 0x30, &[5])])])),
        change(&|it| {
            it.subject = der::sequence([der::set([der::sequence([
                der::oid("2.5.4.3"),
                nested.clone(),
            ])])]);
        }),
        change(&|it| {
            let padded = der::sequence([tlv(6, &[0x55, 4, 0x80, 3]), text.clone()]);
            it.subject = der::sequence([der::set([padded])]);
        }),
        change(&|it| it.subject = der::sequence(vec![der::set(&people); 300])),
        change(&|it| it.raw_extensions = Some(der::explicit(3, [&unknown]))),
        change(&|it| it.unique_ids = [tlv(0x81, &[0, 1]), tlv(0x82, &[0, 1])].concat()),
        change(&|it| it.unique_ids = tlv(0xa0, &text)),
        change(&|it| it.version = der::explicit(0, [der::integer(&[0])])),
        change(&|it| it.not_after = tlv(0x18, b"20500101000000Z")),
        change(&|it| it.not_before = tlv(0x17, b"491231235959Z")),
        change(&|it| it.serial = der::integer(&[0x80; 20])),
        change(&|it| it.serial = der::unsigned(&[0x80; 20])),
        change(&|it| it.serial = der::unsigned(&[0x41; 21])),
        change(&|it| it.serial = der::unsigned(&[0x41; 22])),
        change(&|it| it.raw_extensions = Some(Vec::new())),
        change(&|it| it.raw_extensions = Some(der::explicit(3, [der::sequence([[]])]))),
        change(&|it| it.extensions[0] = it.extensions[0].clone().critical_as(vec![1, 1, 0])),
    ];
    rows.map(|row| world.own.intermediate.signs(&row)).into()
}

#[test]
fn what_is_read_is_what_another_decoder_reads() {
    let verifier = X509Verifier::new(&default_provider().unwrap());
    let mut compared = 0;
    for case in cases::all(SystemTime::now()) {
        if case.verdict.is_bad() {
            continue;
        }
        let verified = verified(&verifier, &case);
        let chain = &case.presented.chain;
        let chain = chain.iter().map(|der| Certificate::from_der(der).unwrap());
        let chain: Vec<_> = chain
            .map(|certificate| certificate.tbs_certificate)
            .collect();
        for (ours, theirs) in verified.certificates().zip(&chain) {
            let serial = theirs.serial_number.as_bytes();
            let hex = serial.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            let without_zero = hex.strip_prefix("00").filter(|rest| !rest.is_empty());
            assert_eq!(ours.serial(), without_zero.unwrap_or(&hex), "{}", case.id());
            let key = theirs.subject_public_key_info.to_der().unwrap();
            let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key);
            assert_eq!(ours.key_sha256().as_bytes(), key.as_ref(), "{}", case.id());
        }
        let key = chain[0].subject_public_key_info.to_der().unwrap();
        assert_eq!(verified.public_key(), key, "{}", case.id());
        let begins = chain
            .iter()
            .map(|it| it.validity.not_before.to_system_time());
        let ends = chain
            .iter()
            .map(|it| it.validity.not_after.to_system_time());
        assert!(
            verified.not_before() >= begins.max().unwrap(),
            "{}",
            case.id()
        );
        assert!(verified.not_after() <= ends.min().unwrap(), "{}", case.id());
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

fn verified(verifier: &X509Verifier, case: &Case) -> VerifiedChain {
    let read = |(domain, roots): (&String, &Vec<Vec<u8>>)| {
        X509Bundle::from_der(parse::trust_domain(domain).ok()?, &roots.concat()).ok()
    };
    let bundles: Vec<_> = case.presented.bundles.iter().filter_map(read).collect();
    let purpose = match case.role {
        Role::Client => Purpose::Client,
        Role::Server => Purpose::Server,
    };
    let bundle = |domain: &_| bundles.iter().find(|it| it.trust_domain() == domain);
    let verdict = verifier.verify(&case.presented.chain, purpose, bundle, case.now);
    verdict.unwrap_or_else(|error| panic!("{}: {error}", case.id()))
}
