//! Leaves that are in order, however odd they look.

use std::time::{Duration, SystemTime};

use super::Cases;
use crate::certificate::Template;
use crate::der;
use crate::extension::{self as ext, Extension, dns, email, ip, san, uri};
use crate::world::{HOUR, ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    leaves(cases, world);
    names(cases, world);
    times(cases, world);
}

fn leaves(cases: &mut Cases, world: &World) {
    use crate::extension::{
        CLIENT_AUTH, CODE_SIGNING, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_ENCIPHERMENT, SERVER_AUTH,
    };
    let leaf = || world.leaf(ID);
    let plain = |extension: Extension| extension.critical_as(Vec::new());
    let both = [SERVER_AUTH, CLIENT_AUTH];
    let serial = |contents: &[u8]| {
        let serial = der::integer(contents);
        leaf().change(|it| it.serial = serial)
    };
    let rows: [(&str, &str, Template, &[u8]); 23] = [
        (
            "no-extended-key-usage",
            "Extended key usage is absent.",
            leaf().without(ext::EXTENDED_KEY_USAGE),
            &[28],
        ),
        (
            "extended-key-usage-critical",
            "Extended key usage is critical.",
            leaf().with(ext::extended_key_usage(&both).critical()),
            &[28],
        ),
        (
            "extended-key-usage-more",
            "Extended key usage names a third one.",
            leaf().with(ext::extended_key_usage(&[
                CODE_SIGNING,
                CLIENT_AUTH,
                SERVER_AUTH,
            ])),
            &[28],
        ),
        (
            "key-usage-not-critical",
            "Key usage is not critical: the issuer's fault, not the workload's.",
            leaf().with(plain(ext::key_usage(DIGITAL_SIGNATURE))),
            &[24],
        ),
        (
            "key-usage-more",
            "Key usage names keyEncipherment and keyAgreement too.",
            leaf().with(ext::key_usage(
                DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT,
            )),
            &[26],
        ),
        (
            "basic-constraints-not-critical",
            "Basic constraints are not critical.",
            leaf().with(plain(ext::no_authority())),
            &[22],
        ),
        (
            "unknown-extension",
            "An extension that nobody knows, and that is not critical.",
            leaf().with(ext::unknown()),
            &[29],
        ),
        (
            "many-unknown-extensions",
            "Fifty of them.",
            many_unknown(leaf()),
            &[29],
        ),
        (
            "key-identifiers",
            "Key identifiers of leaf and issuer.",
            leaf().with(ext::key_identifier()).with(authority_key()),
            &[29],
        ),
        (
            "policies",
            "A certificate policy.",
            leaf().with(policies()),
            &[29],
        ),
        (
            "revocation-points",
            "Where revocation lists would be.",
            leaf().with(revocation()),
            &[29],
        ),
        (
            "extensions-reversed",
            "The extensions in reverse order.",
            leaf().change(|it| it.extensions.reverse()),
            &[29],
        ),
        (
            "subject-empty",
            "An empty subject and critical names.",
            leaf()
                .with(san([uri(ID)]).critical())
                .change(|it| it.subject = vec![0x30, 0]),
            &[19],
        ),
        (
            "names-critical",
            "Critical names beside a subject.",
            leaf().with(san([uri(ID)]).critical()),
            &[19],
        ),
        (
            "subject-empty-not-critical",
            "An empty subject, and names that are not critical: the issuer's fault.",
            leaf().change(|it| it.subject = vec![0x30, 0]),
            &[19],
        ),
        (
            "subject-of-another-id",
            "The common name is another ID, which means nothing.",
            leaf().change(|it| {
                it.subject = der::name("workloads", "spiffe://example.org/service/admin");
            }),
            &[32],
        ),
        (
            "subject-of-many-parts",
            "A subject of twenty parts.",
            leaf().change(|it| {
                it.subject = der::sequence(
                    (0..20).map(|n| der::set([der::attribute("2.5.4.11", &format!("unit {n}"))])),
                );
            }),
            &[32],
        ),
        (
            "subject-of-two-values",
            "A part of the subject with two values.",
            leaf().change(|it| {
                it.subject = der::sequence([der::set([
                    der::attribute("2.5.4.3", "orders"),
                    der::attribute("2.5.4.10", "workloads"),
                ])]);
            }),
            &[32],
        ),
        (
            "serial-of-20-bytes",
            "A serial number of 20 bytes.",
            serial(&[0x7f; 20]),
            &[29],
        ),
        (
            "serial-of-20-bytes-and-a-zero",
            "A serial number of 20 bytes whose first bit is set, so that DER puts a zero before it.",
            leaf().change(|it| it.serial = der::unsigned(&[0xff; 20])),
            &[29],
        ),
        (
            "serial-one",
            "A serial number of one byte.",
            serial(&[1]),
            &[29],
        ),
        (
            "subject-of-the-issuer",
            "The subject is that of the issuer: names are no identity.",
            leaf().change(|it| it.subject.clone_from(&world.own.intermediate.name)),
            &[32],
        ),
        (
            "subject-unicode",
            "A subject in several scripts.",
            leaf().change(|it| it.subject = der::name("Büro", "注文")),
            &[32],
        ),
    ];
    for (class, description, leaf, conformance) in rows {
        cases.good(
            &format!("good::{class}"),
            description,
            (conformance, &[]),
            ID,
            world.shown(&leaf),
        );
    }
}

fn many_unknown(leaf: Template) -> Template {
    let own: Vec<_> = leaf.extensions.iter().map(Extension::der).collect();
    let more = (0..50).map(|number| {
        der::sequence([
            der::oid(&format!("1.3.6.1.4.1.55738.666.2.{number}")),
            der::octets(b"?"),
        ])
    });
    let list = der::sequence(own.into_iter().chain(more));
    leaf.change(|it| it.raw_extensions = Some(der::explicit(3, [list])))
}

fn authority_key() -> Extension {
    Extension::new("2.5.29.35", der::sequence([der::tlv(0x80, &[0x22; 20])]))
}

fn policies() -> Extension {
    Extension::new(
        "2.5.29.32",
        der::sequence([der::sequence([der::oid("2.23.140.1.2.1")])]),
    )
}

fn revocation() -> Extension {
    let point = der::explicit(0, [der::explicit(0, [uri("http://crl.example.org/1")])]);
    Extension::new("2.5.29.31", der::sequence([der::sequence([point])]))
}

fn names(cases: &mut Cases, world: &World) {
    let hundred = (0..100)
        .map(|n| dns(&format!("n{n}.example.org")))
        .chain([uri(ID)]);
    let most = (0..255).map(|n| dns(&format!("n{n}"))).chain([uri(ID)]);
    let rows: [(&str, &str, Vec<Vec<u8>>); 9] = [
        (
            "dns-beside",
            "A DNS name beside the ID.",
            vec![uri(ID), dns("orders.example.org")],
        ),
        (
            "dns-before",
            "A DNS name before the ID.",
            vec![dns("orders.example.org"), uri(ID)],
        ),
        (
            "wildcard-beside",
            "A wildcard beside the ID.",
            vec![uri(ID), dns("*")],
        ),
        (
            "ip-beside",
            "IP addresses of both kinds beside the ID.",
            vec![ip(&[10, 0, 0, 1]), uri(ID), ip(&[0xfd; 16])],
        ),
        (
            "email-beside",
            "A mail address beside the ID.",
            vec![uri(ID), email("orders@example.org")],
        ),
        (
            "directory-name-beside",
            "A directory name beside the ID.",
            vec![uri(ID), der::explicit(4, [der::name("a", "b")])],
        ),
        (
            "other-id-as-dns",
            "Another ID as a DNS name, which means nothing.",
            vec![uri(ID), dns("spiffe://example.org/service/admin")],
        ),
        (
            "hundred-names",
            "A hundred DNS names beside the ID.",
            hundred.collect(),
        ),
        ("most-names", "256 names, the most.", most.collect()),
    ];
    for (class, description, names) in rows {
        cases.good(
            &format!("good::{class}"),
            description,
            (&[17, 32], &[]),
            ID,
            world.shown(&world.leaf(ID).with(san(names))),
        );
    }
}

fn times(cases: &mut Cases, world: &World) {
    let now = world.now;
    let end = |der: Vec<u8>| world.leaf(ID).change(|it| it.not_after = der);
    let rows = [
        (
            "from-now-on",
            "The leaf is valid from this very second on.",
            world.leaf(ID).valid(now, now + HOUR),
        ),
        (
            "from-1970-on",
            "The leaf is valid since 1970.",
            world.leaf(ID).valid(SystemTime::UNIX_EPOCH, now + HOUR),
        ),
        (
            "for-ten-minutes",
            "Ten minutes are left.",
            world
                .leaf(ID)
                .valid(now - HOUR, now + Duration::from_secs(600)),
        ),
        (
            "without-end",
            "The end that means none (RFC 5280, section 4.1.2.5).",
            end(der::tlv(0x18, b"99991231235959Z")),
        ),
        (
            "until-2051",
            "An end after 2049, a GeneralizedTime.",
            end(der::tlv(0x18, b"20510101000000Z")),
        ),
    ];
    for (class, description, leaf) in rows {
        cases.good(
            &format!("good::{class}"),
            description,
            (&[29], &[23]),
            ID,
            world.shown(&leaf),
        );
    }
}
