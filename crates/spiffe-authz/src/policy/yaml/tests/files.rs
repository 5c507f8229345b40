//! Bytes that are no text for YAML.

use super::super::text::MAX_BYTES;
use super::{EXAMPLE, load, told};

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let rows: [(&[u8], &str); 8] = [
        (
            b"version: 1\nname: \xff\n",
            "2:7: here stands a byte that is no UTF-8",
        ),
        (
            b"version: 1\nname: \xc3\xa4\xc3",
            "2:8: here stands a byte that is no UTF-8",
        ),
        (b"\xff\xfev\0", "1:1: the file is UTF-16"),
        (
            b"version: 1\nname: a\0b\nrules: []\n",
            "2:8: here stands the character \\u{0}",
        ),
        (
            b"version: 1\r\nname: a\x1b\r\nrules: []\r\n",
            "2:8: here stands the character \\u{1b}",
        ),
        (
            b"version: 1\nname: a\nrules: []\n\0mode: shadow\n",
            "4:1: here stands the character \\u{0}",
        ),
        (
            "version: 1\nname: \u{fffe}\n".as_bytes(),
            "2:7: here stands the character",
        ),
        (
            "version: 1\nname: a\n\u{feff}rules: []\n".as_bytes(),
            "3:1: here stands the character",
        ),
    ];
    for (bytes, expected) in rows {
        let told = told(&load(bytes).unwrap_err());
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_file_that_is_too_long_is_refused_by_its_length() {
    let mut bytes = EXAMPLE.as_bytes().to_vec();
    bytes.resize(MAX_BYTES, b'\n');
    assert!(load(&bytes).is_ok());
    bytes.push(b'\n');
    assert!(told(&load(&bytes).unwrap_err()).contains("8 MiB"));
    // 100 MiB of anything, which is not looked at.
    let huge = vec![b'['; 100 << 20];
    let before = std::time::Instant::now();
    assert!(told(&load(&huge).unwrap_err()).contains("8 MiB"));
    assert!(before.elapsed() < std::time::Duration::from_secs(1));
}
