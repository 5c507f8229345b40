use super::*;

fn with(name: &str, value: Value) -> String {
    signed(&header("ES256"), &claims_with(name, Some(value)))
}

fn without(name: &str) -> String {
    signed(&header("ES256"), &claims_with(name, None))
}

#[test]
fn claims_are_one_object_whose_names_stand_once() {
    let text = |claims: &str| signed_text("ES256", &header("ES256").to_string(), claims);
    let good = good_claims().to_string();
    assert!(verify(&text(&good)).is_ok());
    let inner = good.trim_start_matches('{').trim_end_matches('}');
    for bad in [
        format!(r#"{{{inner},"sub":"spiffe://example.org/service/admin"}}"#),
        format!(r#"{{{inner},"exp":9999999999}}"#),
        format!(r#"{{{inner},"s\u0075b":"{SUBJECT}"}}"#),
        format!(r#"{{{inner},"x":{{"a":1,"a":2}}}}"#),
        format!("[{good}]"),
        format!("{good}{good}"),
        "1".to_owned(),
        "no json".to_owned(),
    ] {
        refused(&text(&bad), JwtFault::Claims);
    }
}

#[test]
fn conformance_42_sub_is_the_id_of_a_workload() {
    assert!(verify(&with("sub", json!("spiffe://example.org/x"))).is_ok());
    for bad in [
        json!("spiffe://example.org"),
        json!("spiffe://example.org/"),
        json!("spiffe://Example.org/x"),
        json!("SPIFFE://example.org/x"),
        json!("https://example.org/x"),
        json!("spiffe://example.org/../x"),
        json!("spiffe://example.org/%78"),
        json!("orders"),
        json!(""),
        json!(null),
        json!([SUBJECT]),
        json!({"id": SUBJECT}),
    ] {
        refused(&with("sub", bad), JwtFault::Subject);
    }
    refused(&without("sub"), JwtFault::Subject);
}

#[test]
fn conformance_43_aud_names_this_service() {
    assert!(verify(&with("aud", json!(AUDIENCE))).is_ok());
    assert!(verify(&with("aud", json!(["other", AUDIENCE]))).is_ok());
    let longer = format!("{AUDIENCE}/x");
    for other in [
        json!("other"),
        json!(["other"]),
        json!(longer),
        json!([AUDIENCE.to_uppercase()]),
        json!(""),
        json!([""]),
        json!("*"),
        json!(format!("other {AUDIENCE}")),
    ] {
        refused(&with("aud", other), JwtFault::NotForThisAudience);
    }
    for bad in [
        json!(null),
        json!(1),
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!({"0": AUDIENCE}),
    ] {
        refused(&with("aud", bad), JwtFault::Audience);
    }
    refused(&without("aud"), JwtFault::Audience);
}

/// A list of nothing that is held against a list of something has no entry that is missing.
#[test]
fn conformance_43_trap_an_empty_list_is_no_audience() {
    refused(&with("aud", json!([])), JwtFault::Audience);
    refused(&with("aud", json!({})), JwtFault::Audience);
    refused(&with("aud", json!("")), JwtFault::NotForThisAudience);
}

/// A verifier that expects nobody would be content with a token for anybody.
#[test]
fn conformance_43_trap_an_empty_expected_audience_makes_no_verifier() {
    let provider = || crate::default_provider().unwrap();
    assert!(JwtVerifier::new(provider(), Vec::<String>::new()).is_err());
    for blank in ["", " ", "\t\n"] {
        assert!(JwtVerifier::new(provider(), [blank]).is_err(), "{blank:?}");
        assert!(
            JwtVerifier::new(provider(), [AUDIENCE, blank]).is_err(),
            "{blank:?}"
        );
    }

    let both = JwtVerifier::new(provider(), ["first", AUDIENCE]).unwrap();
    let own = bundle(&AUTHORITY.jwks());
    for named in ["first", AUDIENCE] {
        assert!(
            both.verify(&with("aud", json!(named)), |_| Some(&own), at(NOW))
                .is_ok(),
            "{named}"
        );
    }
}

#[test]
fn conformance_44_exp_is_a_point_in_the_future() {
    for good in [
        json!(NOW + 1),
        json!(4_000_000_000_u64),
        json!(1_800_000_000.5),
        json!(2e9),
    ] {
        assert!(verify(&with("exp", good.clone())).is_ok(), "{good}");
    }
    for past in [
        json!(NOW),
        json!(NOW - 1),
        json!(0),
        json!(1_799_999_999.999),
        json!(-0.0),
    ] {
        refused(&with("exp", past), JwtFault::Expired);
    }
    for bad in [
        json!((NOW + 60).to_string()),
        json!(-1),
        json!(-1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(null),
        json!(true),
        json!([NOW + 60]),
    ] {
        refused(&with("exp", bad), JwtFault::Time);
    }
    refused(&without("exp"), JwtFault::Time);
}

#[test]
fn conformance_44_the_end_comes_without_leeway() {
    let own = bundle(&AUTHORITY.jwks());
    let token = good_token();
    let end = at(NOW + 60);
    assert!(
        verifier()
            .verify(&token, |_| Some(&own), end - Duration::from_nanos(1))
            .is_ok()
    );
    for late in [
        end,
        end + Duration::from_nanos(1),
        end + Duration::from_secs(3600),
    ] {
        let error = verifier().verify(&token, |_| Some(&own), late).unwrap_err();
        assert_eq!(error.fault(), JwtFault::Expired);
    }
}

#[test]
fn conformance_45_nbf_decides_and_iat_does_not() {
    for begun in [json!(NOW), json!(NOW - 1), json!(0)] {
        assert!(verify(&with("nbf", begun.clone())).is_ok(), "{begun}");
    }
    for future in [json!(NOW + 1), json!(1_800_000_000.5)] {
        refused(&with("nbf", future), JwtFault::NotYetValid);
    }
    for bad in [json!("0"), json!(-1), json!(null), json!(u64::MAX)] {
        refused(&with("nbf", bad), JwtFault::Time);
    }
    for iat in [json!(NOW + 3600), json!(0), json!("yesterday"), json!(null)] {
        assert!(verify(&with("iat", iat.clone())).is_ok(), "{iat}");
    }
    assert!(verify(&without("iat")).is_ok());
}

#[test]
fn conformance_47_further_claims_are_carried_along() {
    let svid = verify(&with("https://example.org/tenant", json!({"name": "blue"}))).unwrap();
    assert_eq!(svid.claims()["https://example.org/tenant"]["name"], "blue");
}

#[test]
fn conformance_51_neither_token_nor_claims_are_written_anywhere() {
    let token = with("secret", json!("do-not-print"));
    let svid = verify(&token).unwrap();
    assert!(!format!("{svid:?}").contains("do-not-print"));

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", encoded(&[1; 64]));
    let long_subject = with("sub", json!("x".repeat(8000)));
    for bad in [
        forged,
        long_subject,
        format!("{token}="),
        with("exp", json!(0)),
    ] {
        let error = verify(&bad).unwrap_err();
        let source = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        let said = format!("{error} {error:?} {source}");
        assert!(said.len() < 2000, "{said}");
        assert!(!said.contains("do-not-print") && !said.contains(signature));
        assert!(bad.split('.').all(|part| !said.contains(part)), "{said}");
    }
}
