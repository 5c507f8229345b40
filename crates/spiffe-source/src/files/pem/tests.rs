use super::*;
use crate::SvidMaterial;

/// A block of a DER value that holds `byte`, in lines of `width`.
fn block(label: &str, byte: u8, width: usize) -> String {
    let text = Base64::encode_string(&der(byte));
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(width)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn der(byte: u8) -> Vec<u8> {
    let mut value = vec![0x04, 0x81, 200];
    value.resize(203, byte);
    value
}

fn two() -> String {
    block(CERTIFICATE, 1, 64) + &block(CERTIFICATE, 2, 64)
}

#[test]
fn whole_certificates_are_read_however_they_are_set() {
    let both = [der(1), der(2)].concat();
    let words = format!(
        "subject=orders\n{}\n# the intermediate\n{}the end",
        block(CERTIFICATE, 1, 64),
        block(CERTIFICATE, 2, 76)
    );
    let indented: String = two().lines().map(|line| format!("  {line} \n")).collect();
    for text in [
        two(),
        two().replace('\n', "\r\n"),
        words,
        indented,
        block(CERTIFICATE, 1, 1000) + block(CERTIFICATE, 2, 4).trim_end(),
    ] {
        assert_eq!(
            certificates(text.as_bytes()).as_deref(),
            Ok(&both),
            "{text}"
        );
    }
}

#[test]
fn a_part_of_a_text_is_an_error_or_ends_with_a_whole_certificate() {
    let text = two();
    let first = block(CERTIFICATE, 1, 64).len();
    for cut in 0..text.len() {
        match certificates(&text.as_bytes()[..cut]) {
            Err(_) => {}
            Ok(all) if *all == der(1) => assert!((first - 1..=first).contains(&cut), "{cut}"),
            Ok(_) => assert_eq!(cut, text.len() - 1, "all but the last line end"),
        }
    }
    let text = block(PKCS8_KEY, 1, 64);
    for cut in 0..text.len() {
        assert_eq!(
            key(&text.as_bytes()[..cut]).is_ok(),
            cut == text.len() - 1,
            "{cut}"
        );
    }
}

#[test]
fn a_text_that_was_written_over_or_torn_is_an_error() {
    let good = block(CERTIFICATE, 1, 64);
    let body = good.lines().nth(1).unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    for (text, fault) in [
        (String::new(), Fault::NoCertificate),
        ("no block at all".to_owned(), Fault::NoCertificate),
        (format!("{begin}{body}\n{good}"), Fault::NoEnd(1)),
        (format!("{good}{body}\n{end}"), Fault::Boundary(9)),
        (format!("{good}-----BEG"), Fault::Boundary(8)),
        (format!("{good}-"), Fault::Boundary(8)),
        (format!("{good}\0\0\0"), Fault::NotText(8)),
        (good.replace("BEGIN", "BEGIN  "), Fault::Boundary(7)),
        (good.replace("END C", "END D"), Fault::Boundary(7)),
        (good.replace("AQEB", "A*EB"), Fault::Base64(1)),
        (format!("{begin}{body}\n{end}"), Fault::NotDer(1)),
        (format!("{begin}{end}"), Fault::NotDer(1)),
        (
            good.replace("CERTIFICATE", "certificate"),
            Fault::Boundary(1),
        ),
    ] {
        let said = certificates(text.as_bytes()).unwrap_err();
        assert_eq!(said, fault, "{text}");
    }
}

#[test]
fn only_certificates_are_certificates_and_only_one_pkcs_8_key_is_a_key() {
    let good = two();
    for other in [
        "PRIVATE KEY",
        "TRUSTED CERTIFICATE",
        "X509 CRL",
        "CERTIFICATE REQUEST",
    ] {
        let mixed = format!("{good}{}", block(other, 3, 64));
        let said = certificates(mixed.as_bytes()).unwrap_err();
        assert_eq!(said, Fault::NotACertificate(other.to_owned(), 15));
    }
    let good = block(PKCS8_KEY, 1, 64);
    assert_eq!(key(good.as_bytes()).as_deref(), Ok(&der(1)));
    assert_eq!(key(b"").unwrap_err(), Fault::NoKey);
    for beside in [&good, &block(CERTIFICATE, 1, 64)] {
        let said = key(format!("{good}{beside}").as_bytes()).unwrap_err();
        assert_eq!(said, Fault::NotOneKey);
    }
    assert_eq!(
        key(block(CERTIFICATE, 1, 64).as_bytes()).unwrap_err(),
        Fault::NotOneKey
    );
}

#[test]
fn a_key_of_another_format_is_told_how_to_become_one_and_stays_secret() {
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
    let ec = block("EC PARAMETERS", 1, 64) + &block("EC PRIVATE KEY", 2, 64);
    for text in [
        block("EC PRIVATE KEY", 1, 64),
        block("RSA PRIVATE KEY", 1, 64),
        block("ENCRYPTED PRIVATE KEY", 1, 64),
        encrypted.to_owned(),
        ec,
    ] {
        let error = SvidMaterial::from_pem(two(), &text, two()).unwrap_err();
        assert!(error.is_key_format(), "{error}");
        let said = error.to_string();
        assert!(said.contains("openssl pkcs8 -topk8 -nocrypt"), "{said}");
        assert!(said.contains("`privateKey.encoding: PKCS8`"), "{said}");
        assert!(!said.contains("c2VjcmV0"), "{said}");
    }
}

#[test]
fn pem_gives_the_material_that_der_gives() {
    let key = block(PKCS8_KEY, 3, 64);
    let svid = SvidMaterial::from_pem(two(), key, block(CERTIFICATE, 4, 64)).unwrap();
    assert_eq!(svid.chain, [der(1), der(2)].concat());
    assert_eq!(*svid.key, der(3));
    assert_eq!(svid.bundle, der(4));
    let error = SvidMaterial::from_pem(two(), block(PKCS8_KEY, 3, 64), "").unwrap_err();
    assert!(!error.is_key_format());
    assert_eq!(error.to_string(), "the bundle: it holds no certificate");

    let partner = spiffe_peer::parse::trust_domain("partner.test").unwrap();
    let material = crate::Material::new(svid)
        .foreign_bundle_pem(&partner, two())
        .unwrap();
    let bundle = material.foreign.get("spiffe://partner.test").unwrap();
    assert_eq!(*bundle, [der(1), der(2)].concat());
    assert!(material.foreign_bundle_pem(&partner, "nothing").is_err());
}
