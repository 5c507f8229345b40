//! Subject alternative names of which there is not exactly one URI (X509-SVID, section 2).

use spiffe_verify::X509Fault::{Malformed, NoSpiffeId, SeveralUris};

use super::Cases;
use crate::der;
use crate::extension::{self as ext, Extension, dns, email, ip, san, uri};
use crate::world::{ID, World};

const OTHER: &str = "spiffe://example.org/service/payments";
const HTTPS: &str = "https://example.org/service/orders";

pub(super) fn add(cases: &mut Cases, world: &World) {
    without_uri(cases, world);
    elsewhere(cases, world);
    several(cases, world);
    malformed(cases, world);
}

fn without_uri(cases: &mut Cases, world: &World) {
    let leaf = world.leaf(ID);
    let rows: [(&str, &str, Option<Extension>); 6] = [
        ("absent", "No subject alternative names.", None),
        ("empty", "An empty list of names.", Some(san([]))),
        (
            "dns-only",
            "A DNS name and no URI.",
            Some(san([dns("orders.example.org")])),
        ),
        (
            "email-only",
            "A mail address and no URI.",
            Some(san([email("orders@example.org")])),
        ),
        (
            "ip-only",
            "An IP address and no URI.",
            Some(san([ip(&[127, 0, 0, 1])])),
        ),
        (
            "many-dns-no-uri",
            "Many names and no URI.",
            Some(san((0..50).map(|n| dns(&format!("n{n}.example.org"))))),
        ),
    ];
    for (class, description, names) in rows {
        let leaf = leaf.clone().without(ext::SAN);
        let leaf = names.into_iter().fold(leaf, |leaf, names| leaf.with(names));
        cases.bad(
            &format!("names::{class}"),
            description,
            (&[16, 32], &[2]),
            NoSpiffeId,
            world.shown(&leaf),
        );
    }
}

/// The ID stands in the certificate, but not where an ID stands.
fn elsewhere(cases: &mut Cases, world: &World) {
    let other_name = der::explicit(
        0,
        [
            der::oid("1.3.6.1.4.1.311.20.2.3"),
            der::explicit(0, [der::utf8(ID)]),
        ],
    );
    let rows = [
        ("id-in-dns", "The ID stands in a DNS name.", san([dns(ID)])),
        (
            "id-in-email",
            "The ID stands in a mail address.",
            san([email(ID)]),
        ),
        (
            "id-in-other-name",
            "The ID stands in an otherName.",
            san([other_name]),
        ),
        (
            "id-in-directory-name",
            "The ID stands in a directoryName.",
            san([der::explicit(4, [der::name("workloads", ID)])]),
        ),
        (
            "id-in-issuer-names",
            "The ID stands among the alternative names of the issuer.",
            Extension::new("2.5.29.18", der::sequence([uri(ID)])),
        ),
    ];
    for (class, description, extension) in rows {
        let leaf = world.leaf(ID).without(ext::SAN).with(extension);
        cases.bad(
            &format!("names::{class}"),
            description,
            (&[16, 32], &[2]),
            NoSpiffeId,
            world.shown(&leaf),
        );
    }
    let leaf = world.leaf(ID).with(san([dns("orders.example.org")]));
    let leaf = leaf.change(|it| it.subject = der::name("workloads", ID));
    cases.bad(
        "names::id-in-common-name",
        "The ID stands in the common name.",
        (&[16, 32], &[2]),
        NoSpiffeId,
        world.shown(&leaf),
    );
}

fn several(cases: &mut Cases, world: &World) {
    let rows: [(&str, &str, _, &[u8]); 9] = [
        (
            "same-id-twice",
            "The same ID twice.",
            vec![uri(ID), uri(ID)],
            &[3],
        ),
        ("two-ids", "Two IDs.", vec![uri(ID), uri(OTHER)], &[3]),
        (
            "ids-of-two-domains",
            "IDs of two trust domains, both trusted.",
            vec![uri(ID), uri("spiffe://partner.test/service/orders")],
            &[3],
        ),
        (
            "https-second",
            "An ID, and a URI of another scheme.",
            vec![uri(ID), uri(HTTPS)],
            &[4],
        ),
        (
            "https-first",
            "A URI of another scheme, and an ID.",
            vec![uri(HTTPS), uri(ID)],
            &[4],
        ),
        (
            "empty-second",
            "An ID, and an empty URI.",
            vec![uri(ID), uri("")],
            &[3],
        ),
        (
            "bad-id-second",
            "An ID, and a URI that would be none.",
            vec![uri(ID), uri("spiffe://EXAMPLE.org/x?y")],
            &[3],
        ),
        (
            "dns-between",
            "Two IDs with a DNS name between them.",
            vec![uri(ID), dns("a.test"), uri(OTHER)],
            &[3],
        ),
        (
            "three-ids",
            "Three IDs.",
            vec![uri(ID), uri(OTHER), uri(ID)],
            &[3],
        ),
    ];
    for (class, description, names, threats) in rows {
        cases.bad(
            &format!("names::{class}"),
            description,
            (&[16], threats),
            SeveralUris,
            world.shown(&world.leaf(ID).with(san(names))),
        );
    }
}

fn malformed(cases: &mut Cases, world: &World) {
    let raw = |value: Vec<u8>| Extension::new(ext::SAN, value);
    let overrun = {
        let mut value = der::sequence([uri(ID)]);
        value[1] += 1;
        value
    };
    let inner_overrun = {
        let mut name = uri(ID);
        name[1] += 1;
        der::sequence([name])
    };
    let rows: [(&str, &str, Extension, &[u8]); 13] = [
        (
            "trailing-garbage",
            "Bytes follow the list of names.",
            raw([der::sequence([uri(ID)]), vec![5, 0]].concat()),
            &[35],
        ),
        (
            "set-of-names",
            "The names are a SET.",
            raw(der::set([uri(ID)])),
            &[35],
        ),
        (
            "names-without-list",
            "A name without the list around it.",
            raw(uri(ID)),
            &[35],
        ),
        (
            "empty-value",
            "The extension is empty.",
            raw(Vec::new()),
            &[35],
        ),
        (
            "list-overruns",
            "The list is said to be longer than it is.",
            raw(overrun),
            &[35],
        ),
        (
            "name-overruns",
            "The URI is said to be longer than it is.",
            raw(inner_overrun),
            &[35],
        ),
        (
            "constructed-uri",
            "The URI is constructed.",
            raw(der::sequence([der::tlv(
                0xa6,
                &der::tlv(0x16, ID.as_bytes()),
            )])),
            &[35],
        ),
        (
            "untagged-uri",
            "The URI has the tag of a string.",
            raw(der::sequence([der::tlv(0x16, ID.as_bytes())])),
            &[35],
        ),
        (
            "unknown-kind",
            "A name of a kind that does not exist.",
            san([uri(ID), der::tlv(0x89, b"?")]),
            &[35],
        ),
        (
            "bad-dns-beside",
            "A DNS name beside the ID is no IA5String.",
            san([uri(ID), der::tlv(0x82, b"b\xc3\xbccher.example.org")]),
            &[17],
        ),
        (
            "bad-uri-beside",
            "A second URI is no IA5String: who skips it sees one.",
            san([uri(ID), uri(b"spiffe://example.org/\xff")]),
            &[3, 17],
        ),
        (
            "ber-length",
            "The length of the list is not in its shortest form.",
            raw(der::with_long_length(&der::sequence([uri(ID)]))),
            &[35],
        ),
        (
            "indefinite-length",
            "The list has no length.",
            raw(der::with_indefinite_length(&der::sequence([uri(ID)]))),
            &[35],
        ),
    ];
    for (class, description, extension, threats) in rows {
        cases.bad(
            &format!("names::{class}"),
            description,
            (&[16], threats),
            Malformed,
            world.shown(&world.leaf(ID).with(extension)),
        );
    }
    cases.bad(
        "names::two-extensions",
        "Two extensions with one ID each.",
        (&[16, 29], &[3, 35]),
        Malformed,
        world.shown(&world.leaf(ID).and(san([uri(OTHER)]))),
    );
    cases.bad(
        "names::same-extension-twice",
        "The same extension twice.",
        (&[16, 29], &[3, 35]),
        Malformed,
        world.shown(&world.leaf(ID).and(san([uri(ID)]))),
    );
}

pub(super) fn large(cases: &mut Cases, world: &World) {
    let many = |count: usize| (0..count).map(|n| dns(&format!("n{n}"))).chain([uri(ID)]);
    let rows: [(&str, &str, _, &[u8]); 4] = [
        (
            "one-name-too-many",
            "256 names beside the ID: one more than the bound.",
            many(256).collect(),
            &[17],
        ),
        (
            "thousand-names",
            "1000 names beside the ID.",
            many(1000).collect(),
            &[17],
        ),
        (
            "thousand-uris",
            "1000 IDs.",
            (0..1000).map(|n| uri(format!("{ID}{n}"))).collect(),
            &[16],
        ),
        (
            "too-large",
            "One name of 17 KiB beside the ID.",
            vec![dns(&"a".repeat(17 * 1024)), uri(ID)],
            &[17],
        ),
    ];
    for (class, description, names, conformance) in rows {
        cases.bad(
            &format!("names::{class}"),
            description,
            (conformance, &[35]),
            Malformed,
            world.shown(&world.leaf(ID).with(san(names))),
        );
    }
}
