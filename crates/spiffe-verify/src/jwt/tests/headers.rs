use super::*;

#[test]
fn the_baseline_is_accepted_and_says_what_the_token_says() {
    let svid = verify(&good_token()).unwrap();
    assert_eq!(svid.spiffe_id().to_string(), SUBJECT);
    assert_eq!(svid.audience(), [AUDIENCE]);
    assert_eq!(svid.expires_at(), at(NOW + 60));
    assert_eq!(svid.claims()["iat"], NOW - 60);
}

#[test]
fn conformance_15_what_no_specification_makes_an_svid_is_no_token() {
    for (document, bytes) in [
        (
            "PEM",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
        ("DER in base64", "MIIBkTCB+6ADAgECAgEBMA0GCSqGSIb3DQEBCwUA"),
        (
            "SAML",
            "<saml:Assertion><saml:Subject>x</saml:Subject></saml:Assertion>",
        ),
        ("PASETO", "v4.public.eyJzdWIiOiJ4In0"),
        ("a SPIFFE ID", SUBJECT),
        ("SSH", "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVj"),
    ] {
        let fault = verify(bytes).unwrap_err().fault();
        assert!(
            matches!(fault, JwtFault::NotCompact | JwtFault::Header),
            "{document}: {fault:?}"
        );
    }
    for typ in ["wit+jwt", "at+jwt", "dpop+jwt", "secevent+jwt", "x509-svid"] {
        let header = json!({"alg": "ES256", "kid": "p256", "typ": typ});
        refused(&signed(&header, &good_claims()), JwtFault::Type);
    }
}

#[test]
fn conformance_37_compact_serialization_alone() {
    let token = good_token();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("a token has three parts")
    };
    let json = json!({"protected": header, "payload": claims, "signature": signature});
    let general =
        json!({"payload": claims, "signatures": [{"protected": header, "signature": signature}]});
    for bad in [
        json.to_string(),
        general.to_string(),
        String::new(),
        "..".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        // Five parts: an encrypted token.
        format!("{header}.{claims}.{claims}.{claims}.{signature}"),
    ] {
        refused(&bad, JwtFault::NotCompact);
    }
}

#[test]
fn conformance_37_base64url_without_padding_and_in_one_form() {
    let token = good_token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let standard = base64::engine::general_purpose::STANDARD_NO_PAD;
    let other_alphabet = standard.encode(br#"{"alg":"ES256","kid":"???>>>"}"#);
    assert!(other_alphabet.contains(['+', '/']));
    let claims = signed.split_once('.').unwrap().1;
    for bad in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{signed}.{} {}", &signature[..10], &signature[10..]),
        format!("{other_alphabet}.{claims}.{signature}"),
    ] {
        refused(&bad, JwtFault::NotCompact);
    }

    // 64 bytes leave four spare bits in the last letter, which must be zero.
    let last = signature.chars().next_back().unwrap();
    let sloppy = char::from(u8::try_from(last).unwrap() + 1);
    refused(
        &format!("{signed}.{}{sloppy}", &signature[..signature.len() - 1]),
        JwtFault::NotCompact,
    );
}

#[test]
fn conformance_37_a_token_has_a_bounded_size() {
    let padded = |extra: usize| {
        signed(
            &header("ES256"),
            &claims_with("pad", Some(json!("a".repeat(extra)))),
        )
    };
    let room = (16 << 10) - padded(0).len();
    let fits = padded(room / 4 * 3 - 3);
    assert!(fits.len() > (16 << 10) - 16);
    assert!(verify(&fits).is_ok());
    refused(&padded(room), JwtFault::TooLong);
    refused(&"a".repeat((16 << 10) + 1), JwtFault::TooLong);
}

#[test]
fn conformance_38_no_further_header_parameter() {
    let certificate = json!(["MIIB"]);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("jwk", elliptic_jwk("p256", "P-256", &AUTHORITY.p256)),
        ("x5c", certificate),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("b64", json!(false)),
        ("enc", json!("A128GCM")),
        ("ALG", json!("ES256")),
        ("", json!(null)),
    ] {
        let mut header = header("ES256");
        header[name] = value;
        refused(&signed(&header, &good_claims()), JwtFault::HeaderParameter);
    }
}

#[test]
fn a_header_is_one_object_whose_names_stand_once() {
    let claims = good_claims().to_string();
    assert!(
        verify(&signed_text(
            "ES256",
            r#" {"kid":"p256" , "alg":"ES256"} "#,
            &claims
        ))
        .is_ok()
    );
    for bad in [
        r#"{"alg":"ES256","kid":"p256","alg":"ES256"}"#,
        r#"{"alg":"none","kid":"p256","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"other","kid":"p256"}"#,
        r#"{"alg":"ES256","kid":"other","k\u0069d":"p256"}"#,
        r#"["ES256","p256"]"#,
        r#""ES256""#,
        "{",
        r#"{"alg":"ES256","kid":"p256"}{}"#,
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"p256\"}",
    ] {
        refused(&signed_text("ES256", bad, &claims), JwtFault::Header);
    }
}

#[test]
fn conformance_39_alg_is_looked_at_before_anything_else() {
    let claims = good_claims().to_string();
    for alg in [
        "none", "None", "HS256", "HS384", "HS512", "EdDSA", "Ed25519", "ES256K", "es256", "RS1",
        "RSA-OAEP", "",
    ] {
        // Other faults of the same token are not what it is refused for.
        let header =
            json!({"alg": alg, "jku": "https://evil.example", "typ": "wit+jwt"}).to_string();
        refused(
            &signed_text("ES256", &header, "no claims"),
            JwtFault::Algorithm,
        );
        let header = json!({"alg": alg, "kid": "p256"}).to_string();
        refused(&signed_text("ES256", &header, &claims), JwtFault::Algorithm);
    }
    for header in [
        json!({"kid": "p256"}),
        json!({"alg": null, "kid": "p256"}),
        json!({"alg": 256, "kid": "p256"}),
        json!({"alg": ["ES256"], "kid": "p256"}),
    ] {
        refused(
            &signed_text("ES256", &header.to_string(), &claims),
            JwtFault::Algorithm,
        );
    }
}

#[test]
fn conformance_40_kid_is_required() {
    for kid in [
        None,
        Some(json!("")),
        Some(json!(null)),
        Some(json!(1)),
        Some(json!(["p256"])),
    ] {
        let mut header = json!({"alg": "ES256"});
        if let Some(kid) = kid {
            header["kid"] = kid;
        }
        refused(&signed(&header, &good_claims()), JwtFault::KeyId);
    }
    for other in ["p257", "P256", "p256 ", "../p256"] {
        refused(
            &signed(&json!({"alg": "ES256", "kid": other}), &good_claims()),
            JwtFault::UnknownKey,
        );
    }
}

#[test]
fn conformance_41_typ_is_absent_or_jwt_or_jose() {
    let with = |typ: Value| {
        signed(
            &json!({"alg": "ES256", "kid": "p256", "typ": typ}),
            &good_claims(),
        )
    };
    assert!(
        verify(&signed(
            &json!({"alg": "ES256", "kid": "p256"}),
            &good_claims()
        ))
        .is_ok()
    );
    assert!(verify(&with(json!("JWT"))).is_ok());
    assert!(verify(&with(json!("JOSE"))).is_ok());
    for typ in [
        json!("at+jwt"),
        json!("jwt"),
        json!("application/jwt"),
        json!(""),
        json!(null),
        json!(["JWT"]),
    ] {
        refused(&with(typ), JwtFault::Type);
    }
}

#[test]
fn conformance_113_a_wit_is_no_jwt_svid() {
    let header = json!({"alg": "ES256", "kid": "p256", "typ": "wit+jwt"});
    let confirmation = json!({"jwk": elliptic_jwk("k", "P-256", &AUTHORITY.p256)});
    refused(
        &signed(&header, &claims_with("cnf", Some(confirmation))),
        JwtFault::Type,
    );
}
