//! An action, of a method and a path pattern, is refused, or it meets just the paths that it says.

#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use spiffe_authz::policy::{Policy, PolicyRule, Query};

/// An error quotes what it is about.
const LONGEST_ERROR: usize = 64 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    action: &'a str,
    path: &'a str,
    method: u8,
}

fuzz_target!(|input: Input<'_>| {
    let rule = PolicyRule::allow("one", [input.action])
        .from_anyone()
        .because("anybody may, in here");
    let policy = match Policy::builder("fuzz").rule(rule).build() {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(error.to_string().len() < LONGEST_ERROR);
            return;
        }
    };
    let method = [Method::GET, Method::HEAD, Method::POST, Method::DELETE]
        [usize::from(input.method) % 4]
        .clone();
    let headers = HeaderMap::new();
    let decide = |path: &str| {
        let query = Query::new(&method, path, &headers);
        policy.decide(&query).is_allowed()
    };
    // What is written without captures and escapes can be judged by anybody.
    let (methods, pattern) = match input.action.strip_prefix("grpc ") {
        Some(_) => {
            decide(input.path);
            return;
        }
        None => input.action.split_once(' ').unwrap_or_default(),
    };
    let covered = methods == "*"
        || methods
            .split(',')
            .any(|name| name == method.as_str() || (name == "GET" && method == Method::HEAD));
    let path = input.path.split('?').next().unwrap_or_default();
    let met = is_plain(path) && covered && meets(pattern, path);
    if is_plain(path) {
        assert_eq!(decide(path), met, "{methods} {pattern}, {method} {path}");
    } else {
        decide(path);
    }
    // The pattern itself is among what it says, where nothing in it stands for something else.
    if is_plain(pattern) && !pattern.contains('*') && covered {
        assert!(decide(pattern), "{pattern}");
    }
});

/// A path that every reader takes for what it is.
fn is_plain(path: &str) -> bool {
    let letters =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'*');
    path == "/"
        || path.starts_with('/')
            && path.bytes().all(letters)
            && path.split('/').skip(1).all(|segment| !segment.is_empty())
}

fn meets(pattern: &str, path: &str) -> bool {
    let (pattern, open_ended) = match pattern.strip_suffix("/**") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let wanted = segments(pattern);
    let given = segments(path);
    let pairs = || wanted.iter().zip(&given);
    let long_enough = if open_ended {
        given.len() >= wanted.len()
    } else {
        given.len() == wanted.len()
    };
    long_enough
        && pairs().all(|(wanted, given)| {
            *wanted == "*" || (wanted.starts_with('{') && wanted.ends_with('}')) || wanted == given
        })
}

fn segments(path: &str) -> Vec<&str> {
    let mut segments: Vec<_> = path.split('/').skip(1).collect();
    if segments == [""] {
        segments.clear();
    }
    segments
}
