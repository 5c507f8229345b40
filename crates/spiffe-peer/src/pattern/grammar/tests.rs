use super::*;
use crate::parse;

const PIECES: [&str; 24] = [
    "spiffe://",
    "/",
    "/",
    "/",
    "/",
    "*",
    "**",
    "{a}",
    "{b}",
    "{",
    "}",
    "{1}",
    "{}",
    "td",
    "a",
    "B",
    ".",
    "..",
    "-",
    "_",
    "%",
    "é",
    "0",
    "//",
];

/// A second reader, by way of the parser of IDs: with its wildcards filled in, a pattern is an ID.
fn is_pattern(text: &str) -> bool {
    let (body, open_ended) = match text.strip_suffix("/**") {
        Some(body) => (body, true),
        None => (text, false),
    };
    let Some(rest) = body.strip_prefix("spiffe://") else {
        return false;
    };
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.is_empty() && !open_ended {
        return false;
    }
    let mut names = Vec::new();
    let mut id = format!("spiffe://{domain}");
    for part in path.split('/').skip(1) {
        let name = part
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        if let Some(name) = name {
            let is_of_a_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
            if name.is_empty()
                || name.starts_with(|first: char| first.is_ascii_digit())
                || !name.bytes().all(is_of_a_name)
                || names.contains(&name)
            {
                return false;
            }
            names.push(name);
        }
        id.push('/');
        id.push_str(if name.is_some() || part == "*" {
            "x"
        } else {
            part
        });
    }
    path.split('/').skip(1).count() <= MAX_SEGMENTS && parse::spiffe_id(&id).is_ok()
}

#[track_caller]
fn agree(text: &str) -> bool {
    let here = CheckedPattern::read(text);
    let there = is_pattern(text);
    assert_eq!(here.is_ok(), there, "{text:?}: {here:?}");
    assert_eq!(text.parse::<IdPattern>().is_ok(), there, "{text:?}");
    there
}

#[test]
fn both_readers_of_the_grammar_accept_the_same() {
    // A fixed sequence: what fails once fails always.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut accepted = 0;
    for round in 0..200_000_u32 {
        let mut text = String::new();
        match round % 8 {
            0 => {}
            1 | 2 => text.push_str("spiffe://"),
            _ => text.push_str("spiffe://td/"),
        }
        for _ in 0..round % 9 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(PIECES[usize::try_from(state >> 33).unwrap() % PIECES.len()]);
        }
        accepted += u32::from(agree(&text));
    }
    assert!(accepted > 1_000, "{accepted} texts were patterns");
}

#[test]
fn both_readers_of_the_grammar_end_at_the_same_lengths() {
    for (segments, good) in [(MAX_SEGMENTS, true), (MAX_SEGMENTS + 1, false)] {
        assert_eq!(
            agree(&format!("spiffe://td{}", "/a".repeat(segments))),
            good
        );
        assert_eq!(
            agree(&format!("spiffe://td{}/**", "/*".repeat(segments))),
            good
        );
    }
    let path = MAX_ID_BYTES - "spiffe://td/".len();
    for (bytes, good) in [(path, true), (path + 1, false)] {
        assert_eq!(agree(&format!("spiffe://td/{}", "a".repeat(bytes))), good);
        assert_eq!(
            agree(&format!("spiffe://td/{}/**", "a".repeat(bytes))),
            good
        );
    }
    assert!(agree(&format!(
        "spiffe://td/{{{}}}",
        "a".repeat(MAX_ID_BYTES)
    )));
    for (bytes, good) in [(MAX_DOMAIN_BYTES, true), (MAX_DOMAIN_BYTES + 1, false)] {
        assert_eq!(agree(&format!("spiffe://{}/x", "a".repeat(bytes))), good);
    }
}

#[test]
fn the_compiler_names_the_bounds_that_are_held() {
    for (flaw, bound) in [
        (Flaw::LongTrustDomain, MAX_DOMAIN_BYTES),
        (Flaw::TooManySegments, MAX_SEGMENTS),
        (Flaw::TooLong, MAX_ID_BYTES),
    ] {
        let message = flaw.message();
        assert!(message.contains(&format!(" {bound} ")), "{message}");
    }
}
