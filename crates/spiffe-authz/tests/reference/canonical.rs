//! Step 1: the request is canonical or it is refused.

use crate::policy::Request;
use crate::slip::Slip;

/// A request that can be read in one way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Canonical {
    /// The segments of the path, decoded once.
    pub(crate) segments: Vec<String>,
    /// The one authority, in lower case, without its port.
    pub(crate) host: Option<String>,
}

impl Canonical {
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }
}

/// Nothing where the request is refused.
pub(crate) fn canonical(request: &Request, slip: Option<Slip>) -> Option<Canonical> {
    if !is_token(&request.method) {
        return None;
    }
    Some(Canonical {
        segments: segments(&request.target, slip)?,
        host: host(request, slip)?,
    })
}

fn is_token(method: &str) -> bool {
    !method.is_empty()
        && method
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn segments(target: &str, slip: Option<Slip>) -> Option<Vec<String>> {
    let path = match target.find('?') {
        Some(query) => &target[..query],
        None => target,
    };
    let mut rest = path.strip_prefix('/')?;
    if slip == Some(Slip::TrailingSlashPasses) {
        rest = rest.strip_suffix('/').unwrap_or(rest);
    }
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.split('/')
        .map(|segment| decoded_segment(segment, slip))
        .collect()
}

fn decoded_segment(raw: &str, slip: Option<Slip>) -> Option<String> {
    if raw
        .chars()
        .any(|c| c == '\\' || c == ' ' || c == '#' || c.is_control())
        || has_malformed_escape(raw)
    {
        return None;
    }
    let once = decode(raw)?;
    if is_refusable(&once) {
        return None;
    }
    if slip != Some(Slip::DecodedOnceOnly) {
        let mut text = once.clone();
        loop {
            let again = decode(&text)?;
            if again == text {
                break;
            }
            if is_refusable(&again) {
                return None;
            }
            text = again;
        }
    }
    if slip == Some(Slip::PathsAreNotDecoded) {
        return Some(raw.to_owned());
    }
    Some(once)
}

fn is_refusable(decoded: &str) -> bool {
    decoded.is_empty()
        || decoded == "."
        || decoded == ".."
        || decoded.contains('/')
        || decoded.contains('\\')
        || decoded.contains('\0')
        || decoded.contains(';')
}

fn has_malformed_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| bytes[at] == b'%' && escape(bytes, at).is_none())
}

/// The text with each escape replaced by its byte, unless that is not UTF-8. A `%` that begins no
/// escape is left: here only an escaped `%` can have left it.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = escape(bytes, at) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    if bytes[at] != b'%' {
        return None;
    }
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}

/// Nothing where there is more than one authority.
fn host(request: &Request, slip: Option<Slip>) -> Option<Option<String>> {
    let mut authorities: Vec<String> = request.authority.iter().cloned().collect();
    let mut hosts = 0;
    for (name, value) in &request.headers {
        if name == "host" {
            for host in value.split(',') {
                hosts += 1;
                authorities.push(host.to_owned());
            }
        }
    }
    for authority in &mut authorities {
        *authority = authority.to_ascii_lowercase();
    }
    let differ = authorities
        .iter()
        .any(|authority| *authority != authorities[0]);
    if slip != Some(Slip::FirstHostCounts) && (hosts > 1 || differ) {
        return None;
    }
    let one = authorities.into_iter().next();
    Some(one.map(|authority| match authority.rfind(':') {
        Some(colon) if authority[colon + 1..].chars().all(|c| c.is_ascii_digit()) => {
            authority[..colon].to_owned()
        }
        _ => authority,
    }))
}
