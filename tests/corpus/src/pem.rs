//! PEM, for the files of the corpus. What is inside may be anything.

use base64ct::{Base64, Encoding};

/// A block that says what it should hold.
#[must_use]
pub fn block(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap());
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// A certificate.
#[must_use]
pub fn certificate(der: &[u8]) -> String {
    block("CERTIFICATE", der)
}

/// What the first block holds.
///
/// # Errors
///
/// Where there is none.
pub fn open(pem: &str) -> Result<Vec<u8>, String> {
    let mut lines = pem.lines();
    let begins = lines
        .next()
        .is_some_and(|line| line.starts_with("-----BEGIN "));
    if !begins {
        return Err("no block begins".to_owned());
    }
    let text: String = lines
        .take_while(|line| !line.starts_with("-----END "))
        .collect();
    Base64::decode_vec(&text).map_err(|error| error.to_string())
}
