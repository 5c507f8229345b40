//! Chains that are not valid at the moment, or say so in a way that is none (RFC 5280, section
//! 4.1.2.5).

use std::time::{Duration, SystemTime};

use spiffe_verify::X509Fault::{Expired, Malformed, NotYetValid, UnknownAuthority};

use super::Cases;
use crate::case::Presented;
use crate::der;
use crate::world::{Authority, DAY, DOMAIN, HOUR, ID, World};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn add(cases: &mut Cases, world: &World) {
    leaves(cases, world);
    issuers(cases, world);
    written(cases, world);
}

fn leaves(cases: &mut Cases, world: &World) {
    let now = world.now;
    let rows: [(&str, &str, SystemTime, SystemTime, _, &[u8]); 6] = [
        (
            "leaf-expired-a-second-ago",
            "The leaf expired a second ago.",
            now - HOUR,
            now - SECOND,
            Expired,
            &[23],
        ),
        (
            "leaf-expired-a-year-ago",
            "The leaf expired a year ago.",
            now - 2 * YEAR,
            now - YEAR,
            Expired,
            &[23],
        ),
        (
            "leaf-valid-in-a-minute",
            "The leaf is not valid before the next minute.",
            now + 60 * SECOND,
            now + HOUR,
            NotYetValid,
            &[24],
        ),
        (
            "leaf-valid-in-a-year",
            "The leaf is not valid before next year.",
            now + YEAR,
            now + 2 * YEAR,
            NotYetValid,
            &[24],
        ),
        (
            "leaf-of-1970",
            "The leaf was valid in the first second of 1970.",
            SystemTime::UNIX_EPOCH,
            SystemTime::UNIX_EPOCH + SECOND,
            Expired,
            &[23],
        ),
        (
            "leaf-of-2090",
            "The leaf is valid from 2090 on.",
            now + 64 * YEAR,
            now + 65 * YEAR,
            NotYetValid,
            &[24],
        ),
    ];
    for (class, description, from, to, fault, threats) in rows {
        let leaf = world.leaf(ID).valid(from, to);
        cases.bad(
            &format!("time::{class}"),
            description,
            (&[29], threats),
            fault,
            world.shown(&leaf),
        );
    }
    let leaf = world.leaf(ID).valid(now + HOUR, now - HOUR);
    cases.bad(
        "time::ends-before-it-begins",
        "The leaf ends before it begins.",
        (&[29], &[23, 24]),
        spiffe_verify::X509Fault::Refused,
        world.shown(&leaf),
    );
}

fn issuers(cases: &mut Cases, world: &World) {
    let now = world.now;
    let past = (now - 2 * DAY, now - SECOND);
    let future = (now + HOUR, now + DAY);
    for (class, description, (from, to), fault, threats) in [
        (
            "intermediate-expired",
            "The intermediate has expired.",
            past,
            Expired,
            [23],
        ),
        (
            "intermediate-not-yet-valid",
            "The intermediate is not valid yet.",
            future,
            NotYetValid,
            [24],
        ),
    ] {
        let key = world.key();
        let template = world.authority("intermediate", &key).valid(from, to);
        let intermediate = world.own.root.appoints(&template, &key);
        cases.bad(
            &format!("time::{class}"),
            description,
            (&[29], &threats),
            fault,
            world.shown_under(&world.own.root, &[intermediate], &world.leaf(ID)),
        );
        let key = world.key();
        let template = world.authority("upper intermediate", &key).valid(from, to);
        let upper = world.own.root.appoints(&template, &key);
        let key = world.key();
        let lower = upper.appoints(&world.authority("lower intermediate", &key), &key);
        cases.bad(
            &format!("time::upper-{class}"),
            &description.replace("The", "The upper"),
            (&[29], &threats),
            fault,
            world.shown_under(&world.own.root, &[upper, lower], &world.leaf(ID)),
        );
    }
    for (class, description, (from, to), threats) in [
        (
            "root-expired",
            "The only root of the bundle has expired: it anchors nothing.",
            past,
            [23],
        ),
        (
            "root-not-yet-valid",
            "The only root of the bundle is not valid yet: it anchors nothing.",
            future,
            [24],
        ),
    ] {
        cases.bad(
            &format!("time::{class}"),
            description,
            (&[29], &threats),
            UnknownAuthority,
            under_root_valid(world, from, to),
        );
    }
}

fn under_root_valid(world: &World, from: SystemTime, to: SystemTime) -> Presented {
    let key = world.key();
    let root = Authority::root(&world.authority("other root", &key).valid(from, to), &key);
    let presented = world.shown_under(&root, &world.line(&root, 1), &world.leaf(ID));
    presented.trusting([(DOMAIN, vec![root.der.as_slice()])])
}

/// Ways to write a time that DER does not know.
fn written(cases: &mut Cases, world: &World) {
    let utc = |text: &str| der::tlv(0x17, text.as_bytes());
    let general = |text: &str| der::tlv(0x18, text.as_bytes());
    let rows = [
        (
            "utc-without-seconds",
            "The end has no seconds.",
            utc("4901010000Z"),
        ),
        (
            "utc-with-offset",
            "The end is in local time with an offset.",
            utc("490101000000+0100"),
        ),
        (
            "utc-without-zone",
            "The end is in no time zone.",
            utc("490101000000"),
        ),
        (
            "general-with-fraction",
            "The end has a fraction of a second.",
            general("20490101000000.5Z"),
        ),
        (
            "general-with-offset",
            "The end is a GeneralizedTime with an offset.",
            general("20490101000000+0100"),
        ),
        (
            "general-without-zone",
            "The end is a GeneralizedTime in no time zone.",
            general("20490101000000"),
        ),
        (
            "month-13",
            "The end is in a thirteenth month.",
            utc("491301000000Z"),
        ),
        (
            "day-30-of-february",
            "The end is on 30 February.",
            utc("490230000000Z"),
        ),
        (
            "hour-24",
            "The end is in a twenty-fifth hour.",
            utc("490101240000Z"),
        ),
        (
            "no-digits",
            "The end has letters for digits.",
            utc("49010100000xZ"),
        ),
        ("empty-time", "The end is empty.", utc("")),
        ("null-time", "The end is a NULL.", vec![5, 0]),
        (
            "octets-for-time",
            "The end is an OCTET STRING.",
            der::octets(b"490101000000Z"),
        ),
    ];
    for (class, description, end) in rows {
        let leaf = world.leaf(ID).change(|it| it.not_after = end);
        cases.bad(
            &format!("time::{class}"),
            description,
            (&[29], &[23, 35]),
            Malformed,
            world.shown(&leaf),
        );
    }
}
