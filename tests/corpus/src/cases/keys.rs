//! What the kinds of keys are about: mixed chains, short keys, broken hashes, curves that TLS does not
//! know.

use spiffe_verify::X509Fault::BadSignature;

use super::Cases;
use crate::case::{Presented, Verdict};
use crate::key::{Key, KeyKind, Scheme};
use crate::world::{Authority, DOMAIN, ID, World};

/// A chain whose root, intermediate and leaf have keys of these kinds.
fn mixed(world: &World, kinds: [KeyKind; 3], schemes: [Scheme; 2]) -> Presented {
    let [root, intermediate, leaf] = kinds.map(Key::generate);
    let root = Authority::root(&world.authority("root", &root), &root);
    let template = world.authority("intermediate", &intermediate);
    let intermediate = Authority {
        name: template.subject.clone(),
        der: template.sign(&root.name, &root.key, schemes[0]),
        key: intermediate,
    };
    let template = world.leaf_of(ID, &leaf);
    let signed = template.sign(&intermediate.name, &intermediate.key, schemes[1]);
    let presented = world.show(vec![signed, intermediate.der]).holding(&leaf);
    presented.trusting([(DOMAIN, vec![root.der.as_slice()])])
}

pub(super) fn add(cases: &mut Cases, world: &World) {
    use KeyKind::{Ed25519, P256, P384, P521, Rsa1024, Rsa2048, Secp256k1};
    use Scheme::{RsaPss, RsaSha1, Usual};
    let good = [
        (
            "rsa-over-p256",
            "An RSA root over ECDSA keys.",
            [Rsa2048, P256, P256],
            [Usual, Usual],
        ),
        (
            "p384-over-p256",
            "A P-384 root over P-256 keys.",
            [P384, P256, P256],
            [Usual, Usual],
        ),
        (
            "p256-over-p384",
            "A P-256 root over P-384 keys.",
            [P256, P384, P384],
            [Usual, Usual],
        ),
        (
            "every-kind",
            "Ed25519 over RSA over ECDSA.",
            [Ed25519, Rsa2048, P256],
            [Usual, Usual],
        ),
        (
            "rsa-leaf",
            "An RSA leaf under ECDSA keys.",
            [P256, P256, Rsa2048],
            [Usual, Usual],
        ),
        (
            "ed25519-leaf",
            "An Ed25519 leaf under RSA keys.",
            [Rsa2048, Rsa2048, Ed25519],
            [Usual, Usual],
        ),
        (
            "rsa-pss",
            "Certificates signed with RSA-PSS.",
            [Rsa2048, Rsa2048, P256],
            [RsaPss, RsaPss],
        ),
        (
            "p521",
            "P-521 throughout. A matter of the crypto provider: aws-lc-rs verifies it, ring does not.",
            [P521, P521, P521],
            [Usual, Usual],
        ),
        (
            "p521-root",
            "A P-521 root over P-256 keys. A matter of the crypto provider, as above.",
            [P521, P256, P256],
            [Usual, Usual],
        ),
    ];
    for (class, description, kinds, schemes) in good {
        cases.kind = kinds[2];
        cases.good(
            &format!("keys::{class}"),
            description,
            (&[29], &[31]),
            ID,
            mixed(world, kinds, schemes),
        );
    }
    let bad = [
        (
            "sha1-leaf",
            "The leaf is signed with RSA and SHA-1.",
            [Rsa2048, Rsa2048, P256],
            [Usual, RsaSha1],
            &[32],
        ),
        (
            "sha1-intermediate",
            "The intermediate is signed with RSA and SHA-1.",
            [Rsa2048, P256, P256],
            [RsaSha1, Usual],
            &[32],
        ),
        (
            "rsa1024-intermediate",
            "The intermediate has an RSA key of 1024 bits.",
            [P256, Rsa1024, P256],
            [Usual, Usual],
            &[31],
        ),
        (
            "rsa1024-root",
            "The root has an RSA key of 1024 bits.",
            [Rsa1024, P256, P256],
            [Usual, Usual],
            &[31],
        ),
        (
            "secp256k1-intermediate",
            "The intermediate's key is on secp256k1.",
            [P256, Secp256k1, P256],
            [Usual, Usual],
            &[31],
        ),
    ];
    for (class, description, kinds, schemes, threats) in bad {
        cases.kind = kinds[2];
        cases.bad(
            &format!("keys::{class}"),
            description,
            (&[29], threats),
            BadSignature,
            mixed(world, kinds, schemes),
        );
    }
    for (class, description, leaf) in [
        (
            "rsa1024-leaf",
            "The leaf has an RSA key of 1024 bits.",
            Rsa1024,
        ),
        (
            "secp256k1-leaf",
            "The leaf's key is on secp256k1.",
            Secp256k1,
        ),
    ] {
        cases.kind = leaf;
        let presented = mixed(world, [P256, P256, leaf], [Usual, Usual]);
        cases.both(
            &format!("keys::{class}"),
            description,
            (&[29], &[31]),
            Verdict::HandshakeFails,
            presented,
        );
    }
}
