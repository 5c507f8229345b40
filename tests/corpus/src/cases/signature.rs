//! Signatures that do not hold, or are of an algorithm that is not the one it says (RFC 5280, section
//! 4.1.1).

use spiffe_verify::X509Fault::{BadSignature, Malformed, Refused};

use super::Cases;
use crate::case::Verdict;
use crate::der;
use crate::key::Scheme;
use crate::world::{ID, World};

pub(super) fn add(cases: &mut Cases, world: &World) {
    broken(cases, world);
    algorithms(cases, world);
    let other = world.key();
    cases.both(
        "signature::key-not-held",
        "A good chain in the hands of one who does not have the leaf's key.",
        (&[29], &[30]),
        Verdict::HandshakeFails,
        world
            .shown(&world.leaf_of(ID, &world.key()))
            .holding(&other),
    );
}

fn broken(cases: &mut Cases, world: &World) {
    let issuer = &world.own.intermediate;
    let leaf = world.leaf(ID);
    let algorithm = issuer.key.algorithm(Scheme::Usual);
    let signed = leaf.to_be_signed(&issuer.name, &algorithm);
    let signature = issuer.key.sign(Scheme::Usual, &signed);
    let other = leaf
        .clone()
        .change(|it| it.serial = der::integer(&[0x42; 8]));
    let of_other = issuer
        .key
        .sign(Scheme::Usual, &other.to_be_signed(&issuer.name, &algorithm));
    let flipped = |place: usize| {
        let mut signature = signature.clone();
        signature[place] ^= 1;
        signature
    };
    let last = signature.len() - 1;
    let rows: [(&str, &str, Vec<u8>); 6] = [
        (
            "last-bit",
            "The last bit of the signature is flipped.",
            flipped(last),
        ),
        (
            "middle-bit",
            "A bit in the middle of the signature is flipped.",
            flipped(last / 2),
        ),
        (
            "of-other-content",
            "The signature is that of another certificate.",
            of_other,
        ),
        ("zeros", "The signature is zeros.", vec![0; signature.len()]),
        ("empty", "The signature is empty.", Vec::new()),
        (
            "truncated",
            "The last byte of the signature is missing.",
            signature[..last].to_vec(),
        ),
    ];
    for (class, description, signature) in rows {
        let chain = vec![
            leaf.seal(&signed, &algorithm, &signature),
            issuer.der.clone(),
        ];
        cases.bad(
            &format!("signature::{class}"),
            description,
            (&[14, 29], &[30]),
            BadSignature,
            world.show(chain),
        );
    }
    let by = |key, class: &str, description: &str, cases: &mut Cases| {
        let chain = vec![
            leaf.sign(&issuer.name, key, Scheme::Usual),
            issuer.der.clone(),
        ];
        cases.bad(
            &format!("signature::{class}"),
            description,
            (&[29], &[30]),
            BadSignature,
            world.show(chain),
        );
    };
    by(
        &world.leaf_key,
        "by-itself",
        "The leaf is signed by its own key in the name of the intermediate.",
        cases,
    );
    by(
        &world.own.root.key,
        "by-the-root",
        "The leaf is signed by the root in the name of the intermediate.",
        cases,
    );
    by(
        &world.partner.root.key,
        "by-a-stranger",
        "The leaf is signed by a key of another domain in the name of the intermediate.",
        cases,
    );

    let changed = world.leaf("spiffe://example.org/service/admin");
    let changed = changed.change(|it| it.serial.clone_from(&leaf.serial));
    let changed = changed.to_be_signed(&issuer.name, &algorithm);
    let chain = vec![
        leaf.seal(&changed, &algorithm, &signature),
        issuer.der.clone(),
    ];
    cases.bad(
        "signature::id-exchanged",
        "The ID has been exchanged after signing.",
        (&[14, 29], &[30]),
        BadSignature,
        world.show(chain),
    );

    let mut intermediate = issuer.der.clone();
    *intermediate.last_mut().unwrap() ^= 1;
    let chain = vec![issuer.signs(&leaf), intermediate];
    cases.bad(
        "signature::of-intermediate",
        "The last bit of the intermediate's signature is flipped.",
        (&[29], &[30]),
        BadSignature,
        world.show(chain),
    );

    let sealed = leaf.seal(&signed, &algorithm, &signature);
    let parts = der::values(der::open(&sealed).1);
    let unused = [&[1], &der::open(parts[2]).1[1..]].concat();
    let odd = der::sequence([parts[0], parts[1], &der::tlv(3, &unused)]);
    cases.bad(
        "signature::unused-bits",
        "The signature has an unused bit.",
        (&[29], &[35]),
        Malformed,
        world.show(vec![odd, issuer.der.clone()]),
    );
}

fn algorithms(cases: &mut Cases, world: &World) {
    let issuer = &world.own.intermediate;
    let other = der::sequence([der::oid("1.2.840.113549.1.1.14"), vec![5, 0]]);
    let nobodys = der::sequence([der::oid("1.3.6.1.4.1.55738.666.4")]);
    let usual = issuer.key.algorithm(Scheme::Usual);
    let outer = world
        .leaf(ID)
        .change(|it| it.outer_algorithm = Some(other.clone()));
    cases.bad(
        "signature::outer-algorithm-differs",
        "The algorithm outside differs from the one inside.",
        (&[29], &[32, 35]),
        Refused,
        world.shown(&outer),
    );
    let both = world.leaf(ID).change(|it| {
        it.outer_algorithm = Some(nobodys.clone());
        it.inner_algorithm = Some(nobodys);
    });
    cases.bad(
        "signature::unknown-algorithm",
        "An algorithm that nobody knows.",
        (&[29], &[32]),
        BadSignature,
        world.shown(&both),
    );
    let garbage = der::sequence([der::values(der::open(&usual).1)[0], &der::utf8("?")]);
    let with = world.leaf(ID).change(|it| {
        it.outer_algorithm = Some(garbage.clone());
        it.inner_algorithm = Some(garbage);
    });
    cases.bad(
        "signature::algorithm-with-parameters",
        "The algorithm has parameters that it does not know.",
        (&[29], &[35]),
        BadSignature,
        world.shown(&with),
    );
    let md5 = der::sequence([der::oid("1.2.840.113549.1.1.4"), vec![5, 0]]);
    let md5 = world.leaf(ID).change(|it| {
        it.outer_algorithm = Some(md5.clone());
        it.inner_algorithm = Some(md5);
    });
    cases.bad(
        "signature::says-md5",
        "The algorithm is said to be RSA with MD5.",
        (&[29], &[32]),
        BadSignature,
        world.shown(&md5),
    );
    let ecdsa_sha1 = der::sequence([der::oid("1.2.840.10045.4.1")]);
    let says = world.leaf(ID).change(|it| {
        it.outer_algorithm = Some(ecdsa_sha1.clone());
        it.inner_algorithm = Some(ecdsa_sha1);
    });
    cases.bad(
        "signature::says-ecdsa-sha1",
        "The algorithm is said to be ECDSA with SHA-1.",
        (&[29], &[32]),
        BadSignature,
        world.shown(&says),
    );
}
