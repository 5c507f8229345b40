//! Chains that are in order, and vouched for by nobody who may (X509-SVID, section 5.1; SPIFFE Trust
//! Domain and Bundle, section 4).

use spiffe_verify::X509Fault::{BadSignature, UnknownAuthority, UnknownTrustDomain};

use super::Cases;
use crate::case::Presented;
use crate::der;
use crate::extension as ext;
use crate::world::{Authority, DOMAIN, Domain, ID, PARTNER, World};

const PARTNER_ID: &str = "spiffe://partner.test/service/orders";
const STRANGER_ID: &str = "spiffe://stranger.test/service/orders";

fn shown_by(world: &World, domain: &Domain, id: &str) -> Presented {
    let chain = vec![
        domain.intermediate.signs(&world.leaf(id)),
        domain.intermediate.der.clone(),
    ];
    world.show(chain)
}

pub(super) fn add(cases: &mut Cases, world: &World) {
    foreign(cases, world);
    domains(cases, world);
    replaced(cases, world);
    shared(cases, world);
}

fn foreign(cases: &mut Cases, world: &World) {
    cases.bad(
        "trust::partner-signs-own-id",
        "An authority of a trusted domain signs an ID of another one.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        shown_by(world, &world.partner, ID),
    );
    cases.bad(
        "trust::own-signs-partner-id",
        "The same the other way round.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        shown_by(world, &world.own, PARTNER_ID),
    );
    let direct = world.show(vec![world.partner.root.signs(&world.leaf(ID))]);
    cases.bad(
        "trust::partner-root-signs-own-id",
        "The root of a trusted domain signs an ID of another one itself.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        direct,
    );
    let mut appended = shown_by(world, &world.partner, ID);
    appended.chain.push(world.partner.root.der.clone());
    cases.bad(
        "trust::foreign-root-shown",
        "The chain brings the foreign root along.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        appended,
    );
    cases.bad(
        "trust::stranger-signs-own-id",
        "An authority that nobody trusts signs an ID of a trusted domain.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        shown_by(world, &world.stranger, ID),
    );
    let mut brought = shown_by(world, &world.stranger, ID);
    brought.chain.push(world.stranger.root.der.clone());
    cases.bad(
        "trust::stranger-root-shown",
        "The same, and the chain brings its root along.",
        (&[13, 30], &[25, 30]),
        UnknownAuthority,
        brought,
    );
    let key = world.key();
    let cross = world
        .partner
        .root
        .appoints(&world.authority("cross", &key), &key);
    let chain = vec![cross.signs(&world.leaf(ID)), cross.der];
    cases.bad(
        "trust::partner-appoints-own-name",
        "A foreign authority appoints an intermediate that has the name of this domain.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        world.show(chain),
    );
}

fn domains(cases: &mut Cases, world: &World) {
    let good = || shown_by(world, &world.stranger, STRANGER_ID);
    cases.bad(
        "trust::unknown-domain",
        "A chain of a domain that has no bundle here.",
        (&[30, 36], &[26]),
        UnknownTrustDomain,
        good(),
    );
    cases.bad(
        "trust::unknown-domain-own-authority",
        "A trusted authority signs an ID of a domain that has no bundle here.",
        (&[13, 30, 36], &[26]),
        UnknownTrustDomain,
        shown_by(world, &world.own, STRANGER_ID),
    );
    for (class, description, id) in [
        (
            "child-domain",
            "A trust domain below the trusted one.",
            "spiffe://sub.example.org/service/orders",
        ),
        (
            "parent-domain",
            "A trust domain above the trusted one.",
            "spiffe://org/service/orders",
        ),
        (
            "longer-domain",
            "A trust domain that begins like the trusted one.",
            "spiffe://example.org.evil.test/service/orders",
        ),
        (
            "prefixed-domain",
            "A trust domain that ends like the trusted one.",
            "spiffe://evilexample.org/service/orders",
        ),
        (
            "dotted-domain",
            "The trusted domain with a dot at its end: another name.",
            "spiffe://example.org./service/orders",
        ),
    ] {
        cases.bad(
            &format!("trust::{class}"),
            description,
            (&[13, 30], &[26]),
            UnknownTrustDomain,
            shown_by(world, &world.own, id),
        );
    }
    let removed = world
        .shown(&world.leaf(ID))
        .trusting([(PARTNER, vec![world.partner.root.der.as_slice()])]);
    cases.bad(
        "trust::domain-removed",
        "The bundle of the domain has been removed.",
        (&[30, 36], &[27]),
        UnknownTrustDomain,
        removed,
    );
}

/// The bundle of the domain is there, and the authority is not in it any more.
fn replaced(cases: &mut Cases, world: &World) {
    let key = world.key();
    let fresh = Authority::root(&world.authority("new root", &key), &key);
    let moved = world
        .shown(&world.leaf(ID))
        .trusting([(DOMAIN, vec![fresh.der.as_slice()])]);
    cases.bad(
        "trust::root-replaced",
        "The root has been replaced by another one.",
        (&[29, 30], &[27]),
        UnknownAuthority,
        moved,
    );
    let key = world.key();
    let twin = crate::certificate::Template::new(world.own.root.name.clone(), &key, world.now);
    let twin = Authority::root(
        &twin
            .with(ext::authority(None))
            .with(ext::key_usage(ext::KEY_CERT_SIGN)),
        &key,
    );
    let presented = world
        .shown(&world.leaf(ID))
        .trusting([(DOMAIN, vec![twin.der.as_slice()])]);
    cases.bad(
        "trust::root-of-the-same-name",
        "The root in the bundle has the name of the one that signed, and another key.",
        (&[29, 30], &[30]),
        BadSignature,
        presented,
    );
    let forged = Authority {
        name: world.own.root.name.clone(),
        ..twin
    };
    let key = world.key();
    let intermediate = forged.appoints(&world.authority("forged", &key), &key);
    cases.bad(
        "trust::forged-root-name",
        "An intermediate in the name of the root, signed by another key.",
        (&[29], &[30]),
        BadSignature,
        world.shown_under(&forged, &[intermediate], &world.leaf(ID)),
    );
    let key = world.key();
    let named = Authority::root(
        &world
            .authority("spiffe root", &key)
            .with(ext::san([ext::uri("spiffe://example.org")])),
        &key,
    );
    let presented = world.shown_under(&named, &world.line(&named, 1), &world.leaf(ID));
    cases.bad(
        "trust::root-names-the-domain",
        "A root that nobody trusts carries the ID of the trust domain.",
        (&[13, 20, 30], &[25]),
        UnknownAuthority,
        presented,
    );
    let swapped = world.shown(&world.leaf(ID)).trusting([
        (DOMAIN, vec![world.partner.root.der.as_slice()]),
        (PARTNER, vec![world.own.root.der.as_slice()]),
    ]);
    cases.bad(
        "trust::bundles-swapped",
        "The bundles of two domains are swapped: each counts for its own name.",
        (&[13, 30], &[25]),
        UnknownAuthority,
        swapped,
    );
}

/// One key in the bundles of two domains: it speaks for these two and for no third.
fn shared(cases: &mut Cases, world: &World) {
    let id = "spiffe://third.test/service/orders";
    let chain = shown_by(world, &world.own, id);
    let both = chain.trusting([
        (DOMAIN, vec![world.own.root.der.as_slice()]),
        (PARTNER, vec![world.own.root.der.as_slice()]),
    ]);
    cases.bad(
        "trust::shared-root-third-domain",
        "Two domains share a root, which signs an ID of a third.",
        (&[13, 30], &[26]),
        UnknownTrustDomain,
        both,
    );
    let key = world.key();
    let template = world
        .authority("shared key", &key)
        .change(|it| it.subject = der::name(PARTNER, "shared"));
    let elsewhere = Authority::root(&template, &key);
    let here = Authority::root(&world.authority("shared", &key), &key);
    let chain = vec![elsewhere.signs(&world.leaf(ID))];
    let presented = world.show(chain).trusting([
        (DOMAIN, vec![here.der.as_slice()]),
        (PARTNER, vec![elsewhere.der.as_slice()]),
    ]);
    cases.bad("trust::shared-key-other-name", "Two domains have roots of one key and two names: the leaf names the wrong one as its issuer.", (&[13, 29, 30], &[25]), UnknownAuthority, presented);
}
