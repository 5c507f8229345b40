//! The rules that speak of one caller, side by side where they are few.
//!
//! Most callers have a few rules. To go through these takes less time than to look for them among
//! those of everybody, and all that is looked at lies together.

use smallvec::SmallVec;

use super::actions::{Cell, Entry};
use crate::policy::path::{PathPattern, Segment};

/// The most that is gone through.
pub(super) const FEW: usize = 8;

/// What a policy says of one set of callers, for one path pattern and one method or every one.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) method: u32,
    pub(super) cell: Cell,
    path: Path,
}

/// A path pattern, to be compared with one path after the other.
#[derive(Debug, Clone)]
struct Path {
    /// What it begins with: whole segments, each after its slash.
    literal: SmallVec<[u8; 40]>,
    then: Then,
}

#[derive(Debug, Clone)]
enum Then {
    End,
    Anything,
    OneSegment,
    /// Of which the first is a wildcard.
    Segments {
        segments: Box<[Option<Box<[u8]>>]>,
        open_ended: bool,
    },
}

impl Said {
    pub(super) fn new(pattern: &PathPattern, method: u32, entry: Entry) -> Self {
        Self {
            method,
            cell: Cell::of(entry),
            path: Path::new(pattern),
        }
    }

    #[inline]
    pub(super) fn speaks_of(&self, path: &[u8]) -> bool {
        self.path.meets(path)
    }
}

impl Path {
    fn new(pattern: &PathPattern) -> Self {
        let mut literal = SmallVec::new();
        let mut segments = pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Some(text.as_bytes()),
            Segment::One | Segment::Capture(_) => None,
        });
        let mut rest: Vec<Option<Box<[u8]>>> = Vec::new();
        for segment in &mut segments {
            match segment {
                Some(text) if rest.is_empty() => {
                    literal.push(b'/');
                    literal.extend_from_slice(text);
                }
                segment => rest.push(segment.map(Into::into)),
            }
        }
        let then = match (&*rest, pattern.open_ended) {
            ([], false) => Then::End,
            ([], true) => Then::Anything,
            ([None], false) => Then::OneSegment,
            (_, open_ended) => Then::Segments {
                segments: rest.into(),
                open_ended,
            },
        };
        Self { literal, then }
    }

    /// Whether a path, in which no segment is empty, is one of these; that of the root is empty.
    #[inline]
    fn meets(&self, path: &[u8]) -> bool {
        let literal = &*self.literal;
        let Some((start, rest)) = path.split_at_checked(literal.len()) else {
            return false;
        };
        if !are_same(start, literal) {
            return false;
        }
        match &self.then {
            Then::End => rest.is_empty(),
            Then::Anything => matches!(rest, [] | [b'/', ..]),
            Then::OneSegment => {
                matches!(rest, [b'/', segment @ ..] if !segment.contains(&b'/'))
            }
            Then::Segments {
                segments,
                open_ended,
            } => meets(segments, *open_ended, rest),
        }
    }
}

/// Whether two texts of one length are the same. Most paths are looked at in two pieces, the end first,
/// where they differ sooner; a call of the C library would take a seventh of a decision.
#[inline]
fn are_same(one: &[u8], other: &[u8]) -> bool {
    const HALF: usize = 16;
    match (one.last_chunk::<HALF>(), other.last_chunk::<HALF>()) {
        (Some(end), Some(other_end)) if one.len() <= 2 * HALF => {
            end == other_end && one.first_chunk::<HALF>() == other.first_chunk::<HALF>()
        }
        _ => one == other,
    }
}

#[cold]
fn meets(segments: &[Option<Box<[u8]>>], open_ended: bool, rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(b"/") else {
        return false;
    };
    let mut parts = rest.split(|byte| *byte == b'/');
    let each = segments
        .iter()
        .all(|segment| match (segment, parts.next()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(literal), Some(part)) => **literal == *part,
        });
    each && (open_ended || parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_meets_the_same_paths_here_as_in_the_trie() {
        const PARTS: [&str; 5] = ["a", "aa", "*", "{b}", "c"];
        let patterns = (0..=3).flat_map(|length: u32| {
            (0..5_usize.pow(length)).flat_map(move |number| {
                let mut number = number;
                let mut text = String::new();
                for place in 0..length {
                    let part = PARTS[number % 5].replace('b', &format!("b{place}"));
                    text = text + "/" + &part;
                    number /= 5;
                }
                [text.clone(), text + "/**"]
            })
        });
        let paths: Vec<_> = (0..=4)
            .flat_map(|length: u32| {
                (0..3_usize.pow(length)).map(move |mut number| {
                    let mut text = String::new();
                    for _ in 0..length {
                        text = text + "/" + ["a", "aa", "c"][number % 3];
                        number /= 3;
                    }
                    text
                })
            })
            .collect();
        let mut met = 0;
        for text in patterns {
            let pattern: PathPattern = if text.is_empty() { "/" } else { &text }.parse().unwrap();
            let mut trie = super::super::trie::TrieBuilder::<bool>::default();
            let segments = pattern.segments.iter().map(Into::into);
            *trie.at(segments, pattern.open_ended) = true;
            let trie = trie.build();
            let here = Path::new(&pattern);
            for path in &paths {
                let mut there = false;
                trie.visit(path.as_bytes(), &mut |found| there |= *found);
                assert_eq!(here.meets(path.as_bytes()), there, "{text} {path}");
                met += u32::from(there);
            }
        }
        assert!(met > 1_000, "{met}");
    }

    #[test]
    fn a_difference_is_seen_wherever_it_stands() {
        for length in 1..=70 {
            let text = format!("/{}", "a".repeat(length));
            let pattern = Path::new(&text.parse().unwrap());
            assert!(pattern.meets(text.as_bytes()), "{text}");
            for at in 1..=length {
                let mut other = text.clone().into_bytes();
                other[at] = b'b';
                assert!(!pattern.meets(&other), "{text} {at}");
            }
        }
    }
}
