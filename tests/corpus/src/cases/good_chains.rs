//! Chains and bundles that are in order, however odd they look.

use std::time::SystemTime;

use super::Cases;
use crate::case::Presented;
use crate::certificate::Template;
use crate::extension::{self as ext, Extension, dns, san, uri};
use crate::world::{Authority, DAY, DOMAIN, HOUR, ID, PARTNER, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    chains(cases, world);
    issuers(cases, world);
    bundles(cases, world);
}

fn chains(cases: &mut Cases, world: &World) {
    let root = &world.own.root;
    let leaf = world.leaf(ID);
    for (count, word) in ["no", "one", "two", "three", "four"]
        .into_iter()
        .enumerate()
    {
        let description = format!("{count} intermediates.");
        let presented = world.shown_under(root, &world.line(root, count), &leaf);
        cases.good(
            &format!("good::{word}-intermediates"),
            &description,
            (&[29], &[]),
            ID,
            presented,
        );
    }
    let mut with_root = world.shown(&leaf);
    with_root.chain.push(root.der.clone());
    cases.good(
        "good::root-shown",
        "The chain brings its root along.",
        (&[29], &[]),
        ID,
        with_root,
    );
    let constrained = |length: u8, below: usize| {
        let key = world.key();
        let template = world
            .authority("constrained", &key)
            .with(ext::authority(Some(length)));
        let mut line = vec![root.appoints(&template, &key)];
        for number in 0..below {
            let key = world.key();
            line.push(
                line.last()
                    .unwrap()
                    .appoints(&world.authority(&format!("below {number}"), &key), &key),
            );
        }
        world.shown_under(root, &line, &leaf)
    };
    cases.good(
        "good::path-length-0",
        "An intermediate whose path length is 0.",
        (&[29], &[]),
        ID,
        constrained(0, 0),
    );
    cases.good(
        "good::path-length-1",
        "A path length of 1 and one intermediate below.",
        (&[29], &[]),
        ID,
        constrained(1, 1),
    );
}

fn issuers(cases: &mut Cases, world: &World) {
    let root = &world.own.root;
    let id = |uri_text: &str| san([uri(uri_text)]);
    let both = ext::extended_key_usage(&[ext::SERVER_AUTH, ext::CLIENT_AUTH]);
    let unconcerned = ext::name_constraints(&[dns("example.org")], &[]);
    let plain = ext::key_usage(ext::KEY_CERT_SIGN).critical_as(Vec::new());
    let rows: [(&str, &str, Extension, &[u8]); 7] = [
        (
            "issuer-with-domain-id",
            "The intermediate carries the ID of the trust domain.",
            id("spiffe://example.org"),
            &[20],
        ),
        (
            "issuer-with-path-id",
            "The intermediate carries an ID with a path: the issuer's fault.",
            id("spiffe://example.org/spire/server"),
            &[20],
        ),
        (
            "issuer-with-extended-key-usage",
            "The intermediate's extended key usage names both ends.",
            both,
            &[28],
        ),
        (
            "issuer-key-usage-not-critical",
            "The intermediate's key usage is not critical.",
            plain,
            &[24, 25],
        ),
        (
            "issuer-unknown-extension",
            "An extension of the intermediate that nobody knows, not critical.",
            ext::unknown(),
            &[29],
        ),
        (
            "issuer-key-identifiers",
            "The intermediate has a key identifier.",
            ext::key_identifier(),
            &[29],
        ),
        (
            "dns-constraint-without-dns",
            "A constraint on DNS names, of which the leaf has none.",
            unconcerned,
            &[29],
        ),
    ];
    for (class, description, extension, conformance) in rows {
        let key = world.key();
        let template = world.authority("intermediate", &key).with(extension);
        let presented = world.shown_under(root, &[root.appoints(&template, &key)], &world.leaf(ID));
        cases.good(
            &format!("good::{class}"),
            description,
            (conformance, &[]),
            ID,
            presented,
        );
    }
    let key = world.key();
    let constraint = ext::name_constraints(&[dns("example.org")], &[]);
    let intermediate = root.appoints(
        &world.authority("intermediate", &key).with(constraint),
        &key,
    );
    let leaf = world
        .leaf(ID)
        .with(san([uri(ID), dns("orders.example.org")]));
    cases.good(
        "good::dns-constraint-kept",
        "A constraint on DNS names that the leaf keeps.",
        (&[29], &[]),
        ID,
        world.shown_under(root, &[intermediate], &leaf),
    );
}

fn bundles(cases: &mut Cases, world: &World) {
    let good = || world.shown(&world.leaf(ID));
    let own = world.own.root.der.as_slice();
    let partner_id = "spiffe://partner.test/service/orders";
    let partner = vec![
        world.partner.intermediate.signs(&world.leaf(partner_id)),
        world.partner.intermediate.der.clone(),
    ];
    cases.good(
        "good::federated",
        "An SVID of a second trust domain, under its own bundle.",
        (&[30], &[25]),
        partner_id,
        world.show(partner),
    );
    let key = world.key();
    let other = Authority::root(&world.authority("other root", &key), &key);
    let two =
        |presented: Presented| presented.trusting([(DOMAIN, vec![other.der.as_slice(), own])]);
    cases.good(
        "good::second-root",
        "Two roots in the bundle, the second of which has signed.",
        (&[30], &[]),
        ID,
        two(good()),
    );
    cases.good(
        "good::first-root",
        "The same bundle, and the first has signed.",
        (&[30], &[]),
        ID,
        two(world.shown_under(&other, &world.line(&other, 1), &world.leaf(ID))),
    );

    let renewed = |from: SystemTime, to: SystemTime| {
        let template = Template::new(world.own.root.name.clone(), &world.own.root.key, world.now)
            .valid(from, to);
        Authority::root(
            &template
                .with(ext::authority(None))
                .with(ext::key_usage(ext::KEY_CERT_SIGN)),
            &world.own.root.key,
        )
        .der
    };
    let next = renewed(world.now - HOUR, world.now + 30 * DAY);
    cases.good(
        "good::root-renewed",
        "The root has been renewed with its key, and only the new one is in the bundle.",
        (&[30], &[]),
        ID,
        good().trusting([(DOMAIN, vec![next.as_slice()])]),
    );
    let past = renewed(world.now - 3 * DAY, world.now - DAY);
    cases.good(
        "good::expired-root-beside",
        "An expired certificate of the same root stands before the one in force.",
        (&[29, 30], &[]),
        ID,
        good().trusting([(DOMAIN, vec![past.as_slice(), own])]),
    );
    cases.good(
        "good::shared-root",
        "Two domains share a root, each of them by name.",
        (&[30], &[]),
        ID,
        good().trusting([(DOMAIN, vec![own]), (PARTNER, vec![own])]),
    );
    let key = world.key();
    let without_usage = Authority::root(
        &world.authority("old root", &key).without(ext::KEY_USAGE),
        &key,
    );
    let presented = world.shown_under(
        &without_usage,
        &world.line(&without_usage, 1),
        &world.leaf(ID),
    );
    cases.good(
        "good::root-without-key-usage",
        "A root without key usage, which somebody has put into the bundle.",
        (&[25], &[]),
        ID,
        presented.trusting([(DOMAIN, vec![without_usage.der.as_slice()])]),
    );
}
