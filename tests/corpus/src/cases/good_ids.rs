//! IDs that are in order, however odd they look.

use super::Cases;
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
    let rows: [(&str, &str, &str, &[u8]); 8] = [
        (
            "plain",
            "An SVID as it should be.",
            ID,
            &[16, 22, 24, 26, 29, 30],
        ),
        (
            "three-dots",
            "A segment of three dots.",
            "spiffe://example.org/.../orders",
            &[7],
        ),
        (
            "leading-dots",
            "Segments that begin with dots.",
            "spiffe://example.org/.a/..a",
            &[7],
        ),
        (
            "upper-path",
            "An upper-case path, which is not the lower-case one.",
            "spiffe://example.org/Service/ORDERS",
            &[9, 12],
        ),
        (
            "every-character",
            "Every kind of character that a segment may have.",
            "spiffe://example.org/aZ09._-/_/-",
            &[9],
        ),
        (
            "one-letter",
            "A path of one letter.",
            "spiffe://example.org/x",
            &[9, 18],
        ),
        (
            "deep",
            "A path of thirty segments.",
            "spiffe://example.org/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4",
            &[9],
        ),
        ("id-of-2048-bytes", "An ID of 2048 bytes.", &long, &[10]),
    ];
    for (class, description, id, conformance) in rows {
        cases.good(
            &format!("good::{class}"),
            description,
            (conformance, &[]),
            id,
            world.shown(&world.leaf(id)),
        );
    }
    let longest = "a".repeat(255);
    let rows: [(&str, &str, &str, &[u8]); 8] = [
        (
            "domain-like-ip",
            "A trust domain that looks like an IPv4 address.",
            "1.2.3.4",
            &[5],
        ),
        (
            "domain-with-dots",
            "A trust domain with two dots in a row.",
            "a..b",
            &[5],
        ),
        (
            "domain-with-hyphen",
            "A trust domain that begins with a hyphen.",
            "-a",
            &[5],
        ),
        (
            "domain-with-underscore",
            "A trust domain with underscores.",
            "_a_b",
            &[5],
        ),
        (
            "domain-of-digits",
            "A trust domain of digits.",
            "12345",
            &[5],
        ),
        (
            "domain-of-one-letter",
            "A trust domain of one letter.",
            "x",
            &[3],
        ),
        (
            "domain-in-punycode",
            "A trust domain in Punycode, which is only letters here.",
            "xn--bcher-kva.example",
            &[3, 5],
        ),
        (
            "domain-of-255-bytes",
            "A trust domain of 255 bytes.",
            &longest,
            &[10],
        ),
    ];
    for (class, description, domain, conformance) in rows {
        let id = format!("spiffe://{domain}/service/orders");
        let presented = world.shown(&world.leaf(&id));
        let presented = presented.trusting([(domain, vec![world.own.root.der.as_slice()])]);
        cases.good(
            &format!("good::{class}"),
            description,
            (conformance, &[]),
            id,
            presented,
        );
    }
}
