//! What a leaf must and must not say of itself (X509-SVID, sections 4.1, 4.3 and 4.4).

use spiffe_verify::X509Fault::{
    ExtendedKeyUsage, LeafIsAuthority, LeafKeyUsage, Malformed, Refused, UnknownAuthority,
};

use super::Cases;
use crate::case::{Role, Verdict};
use crate::der;
use crate::extension::{self as ext, Extension, key_usage};
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    constraints(cases, world);
    usage(cases, world);
    extended(cases, world);
    authorities(cases, world);
    let critical = [
        (
            "unknown-critical",
            "A critical extension that nobody knows.",
            ext::unknown().critical(),
        ),
        (
            "precertificate",
            "The critical poison of a precertificate (RFC 6962).",
            Extension::new("1.3.6.1.4.1.11129.2.4.3", vec![5, 0]).critical(),
        ),
        (
            "critical-policy-mappings",
            "Critical policy mappings.",
            Extension::new(
                "2.5.29.33",
                der::sequence([der::sequence([
                    der::oid("2.23.140.1.2.1"),
                    der::oid("2.23.140.1.2.2"),
                ])]),
            )
            .critical(),
        ),
    ];
    for (class, description, extension) in critical {
        cases.bad(
            &format!("leaf::{class}"),
            description,
            (&[29], &[33]),
            Refused,
            world.shown(&world.leaf(ID).with(extension)),
        );
    }
}

fn constraints(cases: &mut Cases, world: &World) {
    let raw = |value: Vec<u8>| Some(Extension::new(ext::BASIC_CONSTRAINTS, value).critical());
    let rows = [
        (
            "authority",
            "cA is true.",
            Some(ext::authority(None)),
            LeafIsAuthority,
        ),
        (
            "authority-of-length-0",
            "cA is true, with a path length of 0.",
            Some(ext::authority(Some(0))),
            LeafIsAuthority,
        ),
        (
            "authority-not-critical",
            "cA is true in an extension that is not critical.",
            Some(Extension::new(
                ext::BASIC_CONSTRAINTS,
                der::sequence([der::yes()]),
            )),
            LeafIsAuthority,
        ),
        (
            "no-basic-constraints",
            "Basic constraints are absent: a leaf has to say that it is no authority.",
            None,
            LeafIsAuthority,
        ),
        (
            "empty-basic-constraints",
            "Basic constraints hold nothing at all.",
            raw(Vec::new()),
            Malformed,
        ),
        (
            "basic-constraints-no-sequence",
            "Basic constraints are a BOOLEAN.",
            raw(vec![1, 1, 0]),
            Malformed,
        ),
        (
            "basic-constraints-trailing",
            "Bytes follow the basic constraints.",
            raw(vec![0x30, 0, 5, 0]),
            Malformed,
        ),
        (
            "ber-true",
            "cA is true as BER writes it, 01.",
            raw(der::sequence([vec![1, 1, 1]])),
            Malformed,
        ),
    ];
    for (class, description, extension, fault) in rows {
        let leaf = world.leaf(ID).without(ext::BASIC_CONSTRAINTS);
        let leaf = extension
            .into_iter()
            .fold(leaf, |leaf, extension| leaf.with(extension));
        cases.bad(
            &format!("leaf::{class}"),
            description,
            (&[22], &[18]),
            fault,
            world.shown(&leaf),
        );
    }
}

fn usage(cases: &mut Cases, world: &World) {
    use crate::extension::{
        CRL_SIGN, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT,
    };
    let rows: [(&str, &str, _, &[u8], &[u8]); 9] = [
        (
            "no-key-usage",
            "Key usage is absent.",
            None,
            &[24, 26],
            &[21],
        ),
        (
            "no-bits",
            "Key usage names nothing.",
            Some(key_usage(0)),
            &[26],
            &[21],
        ),
        (
            "key-encipherment-only",
            "Key usage names keyEncipherment alone.",
            Some(key_usage(KEY_ENCIPHERMENT)),
            &[26],
            &[21],
        ),
        (
            "key-agreement-only",
            "Key usage names keyAgreement alone.",
            Some(key_usage(KEY_AGREEMENT)),
            &[26],
            &[21],
        ),
        (
            "key-cert-sign",
            "Key usage names keyCertSign too.",
            Some(key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN)),
            &[27],
            &[19],
        ),
        (
            "crl-sign",
            "Key usage names cRLSign too.",
            Some(key_usage(DIGITAL_SIGNATURE | CRL_SIGN)),
            &[27],
            &[20],
        ),
        (
            "both-signs",
            "Key usage names keyCertSign and cRLSign too.",
            Some(key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN | CRL_SIGN)),
            &[27],
            &[19, 20],
        ),
        (
            "key-cert-sign-only",
            "Key usage is that of an authority.",
            Some(key_usage(KEY_CERT_SIGN)),
            &[26, 27],
            &[19, 21],
        ),
        (
            "not-critical-key-cert-sign",
            "keyCertSign in an extension that is not critical.",
            Some(key_usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN).critical_as(Vec::new())),
            &[24, 27],
            &[19],
        ),
    ];
    for (class, description, extension, conformance, threats) in rows {
        let leaf = world.leaf(ID).without(ext::KEY_USAGE);
        let leaf = extension
            .into_iter()
            .fold(leaf, |leaf, extension| leaf.with(extension));
        cases.bad(
            &format!("leaf::{class}"),
            description,
            (conformance, threats),
            LeafKeyUsage,
            world.shown(&leaf),
        );
    }
    let rows = [
        (
            "key-usage-octets",
            "Key usage is an OCTET STRING.",
            vec![4, 1, 0x80],
        ),
        (
            "key-usage-empty",
            "Key usage holds nothing at all.",
            Vec::new(),
        ),
        (
            "key-usage-trailing",
            "Bytes follow the key usage.",
            vec![3, 2, 7, 0x80, 5, 0],
        ),
        (
            "key-usage-unused-bits",
            "Key usage has eight unused bits.",
            vec![3, 2, 8, 0x80],
        ),
    ];
    for (class, description, value) in rows {
        let leaf = world
            .leaf(ID)
            .with(Extension::new(ext::KEY_USAGE, value).critical());
        cases.bad(
            &format!("leaf::{class}"),
            description,
            (&[24], &[21, 35]),
            Malformed,
            world.shown(&leaf),
        );
    }
}

fn extended(cases: &mut Cases, world: &World) {
    use crate::extension::{ANY_USAGE, CLIENT_AUTH, CODE_SIGNING, SERVER_AUTH, extended_key_usage};
    let refused = || Verdict::Refused(ExtendedKeyUsage);
    let accepted = || Verdict::Accepted(ID.to_owned());
    for (class, description, usage, client, server) in [
        (
            "client-auth-only",
            "Extended key usage names clientAuth alone: no server.",
            CLIENT_AUTH,
            accepted(),
            refused(),
        ),
        (
            "server-auth-only",
            "Extended key usage names serverAuth alone: no client.",
            SERVER_AUTH,
            refused(),
            accepted(),
        ),
        (
            "code-signing-only",
            "Extended key usage names codeSigning alone.",
            CODE_SIGNING,
            refused(),
            refused(),
        ),
        (
            "any-usage-only",
            "Extended key usage names anyExtendedKeyUsage alone, which is not what it has to name.",
            ANY_USAGE,
            refused(),
            refused(),
        ),
    ] {
        let presented = world.shown(&world.leaf(ID).with(extended_key_usage(&[usage])));
        let class = format!("leaf::{class}");
        cases.at(
            &class,
            description,
            (&[28], &[22]),
            Role::Client,
            client,
            presented.clone(),
        );
        cases.at(
            &class,
            description,
            (&[28], &[22]),
            Role::Server,
            server,
            presented,
        );
    }
    let raw = |value: Vec<u8>| Extension::new(ext::EXTENDED_KEY_USAGE, value);
    cases.bad(
        "leaf::empty-extended-key-usage",
        "Extended key usage is an empty list, which RFC 5280 forbids.",
        (&[28], &[22]),
        ExtendedKeyUsage,
        world.shown(&world.leaf(ID).with(raw(der::sequence([Vec::new()])))),
    );
    for (class, description, before) in [
        (
            "extended-key-usage-in-another-spelling",
            "Extended key usage names both ends, each by an OID with a byte that adds nothing.",
            &[0x80_u8][..],
        ),
        (
            "extended-key-usage-beyond-56-bits",
            "Extended key usage names what is both ends only where 56 bits of a number count.",
            &[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        ),
    ] {
        let usages = [1, 2].map(|last| {
            let purposes: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3];
            der::tlv(6, &[purposes, before, &[last]].concat())
        });
        cases.bad(
            &format!("leaf::{class}"),
            description,
            (&[28], &[22, 35]),
            ExtendedKeyUsage,
            world.shown(&world.leaf(ID).with(raw(der::sequence(usages)))),
        );
    }
    cases.bad(
        "leaf::extended-key-usage-twice",
        "Two extended key usages, one for each end.",
        (&[28, 29], &[22, 35]),
        Malformed,
        world.shown(
            &world
                .leaf(ID)
                .with(extended_key_usage(&[CLIENT_AUTH]))
                .and(extended_key_usage(&[SERVER_AUTH])),
        ),
    );
    cases.bad(
        "leaf::extended-key-usage-malformed",
        "Extended key usage is one OID without the list around it.",
        (&[28], &[22, 35]),
        Malformed,
        world.shown(&world.leaf(ID).with(raw(der::oid(CLIENT_AUTH)))),
    );
}

/// Authorities that authenticate with their own certificates (X509-SVID, section 3.2).
fn authorities(cases: &mut Cases, world: &World) {
    let own = &world.own;
    cases.bad(
        "leaf::root-as-leaf",
        "The root itself, which has no ID.",
        (&[21], &[2, 18]),
        spiffe_verify::X509Fault::NoSpiffeId,
        world
            .show(vec![own.root.der.clone()])
            .holding(&own.root.key),
    );
    let key = world.key();
    let template = world
        .authority("signing", &key)
        .with(ext::san([ext::uri(ID)]));
    let intermediate = own.root.signs(&template);
    cases.bad(
        "leaf::intermediate-as-leaf",
        "An intermediate with the ID of a workload, shown as a leaf.",
        (&[20, 21, 22], &[18]),
        LeafIsAuthority,
        world.show(vec![intermediate]).holding(&key),
    );
    let root = world
        .authority("other root", &key)
        .with(ext::san([ext::uri(ID)]));
    let root = crate::world::Authority::root(&root, &key);
    let presented = world.show(vec![root.der.clone()]).holding(&key);
    cases.bad(
        "leaf::trusted-root-as-leaf",
        "A root of the bundle with the ID of a workload, shown as a leaf.",
        (&[20, 21, 22], &[18, 30]),
        LeafIsAuthority,
        presented.trusting([(crate::world::DOMAIN, vec![root.der.as_slice()])]),
    );
    let leaf = world
        .leaf(ID)
        .change(|it| it.issuer = Some(it.subject.clone()));
    let subject = leaf.subject.clone();
    cases.bad(
        "leaf::self-signed",
        "A leaf that signs itself.",
        (&[13, 29], &[30]),
        UnknownAuthority,
        world.show(vec![leaf.sign(
            &subject,
            &world.leaf_key,
            crate::key::Scheme::Usual,
        )]),
    );
    let name = own.root.name.clone();
    cases.bad(
        "leaf::self-signed-as-root",
        "A leaf that signs itself in the name of the root.",
        (&[13, 29], &[30]),
        spiffe_verify::X509Fault::BadSignature,
        world.show(vec![world.leaf(ID).sign(
            &name,
            &world.leaf_key,
            crate::key::Scheme::Usual,
        )]),
    );
}
