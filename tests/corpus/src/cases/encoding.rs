//! Certificates that are not DER, or not quite certificates (RFC 5280, section 4.1).

use spiffe_verify::X509Fault::{Malformed, Refused};

use super::Cases;
use crate::certificate::Template;
use crate::der;
use crate::extension as ext;
use crate::key::Scheme;
use crate::world::{ID, World};

pub(super) const NUMBERS: (&[u8], &[u8]) = (&[29], &[35]);

pub(super) fn add(cases: &mut Cases, world: &World) {
    whole(cases, world);
    foreign(cases, world);
    fields(cases, world);
    issuers(cases, world);
}

/// What is done to the finished certificate of the leaf.
fn whole(cases: &mut Cases, world: &World) {
    let good = world.own.intermediate.signs(&world.leaf(ID));
    let (_, body) = der::open(&good);
    let parts = der::values(body);
    let part = |part: &[u8]| part.to_vec();
    let rows: [(&str, &str, Vec<u8>); 14] = [
        (
            "trailing-byte",
            "A byte follows the certificate.",
            [&good[..], &[0]].concat(),
        ),
        (
            "trailing-garbage",
            "Bytes follow the certificate.",
            [&good[..], b"garbage"].concat(),
        ),
        (
            "two-in-one",
            "Two certificates in the place of one.",
            [&good[..], &good].concat(),
        ),
        (
            "indefinite-length",
            "The certificate has no length.",
            der::with_indefinite_length(&good),
        ),
        (
            "long-length",
            "The length of the certificate is not in its shortest form.",
            der::with_long_length(&good),
        ),
        (
            "truncated",
            "The last byte is missing.",
            good[..good.len() - 1].to_vec(),
        ),
        (
            "half",
            "The second half is missing.",
            good[..good.len() / 2].to_vec(),
        ),
        (
            "length-of-4-gib",
            "The certificate says that it has 4 GiB.",
            [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], body].concat(),
        ),
        ("set", "The certificate is a SET.", der::tlv(0x31, body)),
        (
            "fourth-part",
            "The certificate has a fourth part.",
            der::sequence([part(body), vec![5, 0]]),
        ),
        (
            "no-signature",
            "The signature is missing.",
            der::sequence([part(parts[0]), part(parts[1])]),
        ),
        (
            "signed-part-alone",
            "What was signed, alone.",
            part(parts[0]),
        ),
        (
            "signature-octets",
            "The signature is an OCTET STRING.",
            der::sequence([
                part(parts[0]),
                part(parts[1]),
                der::octets(der::open(parts[2]).1),
            ]),
        ),
        (
            "constructed-signature",
            "The signature is a constructed BIT STRING.",
            der::sequence([part(parts[0]), part(parts[1]), der::tlv(0x23, parts[2])]),
        ),
    ];
    for (class, description, leaf) in rows {
        let chain = vec![leaf, world.own.intermediate.der.clone()];
        cases.bad(
            &format!("encoding::{class}"),
            description,
            NUMBERS,
            Malformed,
            world.show(chain),
        );
    }
}

/// What is no certificate at all.
fn foreign(cases: &mut Cases, world: &World) {
    let good = world.own.intermediate.signs(&world.leaf(ID));
    let mut nested = vec![5, 0];
    for _ in 0..40 {
        nested = der::sequence([nested]);
    }
    let rows: [(&str, &str, Vec<u8>); 6] = [
        ("garbage", "Bytes that are nothing.", vec![0xaa; 300]),
        ("zeros", "Zeros.", vec![0; 300]),
        ("one-byte", "One byte.", vec![0x30]),
        (
            "pem",
            "A certificate in PEM.",
            crate::pem::certificate(&good).into_bytes(),
        ),
        ("key", "A public key.", world.leaf_key.public().to_vec()),
        ("nested", "Forty lists, one in another.", nested),
    ];
    for (class, description, leaf) in rows {
        let chain = vec![leaf, world.own.intermediate.der.clone()];
        cases.bad(
            &format!("encoding::{class}"),
            description,
            NUMBERS,
            Malformed,
            world.show(chain),
        );
    }
}

type Change<'a> = Box<dyn Fn(&mut Template) + 'a>;

/// What is signed, and wrong.
fn fields(cases: &mut Cases, world: &World) {
    let version = |number: u8| der::explicit(0, [der::integer(&[number])]);
    let rows: [(&str, &str, Change<'_>, _); 18] = [
        (
            "version-1",
            "Version 1 with extensions.",
            Box::new(|it| it.version = Vec::new()),
            Refused,
        ),
        (
            "version-2",
            "Version 2 with extensions.",
            Box::new(move |it| it.version = version(1)),
            Refused,
        ),
        (
            "version-4",
            "Version 4.",
            Box::new(move |it| it.version = version(3)),
            Malformed,
        ),
        (
            "version-negative",
            "A negative version.",
            Box::new(move |it| it.version = version(0xff)),
            Malformed,
        ),
        (
            "version-1-written",
            "Version 1 written out, which DER leaves out.",
            Box::new(move |it| it.version = version(0)),
            Refused,
        ),
        (
            "serial-empty",
            "A serial number without a byte.",
            Box::new(|it| it.serial = der::integer(&[])),
            Malformed,
        ),
        (
            "serial-padded",
            "A serial number with a zero that it does not need.",
            Box::new(|it| it.serial = der::integer(&[0, 0x41, 0x42])),
            Malformed,
        ),
        (
            "serial-octets",
            "A serial number that is an OCTET STRING.",
            Box::new(|it| it.serial = der::octets(&[0x41])),
            Malformed,
        ),
        (
            "serial-negative",
            "The serial number is -1, whose byte is that of 255.",
            Box::new(|it| it.serial = der::integer(&[0xff])),
            Malformed,
        ),
        (
            "serial-of-21-bytes",
            "A serial number of one byte too many.",
            Box::new(|it| it.serial = der::unsigned(&[0x41; 21])),
            Malformed,
        ),
        (
            "serial-of-40-bytes",
            "A serial number of 40 bytes.",
            Box::new(|it| it.serial = der::integer(&[0x41; 40])),
            Malformed,
        ),
        (
            "subject-set",
            "The subject is a SET.",
            Box::new(|it| it.subject[0] = 0x31),
            Malformed,
        ),
        (
            "subject-of-9-attributes",
            "Nine attributes in one part of the subject, which costs their square.",
            Box::new(|it| it.subject = wide_name()),
            Malformed,
        ),
        (
            "key-without-algorithm",
            "The public key has no algorithm.",
            Box::new(|it| it.public_key = der::sequence([der::bits(&[4; 65])])),
            Malformed,
        ),
        (
            "key-trailing",
            "Something follows the public key in its list.",
            Box::new(|it| it.public_key = der::sequence([der::open(&it.public_key).1, &[5, 0]])),
            Malformed,
        ),
        (
            "tail",
            "Something follows the extensions.",
            Box::new(|it| it.tail = vec![5, 0]),
            Malformed,
        ),
        (
            "extensions-twice",
            "Two lists of extensions.",
            Box::new(|it| it.tail = der::explicit(3, [der::sequence([ext::unknown().der()])])),
            Malformed,
        ),
        (
            "inner-algorithm-differs",
            "The algorithm inside differs from the one outside.",
            Box::new(|it| {
                it.inner_algorithm = Some(der::sequence([der::oid("1.2.840.113549.1.1.14")]));
            }),
            Refused,
        ),
    ];
    for (class, description, change, fault) in rows {
        let leaf = world.leaf(ID).change(|it| change(it));
        cases.bad(
            &format!("encoding::{class}"),
            description,
            NUMBERS,
            fault,
            world.shown(&leaf),
        );
    }
}

fn wide_name() -> Vec<u8> {
    let kinds = [
        "2.5.4.3", "2.5.4.4", "2.5.4.5", "2.5.4.6", "2.5.4.7", "2.5.4.8", "2.5.4.9", "2.5.4.10",
        "2.5.4.11",
    ];
    der::sequence([der::set(kinds.map(|kind| der::attribute(kind, "x")))])
}

/// The same of an intermediate: what is strict of a leaf has to be strict of every certificate.
fn issuers(cases: &mut Cases, world: &World) {
    let good = &world.own.intermediate;
    let key = &good.key;
    let template = world.authority("intermediate", key);
    let root = &world.own.root;
    let twice = template.clone().and(ext::key_usage(ext::DIGITAL_SIGNATURE));
    let serial = |serial: Vec<u8>| template.clone().change(|it| it.serial = serial);
    let appoint = |template: Template| template.sign(&root.name, &root.key, Scheme::Usual);
    let rows: [(&str, &str, Vec<u8>); 7] = [
        (
            "intermediate-trailing-byte",
            "A byte follows the intermediate.",
            [&good.der[..], &[0]].concat(),
        ),
        (
            "intermediate-long-length",
            "The length of the intermediate is not in its shortest form.",
            der::with_long_length(&good.der),
        ),
        (
            "intermediate-truncated",
            "The last byte of the intermediate is missing.",
            good.der[..good.der.len() - 1].to_vec(),
        ),
        (
            "intermediate-garbage",
            "Garbage for an intermediate.",
            vec![0xaa; 300],
        ),
        (
            "intermediate-key-usage-twice",
            "Key usage stands twice in the intermediate.",
            appoint(twice),
        ),
        (
            "intermediate-serial-negative",
            "The serial number of the intermediate is -1, whose byte is that of 255.",
            appoint(serial(der::integer(&[0xff]))),
        ),
        (
            "intermediate-serial-of-21-bytes",
            "A serial number of the intermediate of one byte too many.",
            appoint(serial(der::unsigned(&[0x41; 21]))),
        ),
    ];
    for (class, description, intermediate) in rows {
        let chain = vec![good.signs(&world.leaf(ID)), intermediate];
        cases.bad(
            &format!("encoding::{class}"),
            description,
            NUMBERS,
            Malformed,
            world.show(chain),
        );
    }
}
