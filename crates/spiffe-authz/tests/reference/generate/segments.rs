//! The segments of a path or an ID that a pattern meets, or narrowly not.

use super::vocabulary::{ODD_WORDS, WORDS};
use crate::random::Random;

/// A pattern's segments with words for its wildcards.
pub(super) fn filled(pattern: &str, words: &[&str], random: &mut Random) -> Vec<String> {
    let mut segments = Vec::new();
    for part in pattern.split('/').skip(1).filter(|part| !part.is_empty()) {
        if part == "**" {
            for _ in 0..*random.item(&[0, 0, 1, 2]) {
                segments.push(random.one_of(words).to_owned());
            }
        } else if part == "*" || part.starts_with('{') {
            let odd = words == WORDS && random.percent(8);
            segments.push(
                random
                    .one_of(if odd { ODD_WORDS } else { words })
                    .to_owned(),
            );
        } else {
            segments.push(part.to_owned());
        }
    }
    segments
}

/// Turns a hit into a near miss now and then.
pub(super) fn stray(segments: &mut Vec<String>, words: &[&str], random: &mut Random) {
    if !random.percent(12) {
        return;
    }
    match random.below(4) {
        0 => segments.push(random.one_of(words).to_owned()),
        1 => {
            segments.pop();
        }
        _ if segments.is_empty() => {}
        2 => {
            let at = random.below(segments.len());
            segments[at] = random.one_of(words).to_owned();
        }
        _ => {
            let at = random.below(segments.len());
            segments[at] = segments[at].to_uppercase();
        }
    }
}
