//! Issuers that may not issue (X509-SVID, section 4; RFC 5280, section 6.1).

use spiffe_verify::X509Fault::{ChainOrder, IssuerNotAuthority, Refused};

use super::Cases;
use crate::case::Presented;
use crate::certificate::Template;
use crate::der;
use crate::extension::{self as ext, Extension};
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    issuers(cases, world);
    lengths(cases, world);
}

/// A chain through an intermediate that is changed.
pub(super) fn through(world: &World, change: impl FnOnce(Template) -> Template) -> Presented {
    let key = world.key();
    let template = change(world.authority("other intermediate", &key));
    let intermediate = world.own.root.appoints(&template, &key);
    world.shown_under(&world.own.root, &[intermediate], &world.leaf(ID))
}

fn issuers(cases: &mut Cases, world: &World) {
    let not_ca = Extension::new(ext::BASIC_CONSTRAINTS, der::sequence([Vec::new()]));
    let rows: [(&str, &str, &[u8], Presented); 8] = [
        (
            "issuer-no-authority",
            "The intermediate says that it is no authority.",
            &[23],
            through(world, |it| it.with(ext::no_authority())),
        ),
        (
            "issuer-no-authority-not-critical",
            "The same, in an extension that is not critical.",
            &[23],
            through(world, |it| it.with(not_ca)),
        ),
        (
            "issuer-without-basic-constraints",
            "The intermediate does not say that it is an authority.",
            &[23],
            through(world, |it| it.without(ext::BASIC_CONSTRAINTS)),
        ),
        (
            "issuer-without-key-usage",
            "The intermediate has no key usage.",
            &[24, 25],
            through(world, |it| it.without(ext::KEY_USAGE)),
        ),
        (
            "issuer-without-key-cert-sign",
            "The intermediate may sign, but no certificates.",
            &[25],
            through(world, |it| it.with(ext::key_usage(ext::DIGITAL_SIGNATURE))),
        ),
        (
            "issuer-signs-crls-only",
            "The intermediate may sign revocation lists only.",
            &[25],
            through(world, |it| it.with(ext::key_usage(ext::CRL_SIGN))),
        ),
        (
            "issuer-with-no-bits",
            "The intermediate's key usage names nothing.",
            &[25],
            through(world, |it| it.with(ext::key_usage(0))),
        ),
        (
            "issuer-without-extensions",
            "The intermediate has no extensions at all.",
            &[23, 25],
            through(world, |mut it| {
                it.extensions.clear();
                it
            }),
        ),
    ];
    for (class, description, conformance, presented) in rows {
        cases.bad(
            &format!("chain::{class}"),
            description,
            (conformance, &[30]),
            IssuerNotAuthority,
            presented,
        );
    }
    let workload = world.own.intermediate.appoints(
        &world.leaf("spiffe://example.org/service/evil"),
        &world.leaf_key,
    );
    let below = workload.signs(
        &world
            .leaf(ID)
            .change(|it| it.subject = der::name("workloads", "victim")),
    );
    cases.bad(
        "chain::leaf-as-issuer",
        "A workload signs an ID with the key of its own SVID.",
        (&[23, 25], &[30]),
        IssuerNotAuthority,
        world.show(vec![
            below,
            workload.der,
            world.own.intermediate.der.clone(),
        ]),
    );
    let key = world.key();
    let upper = world
        .authority("upper", &key)
        .with(ext::key_usage(ext::DIGITAL_SIGNATURE));
    let upper = world.own.root.appoints(&upper, &key);
    let key = world.key();
    let lower = upper.appoints(&world.authority("lower", &key), &key);
    cases.bad(
        "chain::upper-issuer-without-key-cert-sign",
        "The upper of two intermediates may sign no certificates.",
        (&[25], &[30]),
        IssuerNotAuthority,
        world.shown_under(&world.own.root, &[upper, lower], &world.leaf(ID)),
    );
    cases.bad(
        "chain::unknown-critical-in-issuer",
        "A critical extension of the intermediate that nobody knows.",
        (&[29], &[33]),
        Refused,
        through(world, |it| it.with(ext::unknown().critical())),
    );
    cases.bad(
        "chain::issuer-of-version-1",
        "The intermediate is of version 1.",
        (&[23, 29], &[30, 35]),
        IssuerNotAuthority,
        through(world, |mut it| {
            it.version.clear();
            it.extensions.clear();
            it
        }),
    );
    for (class, description, usage) in [
        (
            "issuer-for-code-signing",
            "The intermediate's extended key usage names codeSigning alone.",
            ext::CODE_SIGNING,
        ),
        (
            "issuer-for-mail",
            "The intermediate's extended key usage names emailProtection alone.",
            "1.3.6.1.5.5.7.3.4",
        ),
    ] {
        cases.bad(
            &format!("chain::{class}"),
            description,
            (&[28, 29], &[22]),
            spiffe_verify::X509Fault::ExtendedKeyUsage,
            through(world, |it| it.with(ext::extended_key_usage(&[usage]))),
        );
    }
    let key = world.key();
    let name = world.authority("not the intermediate", &key);
    let wrong = world.own.root.appoints(&name, &key);
    let chain = vec![
        world.own.intermediate.signs(&world.leaf(ID)),
        wrong.der.clone(),
    ];
    cases.bad(
        "chain::issuer-of-another-name",
        "The second certificate has another name than the leaf's issuer.",
        (&[29], &[29]),
        ChainOrder,
        world.show(chain),
    );
}

fn lengths(cases: &mut Cases, world: &World) {
    let root = &world.own.root;
    let constrained = |length: u8, below: usize| {
        let key = world.key();
        let template = world
            .authority("constrained", &key)
            .with(ext::authority(Some(length)));
        let mut line = vec![root.appoints(&template, &key)];
        for number in 0..below {
            let key = world.key();
            let template = world.authority(&format!("below {number}"), &key);
            line.push(line.last().unwrap().appoints(&template, &key));
        }
        world.shown_under(root, &line, &world.leaf(ID))
    };
    cases.bad(
        "chain::path-length-0-exceeded",
        "An intermediate below one whose path length is 0.",
        (&[29], &[29]),
        Refused,
        constrained(0, 1),
    );
    cases.bad(
        "chain::path-length-1-exceeded",
        "Two intermediates below one whose path length is 1.",
        (&[29], &[29]),
        Refused,
        constrained(1, 2),
    );
}
