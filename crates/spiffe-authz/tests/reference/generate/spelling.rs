//! How a path arrives.

use crate::random::Random;

pub(super) fn target(path: &[String], random: &mut Random) -> String {
    let mut segments: Vec<String> = path.iter().map(|segment| spelt(segment, random)).collect();
    if random.percent(5) {
        spoil(&mut segments, random);
    }
    let mut target = format!("/{}", segments.join("/"));
    match random.below(100) {
        0 => target.push('/'),
        1 if segments.is_empty() => "*".clone_into(&mut target),
        2..10 => target.push_str("?next=/admin/../%2e;x"),
        _ => {}
    }
    target
}

/// A segment as it may arrive: what needs an escape has one, and other characters have one at times.
fn spelt(segment: &str, random: &mut Random) -> String {
    let disguised = random.percent(8);
    let mut spelling = String::new();
    for c in segment.chars() {
        let plain = c.is_ascii_alphanumeric() || ".-_:'".contains(c);
        let raw = if disguised { random.percent(60) } else { plain };
        if plain && raw || (c == 'é' && random.percent(50)) {
            spelling.push(c);
        } else {
            for byte in c.to_string().bytes() {
                if random.percent(50) {
                    spelling.push_str(&format!("%{byte:02x}"));
                } else {
                    spelling.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    spelling
}

/// Something that can be read in two ways, or that only looks like it.
fn spoil(segments: &mut Vec<String>, random: &mut Random) {
    let bad = random.one_of(&[
        "",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        ".%2e",
        "a%2fb",
        "a%5Cb",
        "a%00",
        "a;b",
        "a%3bb",
        "%zz",
        "%",
        "%ff",
        "%c3",
        "%252e",
        "%252e%252e",
        "a%252fb",
        "a%25%32%66b",
        "a%25252fb",
        "%25ff",
        "%253b",
        // These are canonical.
        "%0a",
        "%2525",
        "100%25",
        "%2541",
        "...",
        "%3f",
        "%23x",
    ]);
    let at = random.between(0, segments.len());
    segments.insert(at, bad.to_owned());
}
