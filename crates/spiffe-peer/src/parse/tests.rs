#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use super::*;

#[track_caller]
fn refused(texts: &[&str]) {
    for text in texts {
        assert!(spiffe_id(text).is_err(), "{text:?} was accepted");
        assert!(workload_id(text).is_err(), "{text:?} was accepted");
    }
}

#[track_caller]
fn accepted(texts: &[&str]) {
    for text in texts {
        let id = workload_id(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(id.to_string(), *text, "and it stays as it was written");
    }
}

#[test]
fn conformance_01_the_scheme_is_spiffe_and_there_is_a_trust_domain_and_nothing_after_the_path() {
    accepted(&["spiffe://td/x"]);
    refused(&[
        "",
        "td/x",
        "//td/x",
        "http://td/x",
        "spiffes://td/x",
        "xspiffe://td/x",
        " spiffe://td/x",
        "spiffe:/td",
        "spiffe:td/x",
        "spiffe://",
        "spiffe:///x",
        "spiffe://td/x?y",
        "spiffe://td/x?",
        "spiffe://td?y",
        "spiffe://td/x#y",
        "spiffe://td/x#",
        "spiffe://td#y",
    ]);
}

#[test]
fn conformance_02_a_trust_domain_has_neither_user_nor_port() {
    refused(&[
        "spiffe://u@td/x",
        "spiffe://u:p@td/x",
        "spiffe://@td/x",
        "spiffe://td:80/x",
        "spiffe://td:/x",
        "spiffe://:80/x",
        "spiffe://:/x",
    ]);
    for bad in ["", "u@td", "td:80", "td:", "td/", "td/x"] {
        assert!(trust_domain(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn conformance_03_each_byte_of_a_trust_domain() {
    // 0x80 and above stand as the characters of these numbers, which UTF-8 writes in two bytes.
    for byte in 0..=u8::MAX {
        let character = char::from(byte);
        let may = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let name = format!("t{character}d");
        assert_eq!(trust_domain(&name).is_ok(), may, "byte {byte}");
        if character != '/' {
            let id = format!("spiffe://{name}/x");
            assert_eq!(spiffe_id(&id).is_ok(), may, "byte {byte}");
        }
    }
}

#[test]
fn conformance_04_nothing_is_percent_encoded_in_a_trust_domain() {
    refused(&[
        "spiffe://%62%61%64/x",
        "spiffe://t%64/x",
        "spiffe://td%2Fx",
        "spiffe://td%2fx/y",
        "spiffe://t%/x",
        "spiffe://%00/x",
    ]);
}

#[test]
fn conformance_05_no_trust_domain_is_special_because_of_what_it_looks_like() {
    accepted(&[
        "spiffe://1.2.3.4/x",
        "spiffe://127.0.0.1/x",
        "spiffe://999.999.999.999/x",
        "spiffe://localhost/x",
        "spiffe://0/x",
        "spiffe://a..b/x",
        "spiffe://./x",
        "spiffe://example.org./x",
        "spiffe://-a/x",
        "spiffe://_a/x",
        "spiffe://xn--ls8h/x",
    ]);
    assert_ne!(
        workload_id("spiffe://example.org./x").unwrap(),
        workload_id("spiffe://example.org/x").unwrap(),
        "a dot at the end is no mark of a DNS root"
    );
    refused(&["spiffe://[::1]/x", "spiffe://::1/x"]);
}

#[test]
fn conformance_06_nothing_is_percent_encoded_in_a_path() {
    refused(&[
        "spiffe://td/%41",
        "spiffe://td/%2e%2e/x",
        "spiffe://td/a%2Fb",
        "spiffe://td/%00",
        "spiffe://td/x%",
    ]);
}

#[test]
fn conformance_07_no_segment_is_empty_or_a_dot_or_two() {
    refused(&[
        "spiffe://td//x",
        "spiffe://td//",
        "spiffe://td/x//y",
        "spiffe://td/.",
        "spiffe://td/./x",
        "spiffe://td/x/.",
        "spiffe://td/..",
        "spiffe://td/../x",
        "spiffe://td/x/../y",
        "spiffe://td/x/..",
    ]);
    accepted(&[
        "spiffe://td/...",
        "spiffe://td/.a",
        "spiffe://td/..a",
        "spiffe://td/a..",
        "spiffe://td/.a/..a/a./a.b",
    ]);
}

#[test]
fn conformance_08_no_slash_stands_at_the_end() {
    refused(&["spiffe://td/", "spiffe://td/x/", "spiffe://td/x/y/"]);
    assert!(spiffe_id("spiffe://td").is_ok());
}

#[test]
fn conformance_09_each_byte_of_a_path() {
    for byte in 0..=u8::MAX {
        let character = char::from(byte);
        if character != '/' {
            let may = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-');
            let id = format!("spiffe://td/x{character}y");
            assert_eq!(spiffe_id(&id).is_ok(), may, "byte {byte}");
        }
    }
    refused(&[
        "spiffe://td/ü",
        "spiffe://td/u\u{308}",
        "spiffe://td/\u{ff0f}x",
        "spiffe://td/x\0",
        "spiffe://td/x\n",
    ]);
}

#[test]
fn conformance_10_2048_bytes_are_an_id_and_2049_are_none() {
    let path = "a".repeat(MAX_ID_BYTES - "spiffe://td/".len());
    assert_eq!(MAX_ID_BYTES, 2048);
    assert!(spiffe_id(&format!("spiffe://td/{path}")).is_ok());
    refused(&[&format!("spiffe://td/{path}a")]);

    let name = "a".repeat(255);
    assert!(trust_domain(&name).is_ok());
    assert!(spiffe_id(&format!("spiffe://{name}/x")).is_ok());
    assert!(trust_domain(&format!("{name}a")).is_err());
    refused(&[&format!("spiffe://{name}a/x")]);
}

/// Some implementations lower-case these, others refuse them. Who refuses never takes for one ID
/// what another takes for two.
#[test]
fn conformance_11_trap_upper_case_is_refused_and_never_lower_cased() {
    for (bad, meant) in [
        ("SPIFFE://example.org/x", "spiffe://example.org/x"),
        ("Spiffe://example.org/x", "spiffe://example.org/x"),
        ("spiffe://Example.org/x", "spiffe://example.org/x"),
        ("spiffe://EXAMPLE.ORG/x", "spiffe://example.org/x"),
        (
            "spiffe://example.orG/Case/Stays",
            "spiffe://example.org/Case/Stays",
        ),
    ] {
        refused(&[bad]);
        assert_eq!(workload_id(bad).unwrap_err().suggestion(), Some(meant));
        accepted(&[meant]);
    }
    assert_eq!(
        trust_domain("Example.ORG").unwrap_err().suggestion(),
        Some("example.org")
    );
    assert_eq!(
        trust_domain_id("spiffe://Example.ORG")
            .unwrap_err()
            .suggestion(),
        Some("spiffe://example.org")
    );
}

#[test]
fn conformance_12_ids_are_compared_as_what_they_are() {
    let id = |text| workload_id(text).unwrap();
    assert_eq!(id("spiffe://td/a"), id("spiffe://td/a"));
    for other in [
        "spiffe://td/A",
        "spiffe://td/a/a",
        "spiffe://t/d/a",
        "spiffe://td.a/a",
    ] {
        assert_ne!(id("spiffe://td/a"), id(other), "{other}");
    }
    assert_eq!(
        id("spiffe://td/a").trust_domain(),
        id("spiffe://td/A").trust_domain()
    );
    assert_ne!(
        spiffe_id("spiffe://td").unwrap(),
        spiffe_id("spiffe://td/td").unwrap()
    );
}

#[test]
fn conformance_78_a_map_key_is_the_id_of_a_trust_domain() {
    assert!(trust_domain_id("spiffe://td").is_ok());
    assert_eq!(
        trust_domain_id("spiffe://td/x").unwrap_err().suggestion(),
        Some("spiffe://td")
    );
    for bad in [
        "td",
        "",
        "spiffe://",
        "spiffe://td/",
        "spiffe://TD",
        "https://td",
        "spiffe://td ",
    ] {
        assert!(trust_domain_id(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn a_suggestion_is_never_refused() {
    for bad in [
        "I",
        "/I",
        "Spiffe://I",
        "spiffe://I/x//",
        "SPIFFE://",
        "td/x/",
        "spiffe://TD/%",
    ] {
        let suggestion = spiffe_id(bad).unwrap_err().suggestion().map(str::to_owned);
        assert!(
            suggestion
                .as_deref()
                .is_none_or(|text| spiffe_id(text).is_ok()),
            "{bad}: {suggestion:?}"
        );
    }
}

#[test]
fn an_error_stays_short_and_printable() {
    let error = spiffe_id(&"\u{1b}[2J".repeat(10_000))
        .unwrap_err()
        .to_string();
    assert!(error.len() < 3000 && !error.contains('\u{1b}'), "{error}");
}
