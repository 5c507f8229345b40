//! URIs that are no SPIFFE IDs of workloads (SPIFFE-ID, section 2; X509-SVID, section 3.1).

use spiffe_verify::X509Fault::{BadSpiffeId, Malformed};

use super::{Cases, paths};
use crate::world::World;

pub(super) type Row = (
    &'static str,
    &'static [u8],
    &'static str,
    &'static [u8],
    &'static [u8],
);

/// Class, URI, description, conformance, threats.
const BAD: &[Row] = &[
    (
        "scheme-http",
        b"http://example.org/service/orders",
        "The scheme is `http`.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-https",
        b"https://example.org/service/orders",
        "The only URI has the scheme `https`.",
        &[1, 16, 31],
        &[5],
    ),
    (
        "scheme-urn",
        b"urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "The URI is a URN.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-ldap",
        b"ldap://example.org/service/orders",
        "The scheme is `ldap`.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-prefix",
        b"xspiffe://example.org/service/orders",
        "The scheme only ends in `spiffe`.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-suffix",
        b"spiffes://example.org/service/orders",
        "The scheme only begins with `spiffe`.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-upper",
        b"SPIFFE://example.org/service/orders",
        "The scheme is in upper case: two readers could disagree.",
        &[11, 31],
        &[10],
    ),
    (
        "scheme-mixed",
        b"Spiffe://example.org/service/orders",
        "The scheme is in mixed case: two readers could disagree.",
        &[11, 31],
        &[10],
    ),
    (
        "scheme-missing",
        b"example.org/service/orders",
        "There is no scheme.",
        &[1, 31],
        &[5],
    ),
    (
        "scheme-relative",
        b"//example.org/service/orders",
        "A reference without scheme.",
        &[1, 31],
        &[5],
    ),
    (
        "one-slash",
        b"spiffe:/example.org/service/orders",
        "One slash after the scheme.",
        &[1],
        &[14],
    ),
    (
        "no-slashes",
        b"spiffe:example.org/service/orders",
        "No slashes after the scheme.",
        &[1],
        &[14],
    ),
    (
        "scheme-alone",
        b"spiffe://",
        "Nothing follows the scheme.",
        &[1, 2],
        &[14],
    ),
    ("empty-uri", b"", "The URI is empty.", &[1, 16], &[14]),
    (
        "empty-trust-domain",
        b"spiffe:///service/orders",
        "The trust domain is empty.",
        &[1, 2],
        &[14],
    ),
    (
        "query",
        b"spiffe://example.org/service/orders?x=y",
        "A query.",
        &[1],
        &[6],
    ),
    (
        "empty-query",
        b"spiffe://example.org/service/orders?",
        "An empty query.",
        &[1],
        &[6],
    ),
    (
        "fragment",
        b"spiffe://example.org/service/orders#x",
        "A fragment.",
        &[1],
        &[7],
    ),
    (
        "empty-fragment",
        b"spiffe://example.org/service/orders#",
        "An empty fragment.",
        &[1],
        &[7],
    ),
    (
        "port",
        b"spiffe://example.org:8443/service/orders",
        "A port.",
        &[2],
        &[8],
    ),
    (
        "empty-port",
        b"spiffe://example.org:/service/orders",
        "An empty port.",
        &[2],
        &[8],
    ),
    (
        "userinfo",
        b"spiffe://admin@example.org/service/orders",
        "A user.",
        &[2],
        &[9],
    ),
    (
        "empty-userinfo",
        b"spiffe://@example.org/service/orders",
        "An empty user.",
        &[2],
        &[9],
    ),
    (
        "userinfo-password",
        b"spiffe://admin:secret@example.org/service/orders",
        "A user with a password.",
        &[2],
        &[9],
    ),
    (
        "upper-trust-domain",
        b"spiffe://EXAMPLE.org/service/orders",
        "The trust domain is in upper case; never lower-cased.",
        &[3, 11],
        &[10],
    ),
    (
        "encoded-trust-domain",
        b"spiffe://%65xample.org/service/orders",
        "Percent-encoding in the trust domain.",
        &[4],
        &[11],
    ),
    (
        "ipv6-trust-domain",
        b"spiffe://[::1]/service/orders",
        "An IPv6 address as trust domain.",
        &[5],
        &[8],
    ),
    (
        "unicode-trust-domain",
        b"spiffe://ex\xc3\xa4mple.org/service/orders",
        "UTF-8 in the trust domain: no IA5String.",
        &[3],
        &[17],
    ),
];

/// Not ASCII, so no IA5String at all.
const NOT_IA5: &[Row] = &[
    (
        "utf8-in-path",
        b"spiffe://example.org/service/b\xc3\xbccher",
        "UTF-8 in the path: no IA5String.",
        &[9],
        &[17],
    ),
    (
        "latin1-in-path",
        b"spiffe://example.org/service/b\xfccher",
        "Latin-1 in the path: no IA5String.",
        &[9],
        &[17],
    ),
    (
        "homoglyph",
        b"spiffe://ex\xd0\xb0mple.org/service/orders",
        "A Cyrillic letter that looks like a Latin one.",
        &[3],
        &[17],
    ),
    (
        "byte-ff",
        b"spiffe://example.org/service/\xff",
        "A byte that stands in no text.",
        &[9],
        &[17],
    ),
];

pub(super) fn add(cases: &mut Cases, world: &World) {
    for (class, uri, description, conformance, threats) in
        BAD.iter().chain(paths::BAD).chain(NOT_IA5)
    {
        let fault = if uri.is_ascii() {
            BadSpiffeId
        } else {
            Malformed
        };
        let presented = world.shown(&world.leaf(uri));
        cases.bad(
            &format!("ids::{class}"),
            description,
            (conformance, threats),
            fault,
            presented,
        );
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2049 - 21));
    cases.bad(
        "ids::longer-than-2048",
        "2049 bytes.",
        (&[10], &[16]),
        BadSpiffeId,
        world.shown(&world.leaf(long)),
    );
    let domain = format!("spiffe://{}/x", "a".repeat(256));
    cases.bad(
        "ids::long-trust-domain",
        "A trust domain of 256 bytes.",
        (&[10], &[16]),
        BadSpiffeId,
        world.shown(&world.leaf(domain)),
    );
}

/// Every byte that must not stand in a trust domain, and every one that must not stand in a path.
/// A slash, a question mark and a number sign end the part, and have cases of their own.
pub(super) fn sweeps(cases: &mut Cases, world: &World) {
    let common =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    for byte in (0..=255).filter(|byte| !b"/?#".contains(byte)) {
        cases.variant = Some(format!("byte-{byte:02x}"));
        let fault = if byte.is_ascii() {
            BadSpiffeId
        } else {
            Malformed
        };
        let uri = |before: &[u8], after: &[u8]| [before, &[byte], after].concat();
        if !common(byte) {
            cases.bad(
                "ids::trust-domain-sweep",
                "A byte that no trust domain may have.",
                (&[3], &[10, 17]),
                fault,
                world.shown(&world.leaf(uri(b"spiffe://exa", b"mple.org/service/orders"))),
            );
        }
        if !common(byte) && !byte.is_ascii_uppercase() {
            cases.bad(
                "ids::path-sweep",
                "A byte that no segment may have.",
                (&[9], &[11, 17]),
                fault,
                world.shown(&world.leaf(uri(b"spiffe://example.org/ser", b"vice/orders"))),
            );
        }
    }
    cases.variant = None;
}
