//! Name constraints (RFC 5280, section 4.2.1.10). Those on URIs are refused whatever they say, since
//! they compare hosts and no implementation agrees on SPIFFE IDs.

use spiffe_verify::X509Fault::{Malformed, Refused};

use super::Cases;
use crate::case::Presented;
use crate::extension::{self as ext, Extension, dns, name_constraints, san, uri};
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    let uris: [(&str, &str, Extension); 5] = [
        (
            "uri-permitted-here",
            "URIs of the leaf's own trust domain are permitted.",
            name_constraints(&[uri("example.org")], &[]),
        ),
        (
            "uri-permitted-elsewhere",
            "URIs of another trust domain are permitted.",
            name_constraints(&[uri("partner.test")], &[]),
        ),
        (
            "uri-permitted-below",
            "URIs of hosts below the trust domain are permitted.",
            name_constraints(&[uri(".example.org")], &[]),
        ),
        (
            "uri-excluded-here",
            "URIs of the leaf's own trust domain are excluded.",
            name_constraints(&[], &[uri("example.org")]),
        ),
        (
            "uri-excluded-elsewhere",
            "URIs of another trust domain are excluded.",
            name_constraints(&[], &[uri("partner.test")]),
        ),
    ];
    for (class, description, extension) in uris {
        cases.bad(
            &format!("constraints::{class}"),
            description,
            (&[29], &[34]),
            Refused,
            under(world, extension, None),
        );
    }
    let name = || Some(dns("orders.example.org"));
    let others: [(&str, &str, Extension, Option<Vec<u8>>); 5] = [
        (
            "dns-not-permitted",
            "A DNS name beside the ID is not among those permitted.",
            name_constraints(&[dns("partner.test")], &[]),
            name(),
        ),
        (
            "dns-excluded",
            "A DNS name beside the ID is excluded.",
            name_constraints(&[], &[dns("example.org")]),
            name(),
        ),
        (
            "ip-not-permitted",
            "An IP address beside the ID is not among those permitted.",
            name_constraints(&[ext::ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[]),
            Some(ext::ip(&[127, 0, 0, 1])),
        ),
        (
            "ip-excluded",
            "An IP address beside the ID is excluded.",
            name_constraints(&[], &[ext::ip(&[127, 0, 0, 0, 255, 0, 0, 0])]),
            Some(ext::ip(&[127, 0, 0, 1])),
        ),
        (
            "dns-excluded-upper",
            "A DNS name beside the ID is excluded by the upper of two intermediates.",
            name_constraints(&[], &[dns("example.org")]),
            name(),
        ),
    ];
    for (class, description, extension, beside) in others {
        let presented = if class == "dns-excluded-upper" {
            two_below(world, extension, beside)
        } else {
            under(world, extension, beside)
        };
        cases.bad(
            &format!("constraints::{class}"),
            description,
            (&[29], &[34]),
            Refused,
            presented,
        );
    }
    let raw = |value: Vec<u8>| Extension::new(ext::NAME_CONSTRAINTS, value).critical();
    for (class, description, value) in [
        ("octets", "The constraints are an OCTET STRING.", vec![4, 0]),
        (
            "overrun",
            "The constraints say that they are longer than they are.",
            vec![0x30, 9, 0xa0, 0],
        ),
    ] {
        cases.bad(
            &format!("constraints::{class}"),
            description,
            (&[29], &[34, 35]),
            Malformed,
            under(world, raw(value), None),
        );
    }
}

fn under(world: &World, constraints: Extension, beside: Option<Vec<u8>>) -> Presented {
    let key = world.key();
    let template = world.authority("constrained", &key).with(constraints);
    let intermediate = world.own.root.appoints(&template, &key);
    let names = san(beside.into_iter().chain([uri(ID)]));
    world.shown_under(
        &world.own.root,
        &[intermediate],
        &world.leaf(ID).with(names),
    )
}

fn two_below(world: &World, constraints: Extension, beside: Option<Vec<u8>>) -> Presented {
    let key = world.key();
    let upper = world.authority("constrained", &key).with(constraints);
    let upper = world.own.root.appoints(&upper, &key);
    let key = world.key();
    let lower = upper.appoints(&world.authority("below", &key), &key);
    let names = san(beside.into_iter().chain([uri(ID)]));
    world.shown_under(
        &world.own.root,
        &[upper, lower],
        &world.leaf(ID).with(names),
    )
}
