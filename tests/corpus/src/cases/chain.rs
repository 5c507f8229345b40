//! Chains of the wrong shape (RFC 5280, section 6).

use spiffe_verify::X509Fault::{ChainOrder, ChainTooLong, UnknownAuthority};

use super::Cases;
use super::issuers::through;
use crate::case::Presented;
use crate::extension::Extension;
use crate::world::{Authority, ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    incomplete(cases, world);
    shape(cases, world);
}

fn incomplete(cases: &mut Cases, world: &World) {
    let root = &world.own.root;
    let leaf = world.leaf(ID);
    let line = world.line(root, 3);
    let full = world.shown_under(root, &line, &leaf);
    let keep = |places: &[usize]| {
        let mut presented = full.clone();
        presented.chain = places
            .iter()
            .map(|place| full.chain[*place].clone())
            .collect();
        presented
    };
    cases.bad(
        "chain::no-intermediate",
        "The intermediate is missing.",
        (&[29], &[28]),
        UnknownAuthority,
        world.show(vec![world.own.intermediate.signs(&leaf)]),
    );
    cases.bad(
        "chain::no-upper-intermediate",
        "The intermediate next to the root is missing.",
        (&[29], &[28]),
        UnknownAuthority,
        keep(&[0, 1, 2]),
    );
    cases.bad(
        "chain::no-lower-intermediate",
        "The leaf's issuer is missing.",
        (&[29], &[28, 29]),
        ChainOrder,
        keep(&[0, 2, 3]),
    );
    cases.bad(
        "chain::no-middle-intermediate",
        "An intermediate in the middle is missing.",
        (&[29], &[28, 29]),
        ChainOrder,
        keep(&[0, 1, 3]),
    );
    cases.bad(
        "chain::out-of-order",
        "The intermediates stand in reverse order.",
        (&[29], &[29]),
        ChainOrder,
        keep(&[0, 3, 2, 1]),
    );
    cases.bad(
        "chain::leaf-last",
        "The leaf stands last.",
        (&[29], &[2, 29]),
        spiffe_verify::X509Fault::NoSpiffeId,
        keep(&[1, 2, 3, 0]),
    );
    cases.bad(
        "chain::intermediate-twice",
        "An intermediate stands twice.",
        (&[29], &[29]),
        ChainOrder,
        keep(&[0, 1, 1, 2]),
    );
    cases.bad(
        "chain::leaf-twice",
        "The leaf stands twice.",
        (&[29], &[29]),
        ChainOrder,
        keep(&[0, 0, 1, 2]),
    );
    cases.bad(
        "chain::round",
        "After the last intermediate the first comes again.",
        (&[29], &[29]),
        ChainOrder,
        keep(&[0, 1, 2, 3, 1]),
    );
}

fn shape(cases: &mut Cases, world: &World) {
    let root = &world.own.root;
    let leaf = world.leaf(ID);
    let five = world.line(root, 5);
    cases.bad(
        "chain::five-intermediates",
        "Five intermediates: one more than the bound.",
        (&[29], &[29]),
        ChainTooLong,
        world.shown_under(root, &five, &leaf),
    );
    cases.bad(
        "chain::nine-intermediates",
        "Nine intermediates.",
        (&[29], &[29]),
        ChainTooLong,
        world.shown_under(root, &world.line(root, 9), &leaf),
    );

    let good = world.shown(&leaf);
    let with = |more: &[&Vec<u8>]| {
        let mut presented = good.clone();
        presented
            .chain
            .extend(more.iter().map(|der| (*der).clone()));
        presented
    };
    let other_leaf = world
        .own
        .intermediate
        .signs(&world.leaf("spiffe://example.org/service/payments"));
    cases.bad(
        "chain::unrelated-last",
        "An intermediate of another domain follows the chain.",
        (&[29], &[29]),
        ChainOrder,
        with(&[&world.partner.intermediate.der]),
    );
    cases.bad(
        "chain::unrelated-leaf-last",
        "Another leaf follows the chain.",
        (&[29], &[29]),
        ChainOrder,
        with(&[&other_leaf]),
    );
    cases.bad(
        "chain::unrelated-root-last",
        "The root of another domain follows the chain.",
        (&[29], &[29]),
        ChainOrder,
        with(&[&world.partner.root.der]),
    );
    let mut between = good.clone();
    between
        .chain
        .insert(1, world.partner.intermediate.der.clone());
    cases.bad(
        "chain::unrelated-between",
        "An intermediate of another domain stands between leaf and issuer.",
        (&[29], &[29]),
        ChainOrder,
        between,
    );

    cases.bad(
        "chain::same-subject",
        "Five intermediates of one name: a path builder would try them all.",
        (&[29], &[29]),
        ChainTooLong,
        twins(world, 5),
    );
    cases.bad(
        "chain::same-subject-within-bound",
        "Four intermediates of one name.",
        (&[29], &[29]),
        ChainOrder,
        twins(world, 4),
    );
    cases.bad(
        "chain::cross-signed-circle",
        "Two authorities that vouch for each other, and no root.",
        (&[29], &[28, 29]),
        UnknownAuthority,
        circle(world),
    );
    let mut self_issued = good;
    let key = world.own.intermediate.key.clone();
    let own_name = world.own.intermediate.name.clone();
    let again = world
        .authority("intermediate", &key)
        .change(|it| it.issuer = Some(own_name.clone()));
    self_issued
        .chain
        .insert(1, world.own.intermediate.signs(&again));
    cases.bad(
        "chain::self-issued-intermediate",
        "The intermediate with a new certificate that it has signed itself.",
        (&[29], &[29]),
        ChainOrder,
        self_issued,
    );
}

/// Intermediates that all have the name of the one that signs them, and keys of their own.
fn twins(world: &World, count: usize) -> Presented {
    let mut line = vec![world.own.intermediate.clone()];
    for _ in 1..count {
        let key = world.key();
        let template = world.authority("intermediate", &key);
        line.push(line.last().unwrap().appoints(&template, &key));
    }
    world.shown_under(&world.own.root, &line, &world.leaf(ID))
}

fn circle(world: &World) -> Presented {
    let (one, two) = (world.key(), world.key());
    let first = world.authority("first", &one);
    let second = world.authority("second", &two);
    let root = Authority::root(&second, &two);
    let below = root.appoints(&first, &one);
    let above = below.appoints(&second, &two);
    world.show(vec![below.signs(&world.leaf(ID)), below.der, above.der])
}

pub(super) fn large(cases: &mut Cases, world: &World) {
    let filler = |size: usize| Extension::new("1.3.6.1.4.1.55738.666.3", vec![0x5a; size]);
    let rows: [(&str, &str, Presented); 4] = [
        (
            "leaf-of-64-kib",
            "A leaf of 64 KiB: more than a message of a handshake may have.",
            world.shown(&world.leaf(ID).with(filler(64 * 1024))),
        ),
        (
            "leaf-of-60-kib",
            "A leaf of 60 KiB.",
            world.shown(&world.leaf(ID).with(filler(60 * 1024))),
        ),
        (
            "intermediate-of-60-kib",
            "An intermediate of 60 KiB.",
            through(world, |it| it.with(filler(60 * 1024))),
        ),
        ("four-of-13-kib", "Four intermediates of 13 KiB.", {
            let mut line: Vec<Authority> = Vec::new();
            for number in 0..4 {
                let key = world.key();
                let template = world
                    .authority(&format!("large {number}"), &key)
                    .with(filler(13 * 1024));
                line.push(
                    line.last()
                        .unwrap_or(&world.own.root)
                        .appoints(&template, &key),
                );
            }
            world.shown_under(&world.own.root, &line, &world.leaf(ID))
        }),
    ];
    for (class, description, presented) in rows {
        cases.bad(
            &format!("chain::{class}"),
            description,
            (&[29], &[29]),
            ChainTooLong,
            presented,
        );
    }
    let mut hundred = world.shown(&world.leaf(ID));
    hundred
        .chain
        .extend(vec![world.own.intermediate.der.clone(); 60]);
    cases.bad(
        "chain::sixty-times-the-intermediate",
        "The intermediate sixty times.",
        (&[29], &[29]),
        ChainTooLong,
        hundred,
    );
}
