use super::*;

/// The IDs of the keys that are usable in a JWK Set.
fn usable(jwks: &Value) -> Vec<String> {
    bundle(jwks).key_ids().map(str::to_owned).collect()
}

fn jwk() -> Value {
    elliptic_jwk("p256", "P-256", &AUTHORITY.p256)
}

fn jwk_with(name: &str, value: Value) -> Value {
    let mut jwk = jwk();
    jwk[name] = value;
    jwk
}

fn jwk_without(name: &str) -> Value {
    let mut jwk = jwk();
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

/// A good key beside the one in question.
fn beside_a_good_one(jwk: Value) -> Value {
    json!({"keys": [jwk, elliptic_jwk("good", "P-384", &AUTHORITY.p384)]})
}

#[test]
fn conformance_48_a_key_has_a_kid() {
    assert_eq!(usable(&beside_a_good_one(jwk())), ["good", "p256"]);
    for jwk in [
        jwk_without("kid"),
        jwk_with("kid", json!("")),
        jwk_with("kid", json!(null)),
        jwk_with("kid", json!(7)),
    ] {
        assert_eq!(usable(&beside_a_good_one(jwk)), ["good"]);
    }
}

#[test]
fn conformance_49_and_73_a_key_for_certificates_never_verifies_a_token() {
    for usage in ["x509-svid", "wit-svid", "sig", "JWT-SVID", "jwt-svid ", ""] {
        let bundle = bundle(&beside_a_good_one(jwk_with("use", json!(usage))));
        assert_eq!(bundle.key_ids().collect::<Vec<_>>(), ["good"], "{usage:?}");
        let error = verify_with(&bundle, &good_token()).unwrap_err();
        assert_eq!(error.fault(), JwtFault::UnknownKey, "{usage:?}");
    }
}

#[test]
fn conformance_49_use_is_absent_in_a_plain_set_alone() {
    let plain = json!({"keys": [jwk_without("use")]});
    assert!(verify_with(&bundle(&plain), &good_token()).is_ok());

    // A key that cannot be used still says that this is no plain set.
    let mut broken = jwk_with("kid", json!(null));
    broken["use"] = json!("jwt-svid");
    assert!(usable(&json!({"keys": [broken, jwk_without("use")]})).is_empty());

    // A bundle document of SPIFFE says the use of every key.
    assert_eq!(usable(&beside_a_good_one(jwk_without("use"))), ["good"]);
    for member in ["spiffe_sequence", "spiffe_refresh_hint"] {
        let mut document = plain.clone();
        document[member] = json!(1);
        assert!(bundle(&document).is_empty(), "{member}");
    }
    // A certificate marks an authority for X.509-SVIDs; null is no use.
    let mut with_certificate = jwk_without("use");
    with_certificate["x5c"] = json!(["MIIB"]);
    assert!(bundle(&json!({"keys": [with_certificate]})).is_empty());
    assert!(bundle(&json!({"keys": [jwk_with("use", json!(null))]})).is_empty());
}

#[test]
fn conformance_86_unknown_parameters_are_tolerated() {
    let mut document = json!({"keys": [jwk_with("key_hint", json!({"a": [1]}))], "spiffe_sequence": 12, "more": {"x": null}});
    assert_eq!(usable(&document), ["p256"]);
    document["spiffe_sequence"] = json!("not a number, and not ours to read");
    assert_eq!(usable(&document), ["p256"]);
}

#[test]
fn conformance_89_keys_is_there_and_may_be_empty() {
    assert!(bundle(&json!({"keys": []})).is_empty());
    for bad in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys": null}"#,
        r#"{"keys": {}}"#,
        r#"{"keys": "x"}"#,
        r#"{"Keys": []}"#,
        r#"{"keys": []"#,
        r#"{"keys": [], "keys": []}"#,
        r#"{"keys": []} x"#,
    ] {
        let error = JwtBundle::parse(domain("example.org"), bad.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.len() < 200, "{error}");
    }
}

#[test]
fn conformance_90_a_key_that_cannot_be_used_costs_only_itself() {
    let short = encoded(&[1; 31]);
    let long = encoded(&[1; 33]);
    let padded = format!("{}=", jwk()["x"].as_str().unwrap());
    for bad in [
        jwk_with("kty", json!("OKP")),
        jwk_with("kty", json!("oct")),
        jwk_with("kty", json!("ec")),
        jwk_with("kty", json!("RSA")),
        jwk_with("kty", json!(1)),
        jwk_without("kty"),
        jwk_with("crv", json!("secp256k1")),
        jwk_with("crv", json!("P-384")),
        jwk_without("crv"),
        jwk_with("x", json!(short)),
        jwk_with("x", json!(long)),
        jwk_with("y", json!("")),
        jwk_with("y", json!("!!")),
        jwk_with("x", json!(padded)),
        jwk_without("y"),
        jwk_with("alg", json!("HS256")),
        jwk_with("alg", json!(null)),
        json!(null),
        json!(1),
        json!("key"),
        json!([]),
        json!({}),
    ] {
        let said = bad.to_string();
        let bundle = bundle(&beside_a_good_one(bad));
        assert_eq!(bundle.key_ids().collect::<Vec<_>>(), ["good"], "{said}");
        assert!(
            verify_with(
                &bundle,
                &signed(&json!({"alg": "ES384", "kid": "good"}), &good_claims())
            )
            .is_ok()
        );
    }

    let twice = jwk().to_string().replacen('{', r#"{"kid":"other","#, 1);
    let document = format!(r#"{{"keys": [{twice}]}}"#);
    assert!(
        JwtBundle::parse(domain("example.org"), document.as_bytes())
            .unwrap()
            .is_empty(),
        "a name stands twice"
    );
}

#[test]
fn conformance_90_an_unknown_or_missing_use_costs_only_its_key() {
    let document = |jwk: Value| json!({"keys": [jwk, elliptic_jwk("good", "P-384", &AUTHORITY.p384)], "spiffe_sequence": 1});
    assert_eq!(usable(&document(jwk())), ["good", "p256"], "control");
    assert_eq!(usable(&document(jwk_without("use"))), ["good"]);
    for usage in [
        json!("spiffe"),
        json!("sig"),
        json!("enc"),
        json!("jwt"),
        json!("jwt_svid"),
        json!("jwt-svid,x509-svid"),
        json!(""),
        json!(null),
        json!(7),
        json!(["jwt-svid"]),
    ] {
        assert_eq!(
            usable(&document(jwk_with("use", usage.clone()))),
            ["good"],
            "{usage}"
        );
    }
}

#[test]
fn conformance_90_use_and_kty_are_case_sensitive() {
    for usage in ["JWT-SVID", "Jwt-Svid", "jwt-SVID"] {
        let bundle = bundle(&beside_a_good_one(jwk_with("use", json!(usage))));
        assert_eq!(bundle.key_ids().collect::<Vec<_>>(), ["good"], "{usage}");
        let error = verify_with(&bundle, &good_token()).unwrap_err();
        assert_eq!(error.fault(), JwtFault::UnknownKey, "{usage}");
    }
    let mut rsa = rsa_jwk("rsa", AUTHORITY.rsa.public_key().as_ref());
    rsa["kty"] = json!("rsa");
    for jwk in [jwk_with("kty", json!("Ec")), rsa] {
        assert_eq!(usable(&beside_a_good_one(jwk)), ["good"]);
    }
    let mut named = jwk();
    let members = named.as_object_mut().unwrap();
    let usage = members.remove("use").unwrap();
    members.insert("Use".to_owned(), usage);
    assert_eq!(
        usable(&beside_a_good_one(named)),
        ["good"],
        "`Use` is not `use`"
    );
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let off = json!({"keys": [jwk_with("y", json!(encoded(&[1; 32])))]});
    let error = verify_with(&bundle(&off), &good_token()).unwrap_err();
    assert_eq!(error.fault(), JwtFault::Signature);
}

#[test]
fn an_rsa_key_has_a_sound_size_and_exponent() {
    let rsa = rsa_jwk("rsa", AUTHORITY.rsa.public_key().as_ref());
    let with = |name: &str, bytes: &[u8]| {
        let mut jwk = rsa.clone();
        jwk[name] = json!(encoded(bytes));
        usable(&json!({"keys": [jwk]}))
    };
    assert_eq!(with("n", &[0xff; 256]), ["rsa"]);
    assert_eq!(with("n", &[0xff; 1024]), ["rsa"]);
    assert_eq!(
        with("n", &[[0].as_slice(), &[0xff; 256]].concat()),
        ["rsa"],
        "a leading zero counts for nothing"
    );
    assert!(with("n", &[0xff; 128]).is_empty(), "1024 bits");
    assert!(
        with("n", &[[0x7f].as_slice(), &[0xff; 255]].concat()).is_empty(),
        "2047 bits"
    );
    assert!(
        with("n", &[[0].as_slice(), &[0xff; 255]].concat()).is_empty(),
        "a leading zero counts for nothing"
    );
    assert!(with("n", &[0xff; 1025]).is_empty(), "more than 8192 bits");
    assert!(with("n", &[]).is_empty());
    assert!(with("n", &[0; 256]).is_empty());

    assert_eq!(with("e", &[3]), ["rsa"]);
    for exponent in [
        [].as_slice(),
        &[0],
        &[1],
        &[0, 1],
        &[2],
        &[1, 0, 0],
        &[0xff; 9],
    ] {
        assert!(with("e", exponent).is_empty(), "{exponent:?}");
    }
}

#[test]
fn of_two_keys_with_one_kid_neither_is_used() {
    let other = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let twin = elliptic_jwk("p256", "P-256", &other);
    for keys in [
        json!([jwk(), twin]),
        json!([twin, jwk()]),
        json!([jwk(), jwk()]),
        json!([jwk(), twin, jwk()]),
    ] {
        let error = verify_with(&bundle(&json!({"keys": keys})), &good_token()).unwrap_err();
        assert_eq!(error.fault(), JwtFault::UnknownKey);
    }
}

#[test]
fn conformance_91_in_a_bundle_without_usable_keys_no_token_is_valid() {
    assert!(verify_with(&bundle(&json!({"keys": [jwk()]})), &good_token()).is_ok());
    for (effectively, jwks) in [
        ("empty", json!({"keys": []})),
        (
            "empty, as a SPIFFE document",
            json!({"keys": [], "spiffe_sequence": 7}),
        ),
        (
            "for certificates alone",
            json!({"keys": [jwk_with("use", json!("x509-svid"))]}),
        ),
        (
            "of an unknown use",
            json!({"keys": [jwk_with("use", json!("other"))]}),
        ),
        (
            "of an unknown type",
            json!({"keys": [jwk_with("kty", json!("AKP"))]}),
        ),
        ("without names", json!({"keys": [jwk_without("kid")]})),
    ] {
        let bundle = bundle(&jwks);
        assert!(bundle.is_empty(), "{effectively}");
        for alg in ["ES256", "ES384", "RS256"] {
            let token = signed(&header(alg), &good_claims());
            assert_eq!(
                verify_with(&bundle, &token).unwrap_err().fault(),
                JwtFault::UnknownKey,
                "{effectively}"
            );
        }
    }
}

#[test]
fn conformance_95_a_bundle_keeps_the_trust_domain_that_it_was_read_for() {
    // Nothing in the document says whose it is.
    let jwks = AUTHORITY.jwks().to_string();
    let read_for = |name: &str| JwtBundle::parse(domain(name), jwks.as_bytes()).unwrap();
    let (own, other) = (read_for("example.org"), read_for("other.org"));
    assert_eq!(other.trust_domain(), &domain("other.org"));
    assert_ne!(own, other);

    let token = good_token();
    assert!(verifier().verify(&token, |_| Some(&own), at(NOW)).is_ok());
    let error = verifier()
        .verify(&token, |_| Some(&other), at(NOW))
        .unwrap_err();
    assert_eq!(error.fault(), JwtFault::UnknownTrustDomain);
}

#[test]
fn a_bundle_has_a_bounded_size() {
    let many = |count: usize| {
        json!({"keys": (0..count).map(|_| json!({"kty": "?"})).collect::<Vec<_>>()}).to_string()
    };
    assert!(JwtBundle::parse(domain("example.org"), many(512).as_bytes()).is_ok());
    assert!(JwtBundle::parse(domain("example.org"), many(513).as_bytes()).is_err());
    let long = format!(r#"{{"keys": [], "x": "{}"}}"#, "a".repeat(1 << 20));
    assert!(JwtBundle::parse(domain("example.org"), long.as_bytes()).is_err());
}

#[test]
fn a_bundle_is_printed_without_its_keys() {
    let printed = format!("{:?}", bundle(&AUTHORITY.jwks()));
    assert!(
        printed.contains("example.org") && printed.contains("p384"),
        "{printed}"
    );
    assert!(!printed.contains(jwk()["x"].as_str().unwrap()), "{printed}");
}
