//! Lists of extensions that are not DER, or say one thing twice (RFC 5280, section 4.2).

use spiffe_verify::X509Fault::Malformed;

use super::Cases;
use super::encoding::NUMBERS;
use crate::certificate::Template;
use crate::der;
use crate::extension::{self as ext, Extension};
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    let list =
        |leaf: &Template| -> Vec<Vec<u8>> { leaf.extensions.iter().map(Extension::der).collect() };
    let good = world.leaf(ID);
    let san = good
        .extensions
        .iter()
        .find(|known| known.oid == ext::SAN)
        .unwrap()
        .clone();
    let ber = |raw: Vec<u8>| good.clone().with(san.clone().critical_as(raw));
    let raw = |field: Vec<u8>| good.clone().change(|it| it.raw_extensions = Some(field));
    let rows: [(&str, &str, Template); 13] = [
        (
            "critical-ber-true",
            "`critical` is true as BER writes it, 01.",
            ber(vec![1, 1, 1]),
        ),
        (
            "critical-empty",
            "`critical` holds nothing.",
            ber(vec![1, 0]),
        ),
        (
            "critical-integer",
            "`critical` is an INTEGER.",
            ber(vec![2, 1, 1]),
        ),
        (
            "unknown-twice",
            "An extension that nobody knows stands twice.",
            good.clone().and(ext::unknown()).and(ext::unknown()),
        ),
        (
            "basic-constraints-twice",
            "Basic constraints stand twice, and do not agree.",
            good.clone().and(ext::authority(None)),
        ),
        (
            "key-usage-twice",
            "Key usage stands twice, and does not agree.",
            good.clone().and(ext::key_usage(ext::KEY_CERT_SIGN)),
        ),
        (
            "extension-in-two-spellings",
            "The names stand twice, with two IDs: once under an OID with a byte that adds nothing.",
            raw(der::explicit(
                3,
                [der::sequence(
                    std::iter::once(names_in_another_spelling()).chain(list(&good)),
                )],
            )),
        ),
        (
            "extensions-untagged",
            "The extensions are not tagged.",
            raw(der::sequence(list(&good))),
        ),
        (
            "extensions-empty",
            "The tag of the extensions holds nothing.",
            raw(der::explicit(3, [Vec::new()])),
        ),
        (
            "extensions-set",
            "The extensions are a SET.",
            raw(der::explicit(3, [der::set(list(&good))])),
        ),
        (
            "extensions-trailing",
            "Something follows the list of extensions.",
            raw(der::explicit(3, [der::sequence(list(&good)), vec![5, 0]])),
        ),
        (
            "extension-without-value",
            "An extension has no value.",
            raw(der::explicit(
                3,
                [der::sequence(
                    list(&good)
                        .into_iter()
                        .chain([der::sequence([der::oid("1.2.3.4")])]),
                )],
            )),
        ),
        (
            "too-many-extensions",
            "513 extensions.",
            many_extensions(&good),
        ),
    ];
    for (class, description, leaf) in rows {
        cases.bad(
            &format!("encoding::{class}"),
            description,
            NUMBERS,
            Malformed,
            world.shown(&leaf),
        );
    }
}

fn names_in_another_spelling() -> Vec<u8> {
    let names = der::sequence([ext::uri("spiffe://example.org/service/other")]);
    der::sequence([der::tlv(6, &[0x55, 0x1d, 0x80, 0x11]), der::octets(&names)])
}

fn many_extensions(leaf: &Template) -> Template {
    let all: Vec<_> = leaf.extensions.iter().map(Extension::der).collect();
    let filler = (0..513 - all.len()).map(|number| {
        der::sequence([
            der::oid(&format!("1.3.6.1.4.1.55738.666.2.{number}")),
            der::octets(b""),
        ])
    });
    let list = der::sequence(all.iter().cloned().chain(filler));
    leaf.clone()
        .change(|it| it.raw_extensions = Some(der::explicit(3, [list])))
}
