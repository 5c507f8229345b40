use aws_lc_rs::hmac;

use super::*;

const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
];

fn provider_has_p521() -> bool {
    cfg!(feature = "aws-lc-rs")
}

#[test]
fn conformance_39_each_of_the_nine_algorithms() {
    for alg in ALGORITHMS {
        let verified = verify(&signed(&header(alg), &good_claims()));
        if alg == "ES512" && !provider_has_p521() {
            assert_eq!(
                verified.unwrap_err().fault(),
                JwtFault::UnsupportedByProvider
            );
        } else {
            assert!(verified.is_ok(), "{alg}: {}", verified.unwrap_err());
        }
    }
}

#[test]
fn conformance_39_a_public_key_is_no_shared_secret() {
    for secret in [
        AUTHORITY.rsa.public_key().as_ref().to_vec(),
        AUTHORITY.rsa_public_key(),
    ] {
        for (alg, hash) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let header = json!({"alg": alg, "kid": "rsa"}).to_string();
            let message = format!(
                "{}.{}",
                encoded(header.as_bytes()),
                encoded(good_claims().to_string().as_bytes())
            );
            let tag = hmac::sign(&hmac::Key::new(hash, &secret), message.as_bytes());
            refused(
                &format!("{message}.{}", encoded(tag.as_ref())),
                JwtFault::Algorithm,
            );
            // The same tag under an allowed name.
            let message = message.replacen(
                &encoded(header.as_bytes()),
                &encoded(super::header("RS256").to_string().as_bytes()),
                1,
            );
            let tag = hmac::sign(&hmac::Key::new(hash, &secret), message.as_bytes());
            refused(
                &format!("{message}.{}", encoded(tag.as_ref())),
                JwtFault::Signature,
            );
        }
    }
}

#[test]
fn conformance_39_a_key_of_another_kind_verifies_nothing() {
    for alg in ALGORITHMS {
        for kid in ["p256", "p384", "p521", "rsa"] {
            if kid != key_id(alg) {
                let token = signed(&json!({"alg": alg, "kid": kid}), &good_claims());
                refused(&token, JwtFault::KeyMismatch);
            }
        }
    }
}

#[test]
fn conformance_39_the_algorithm_is_part_of_what_is_verified() {
    // One RSA key serves six algorithms: the signature of one is not that of another.
    for (named, used) in [
        ("PS256", "RS256"),
        ("RS256", "PS256"),
        ("RS512", "RS256"),
        ("PS384", "PS256"),
    ] {
        let token = signed_text(used, &header(named).to_string(), &good_claims().to_string());
        refused(&token, JwtFault::Signature);
    }
}

#[test]
fn conformance_46_what_was_signed_is_what_is_read() {
    for alg in ["ES256", "ES384", "RS256", "PS256"] {
        let token = signed(&header(alg), &good_claims());
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("a token has three parts")
        };
        let other_claims = encoded(
            claims_with("sub", Some(json!("spiffe://example.org/service/admin")))
                .to_string()
                .as_bytes(),
        );
        refused(
            &format!("{header}.{other_claims}.{signature}"),
            JwtFault::Signature,
        );
        let other_header = encoded(
            json!({"alg": alg, "kid": key_id(alg)})
                .to_string()
                .as_bytes(),
        );
        refused(
            &format!("{other_header}.{claims}.{signature}"),
            JwtFault::Signature,
        );

        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for index in [0, signature.len() / 2, signature.len() - 1] {
            let mut tampered = signature.clone();
            tampered[index] ^= 1;
            refused(
                &format!("{header}.{claims}.{}", encoded(&tampered)),
                JwtFault::Signature,
            );
        }
        for wrong_length in [
            &signature[1..],
            &signature[..signature.len() - 1],
            &[signature.as_slice(), &[0]].concat(),
            &[0],
        ] {
            refused(
                &format!("{header}.{claims}.{}", encoded(wrong_length)),
                JwtFault::Signature,
            );
        }
        // Two zeros once passed as a signature over anything in a well-known runtime.
        refused(
            &format!("{header}.{claims}.{}", encoded(&vec![0; signature.len()])),
            JwtFault::Signature,
        );
    }
}

#[test]
fn conformance_46_a_signature_keeps_its_leading_zeros() {
    // One in 256 signatures has such an `s`; without the zero it is the same number, in another form.
    let header = encoded(header("ES256").to_string().as_bytes());
    for attempt in 0..100_000 {
        let claims = claims_with("jti", Some(json!(attempt)));
        let message = format!("{header}.{}", encoded(claims.to_string().as_bytes()));
        let signature = AUTHORITY.sign("ES256", message.as_bytes());
        if signature[32] == 0 {
            let short = [&signature[..32], &signature[33..]].concat();
            assert!(verify(&format!("{message}.{}", encoded(&signature))).is_ok());
            refused(
                &format!("{message}.{}", encoded(&short)),
                JwtFault::Signature,
            );
            return;
        }
    }
    panic!("no signature with a leading zero");
}

#[test]
fn conformance_46_a_signature_in_asn1_is_none() {
    let message = format!(
        "{}.{}",
        encoded(header("ES256").to_string().as_bytes()),
        encoded(good_claims().to_string().as_bytes())
    );
    let fixed = AUTHORITY.sign("ES256", message.as_bytes());
    let mut sequence = SequenceOf::<UintRef<'_>, 2>::new();
    sequence.add(UintRef::new(&fixed[..32]).unwrap()).unwrap();
    sequence.add(UintRef::new(&fixed[32..]).unwrap()).unwrap();
    let asn1 = der::Encode::to_der(&sequence).unwrap();
    assert!(verify(&format!("{message}.{}", encoded(&fixed))).is_ok());
    refused(
        &format!("{message}.{}", encoded(&asn1)),
        JwtFault::Signature,
    );
}

#[test]
fn conformance_46_a_bundle_speaks_for_its_own_trust_domain() {
    let own = bundle(&AUTHORITY.jwks());
    let foreign_subject = signed(
        &header("ES256"),
        &claims_with("sub", Some(json!("spiffe://other.org/x"))),
    );

    // Our authority signed for an ID of other.org, whose own bundle has another key of that name.
    let other_key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let jwks = json!({"keys": [elliptic_jwk("p256", "P-256", &other_key)]});
    let other = JwtBundle::parse(domain("other.org"), jwks.to_string().as_bytes()).unwrap();
    let both = [&own, &other];
    let pick = |of: &TrustDomain| both.into_iter().find(|bundle| bundle.trust_domain() == of);
    assert!(verifier().verify(&good_token(), pick, at(NOW)).is_ok());
    let error = verifier()
        .verify(&foreign_subject, pick, at(NOW))
        .unwrap_err();
    assert_eq!(error.fault(), JwtFault::Signature);

    // No bundle of that domain, or the caller hands out the wrong one.
    let error = verifier()
        .verify(&foreign_subject, |_| None, at(NOW))
        .unwrap_err();
    assert_eq!(error.fault(), JwtFault::UnknownTrustDomain);
    assert!(error.to_string().contains("other.org"));
    let error = verifier()
        .verify(&foreign_subject, |_| Some(&own), at(NOW))
        .unwrap_err();
    assert_eq!(error.fault(), JwtFault::UnknownTrustDomain);

    // The same keys under another name are another authority.
    let renamed =
        JwtBundle::parse(domain("other.org"), AUTHORITY.jwks().to_string().as_bytes()).unwrap();
    assert!(
        verifier()
            .verify(&foreign_subject, |_| Some(&renamed), at(NOW))
            .is_ok()
    );
}

#[test]
fn a_key_with_an_alg_serves_that_algorithm_alone() {
    let mut jwks = AUTHORITY.jwks();
    jwks["keys"][3]["alg"] = json!("RS256");
    let bundle = bundle(&jwks);
    assert!(verify_with(&bundle, &signed(&header("RS256"), &good_claims())).is_ok());
    for alg in ["RS384", "PS256"] {
        let error = verify_with(&bundle, &signed(&header(alg), &good_claims())).unwrap_err();
        assert_eq!(error.fault(), JwtFault::KeyMismatch, "{alg}");
    }
}
