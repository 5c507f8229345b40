//! Actions and ID patterns, read anew from their text each time.

use crate::slip::Slip;

/// Names and what they captured.
pub(crate) type Captures = Vec<(String, String)>;

/// What an action captures from a request that it meets.
pub(crate) fn action(
    text: &str,
    method: &str,
    path: &[String],
    slip: Option<Slip>,
) -> Option<Captures> {
    let (methods, pattern) = methods_and_path(text);
    let named = methods.split(',').any(|listed| {
        listed == "*"
            || listed == method
            || (listed == "GET" && method == "HEAD" && slip != Some(Slip::HeadIsForgotten))
            || (listed.eq_ignore_ascii_case(method) && slip == Some(Slip::MethodsInAnyCase))
    });
    if !named {
        return None;
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    segments(&pattern, &path, slip)
}

/// What an ID pattern captures from a peer that it meets; `own:` is in the trust domain `own`.
pub(crate) fn caller(pattern: &str, own: &str, peer: &str, slip: Option<Slip>) -> Option<Captures> {
    let (trust_domain, rest) = match pattern.strip_prefix("own:") {
        Some(path) => (own, path),
        None => split_id(pattern),
    };
    let (peer_domain, peer_path) = split_id(peer);
    if trust_domain != peer_domain && slip != Some(Slip::TrustDomainsAreForgotten) {
        return None;
    }
    let path: Vec<&str> = peer_path.split('/').skip(1).collect();
    segments(rest, &path, slip)
}

/// The names that an action or an ID pattern captures.
pub(crate) fn names(pattern: &str) -> Vec<String> {
    pattern
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(str::to_owned)
        .collect()
}

/// The methods of an action and its path, `grpc` written out.
pub(crate) fn methods_and_path(action: &str) -> (&str, String) {
    let (methods, path) = action.split_once(' ').unwrap();
    match (methods, path) {
        ("grpc", "**") => ("POST", "/*/*".to_owned()),
        ("grpc", method) => ("POST", format!("/{method}")),
        _ => (methods, path.to_owned()),
    }
}

/// The trust domain of an ID or a pattern, and its path.
pub(crate) fn split_id(id: &str) -> (&str, &str) {
    let rest = id.strip_prefix("spiffe://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}

fn segments(pattern: &str, path: &[&str], slip: Option<Slip>) -> Option<Captures> {
    let mut captures = Captures::new();
    let mut parts = pattern.split('/').skip(1).peekable();
    let mut at = 0;
    while let Some(part) = parts.next() {
        if part == "**" {
            let one_is_missing = slip == Some(Slip::OpenEndIsNeverEmpty) && at == path.len();
            return (!one_is_missing).then_some(captures);
        }
        if part.is_empty() {
            // The pattern is `/`.
            break;
        }
        let segment = *path.get(at)?;
        at += 1;
        if part == "*" {
            if slip == Some(Slip::StarCrossesSegments) && parts.peek().is_none() {
                return Some(captures);
            }
        } else if part.starts_with('{') {
            captures.push((part[1..part.len() - 1].to_owned(), segment.to_owned()));
        } else if part != segment {
            return None;
        }
    }
    (at == path.len()).then_some(captures)
}
