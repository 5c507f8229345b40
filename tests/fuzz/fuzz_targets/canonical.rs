//! A path that counts as canonical has one reading, however often it is decoded.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use spiffe_authz::canonical::check_path;
use spiffe_authz::policy::{Policy, PolicyRule, Query};

/// More often nobody decodes, and what is still encoded then is refused.
const DECODINGS: usize = 4;

/// A policy that lets everything pass refuses what is not canonical, and nothing else.
static OPEN: LazyLock<Policy> = LazyLock::new(|| {
    let rule = PolicyRule::allow("all", ["* /**"])
        .from_anyone()
        .because("what is canonical passes");
    let policy = Policy::builder("open").rule(rule).build();
    policy.expect("the rule is right")
});

fuzz_target!(|path: &str| {
    if path.contains('?') {
        return;
    }
    let accepted = check_path(path);
    let headers = HeaderMap::new();
    let decision = OPEN.decide(&Query::new(&Method::GET, path, &headers));
    assert_eq!(decision.is_allowed(), accepted.is_ok(), "{path:?}");
    assert_eq!(decision.status(), if accepted.is_ok() { 200 } else { 400 });

    if let Err(why) = accepted {
        assert!(!why.reason().is_empty());
        assert!(!is_surely_canonical(path), "{path:?} is refused: {why}");
        return;
    }
    assert!(path.starts_with('/'), "{path:?}");
    for byte in path.bytes() {
        let forbidden = byte.is_ascii_control() || matches!(byte, b' ' | b'#' | b';' | b'\\');
        assert!(!forbidden, "{path:?}");
    }
    let mut readings = vec![path.as_bytes().to_vec()];
    for _ in 0..DECODINGS {
        let last = readings.last().expect("there is one");
        readings.push(decoded(last));
    }
    for (times, reading) in readings.iter().enumerate() {
        let text = std::str::from_utf8(reading).expect("every reading is UTF-8");
        let slashes = text.matches('/').count();
        assert_eq!(slashes, path.matches('/').count(), "{path:?} {times} times");
        if text != "/" {
            let mut segments = text.split('/').skip(1);
            let fine = segments.all(|segment| !matches!(segment, "" | "." | ".."));
            assert!(fine, "{path:?}, decoded {times} times");
        }
        assert!(!text.contains(['\\', ';', '\0']), "{path:?}");
    }
    let last = readings.last().expect("there are several");
    assert_eq!(decoded(last), *last, "{path:?} is still encoded");
});

/// What can be said without a second thought: letters and digits between single slashes.
fn is_surely_canonical(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|segment| {
                !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
        })
}

/// One percent-decoding; what is no escape stays.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let escape = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16)?.try_into().ok()
}
