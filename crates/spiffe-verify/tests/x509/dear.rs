//! Certificates that would be dear to decode: refused for their shape, before they are decoded.

use std::time::SystemTime;

use spiffe_verify::{Purpose, X509Error, X509Fault, X509Verifier, default_provider};

fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut der = match body.len() {
        0..128 => vec![tag, length[3]],
        128..65_536 => vec![tag, 0x82, length[2], length[3]],
        _ => vec![tag, 0x83, length[1], length[2], length[3]],
    };
    if let (0x82, 0) = (der[1], length[2]) {
        der.splice(1..3, [0x81]);
    }
    der.extend_from_slice(body);
    der
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn oid(n: u16) -> Vec<u8> {
    let [high, low] = [
        u8::try_from(n / 128).unwrap(),
        u8::try_from(n % 128).unwrap(),
    ];
    tlv(6, &[0x55, 0x80 | (1 + high % 100), low])
}

fn certificate(subject: Vec<u8>, extensions: Vec<u8>) -> Vec<u8> {
    let algorithm = sequence(&[tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let curve = sequence(&[
        tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
        tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
    ]);
    let key = sequence(&[curve, tlv(3, &[[0].as_slice(), &[4; 65]].concat())]);
    let validity = sequence(&[tlv(0x17, b"250101000000Z"), tlv(0x17, b"350101000000Z")]);
    let version = tlv(0xa0, &tlv(2, &[2]));
    let tbs = sequence(&[
        version,
        tlv(2, &[1]),
        algorithm.clone(),
        sequence(&[]),
        validity,
        subject,
        key,
        tlv(0xa3, &extensions),
    ]);
    sequence(&[tbs, algorithm, tlv(3, &[0, 0x30, 0])])
}

/// A name whose attributes stand in the order that costs most to sort.
fn name(attributes: u16) -> Vec<u8> {
    let attributes: Vec<_> = (0..attributes)
        .rev()
        .map(|n| sequence(&[oid(n), tlv(5, &[])]))
        .collect();
    sequence(&[tlv(0x31, &attributes.concat())])
}

fn extensions(count: u16) -> Vec<u8> {
    let extensions: Vec<_> = (0..count)
        .map(|n| sequence(&[oid(n), tlv(4, &[])]))
        .collect();
    sequence(&extensions)
}

fn refusal(der: Vec<u8>) -> X509Error {
    let verifier = X509Verifier::new(&default_provider().unwrap());
    verifier
        .verify(&[der], Purpose::Client, |_| None, SystemTime::now())
        .unwrap_err()
}

#[test]
fn threats_29_what_is_dear_to_decode_is_refused_for_its_shape() {
    let cheap = refusal(certificate(name(1), extensions(3)));
    assert_eq!(
        cheap.fault(),
        X509Fault::NoSpiffeId,
        "control: the frame is a certificate ({cheap})"
    );
    for (dear, why) in [
        (certificate(name(9), extensions(1)), "more than 8 members"),
        (
            certificate(name(5000), extensions(1)),
            "more than 8 members",
        ),
        (
            certificate(name(1), extensions(65)),
            "more than 64 extensions",
        ),
        (
            certificate(name(1), extensions(5000)),
            "more than 1024 values",
        ),
        (
            certificate(
                (0..20).fold(tlv(5, &[]), |inner, _| sequence(&[inner])),
                extensions(1),
            ),
            "nested deeper",
        ),
    ] {
        let refused = refusal(dear);
        assert!(
            refused.fault() == X509Fault::Malformed && refused.to_string().contains(why),
            "{refused}"
        );
    }
}

#[test]
fn threats_29_as_many_extensions_as_are_taken_are_read() {
    let few = refusal(certificate(name(1), extensions(64)));
    assert_eq!(few.fault(), X509Fault::NoSpiffeId, "control: it is read");
}

#[test]
fn threats_29_a_chain_has_one_budget_of_values() {
    let directory = |sets: usize| {
        let set = tlv(0x31, &sequence(&[oid(3), tlv(5, &[])]));
        tlv(0xa4, &sequence(&vec![set; sets]))
    };
    let with_names = |sets: usize| {
        let uri = tlv(0x86, b"spiffe://example.org/service/orders");
        let names = sequence(&[directory(sets), uri]);
        let san = sequence(&[tlv(6, &[0x55, 0x1d, 0x11]), tlv(4, &names)]);
        certificate(name(1), sequence(&[san]))
    };
    let fits = refusal(with_names(200));
    assert_eq!(
        fits.fault(),
        X509Fault::LeafIsAuthority,
        "control: it is read"
    );
    let dear = refusal(with_names(300));
    assert_eq!(dear.fault(), X509Fault::Malformed);
    assert!(dear.to_string().contains("values"), "{dear}");
}
