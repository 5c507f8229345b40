//! Many patterns of segments, matched at once.

use hashbrown::HashMap;

use crate::policy::path::Segment;

/// What stands at patterns, found by walking a path once. The depth is that of the longest pattern,
/// and patterns are bounded, so a path of any length is walked in bounded depth.
#[derive(Debug)]
pub(super) struct Trie<T> {
    literals: Literals<T>,
    one: Option<Box<Self>>,
    /// Where a pattern ends here.
    here: Option<T>,
    /// Where a pattern goes on from here with `/**`.
    below: Option<Box<T>>,
}

/// Where a walk goes on with what stands there.
#[derive(Debug)]
enum Literals<T> {
    None,
    /// In most places there is one way, and comparing is quicker than hashing. It is as many segments
    /// long as nothing ends or branches off.
    Only(Box<[u8]>, Box<Trie<T>>),
    Many(Box<Many<T>>),
}

/// Most segments are short enough to be compared and hashed as one number.
#[derive(Debug)]
struct Many<T> {
    short: HashMap<u128, Trie<T>>,
    long: HashMap<Box<[u8]>, Trie<T>>,
}

/// Collects patterns for a [`Trie`].
#[derive(Debug)]
pub(super) struct TrieBuilder<T> {
    literals: HashMap<Box<[u8]>, Self>,
    one: Option<Box<Self>>,
    here: Option<T>,
    below: Option<Box<T>>,
}

impl<T> Default for TrieBuilder<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            one: None,
            here: None,
            below: None,
        }
    }
}

impl<T: Default> TrieBuilder<T> {
    /// What stands at a pattern.
    pub(super) fn at<'a>(
        &mut self,
        segments: impl IntoIterator<Item = PatternSegment<'a>>,
        open_ended: bool,
    ) -> &mut T {
        let mut node = self;
        for segment in segments {
            node = match segment {
                PatternSegment::Literal(literal) => {
                    node.literals.entry(literal.as_bytes().into()).or_default()
                }
                PatternSegment::One => node.one.get_or_insert_default(),
            };
        }
        if open_ended {
            node.below.get_or_insert_default()
        } else {
            node.here.get_or_insert_default()
        }
    }

    pub(super) fn build(self) -> Trie<T> {
        let few = self.literals.len() < 2;
        let mut literals = self
            .literals
            .into_iter()
            .map(|(text, node)| (text, node.build()));
        Trie {
            literals: if few {
                let only = literals.next();
                only.map_or(Literals::None, |(text, node)| node.after(&text))
            } else {
                Literals::Many(Box::new(literals.collect()))
            },
            one: self.one.map(|one| Box::new(one.build())),
            here: self.here,
            below: self.below,
        }
    }
}

impl<T> FromIterator<(Box<[u8]>, Trie<T>)> for Many<T> {
    fn from_iter<I: IntoIterator<Item = (Box<[u8]>, Trie<T>)>>(literals: I) -> Self {
        let (mut short, mut long) = (HashMap::new(), HashMap::new());
        for (text, node) in literals {
            match number(&text) {
                Some(number) => short.insert(number, node),
                None => long.insert(text, node),
            };
        }
        Self { short, long }
    }
}

impl<T> Trie<T> {
    /// The one way to this node by this text, and through it where it is no more than a step.
    fn after(self, text: &[u8]) -> Literals<T> {
        let step = [b"/", text].concat();
        match self {
            Self {
                literals: Literals::Only(further, node),
                one: None,
                here: None,
                below: None,
            } => Literals::Only([&*step, &*further].concat().into(), node),
            node => Literals::Only(step.into(), Box::new(node)),
        }
    }

    /// Visits what stands at every pattern that the path meets.
    ///
    /// A path is a slash and a segment, any number of times; that of the root is empty.
    #[inline]
    pub(super) fn visit<'a>(&'a self, path: &[u8], visitor: &mut impl FnMut(&'a T)) {
        let (mut node, mut path) = (self, path);
        loop {
            if let Some(below) = &node.below {
                visitor(below);
            }
            if path.is_empty() {
                if let Some(here) = &node.here {
                    visitor(here);
                }
                return;
            }
            let literal = match &node.literals {
                Literals::None => None,
                Literals::Only(text, next) => after(path, text).map(|further| (&**next, further)),
                Literals::Many(many) => many.next(path),
            };
            // Where only one way goes on, walking it takes no recursion.
            (node, path) = match (literal, &node.one) {
                (Some(literal), None) => literal,
                (Some(literal), Some(one)) => {
                    one.visit_again(split(path).1, visitor);
                    literal
                }
                (None, Some(one)) => (&**one, split(path).1),
                (None, None) => return,
            };
        }
    }

    /// The other of two ways.
    #[inline(never)]
    fn visit_again<'a>(&'a self, path: &[u8], visitor: &mut dyn FnMut(&'a T)) {
        self.visit(path, &mut |found| visitor(found));
    }
}

impl<T> Many<T> {
    #[inline]
    fn next<'p>(&self, path: &'p [u8]) -> Option<(&Trie<T>, &'p [u8])> {
        let (segment, further) = split(path);
        let next = match number(segment) {
            Some(number) => self.short.get(&number)?,
            None => self.long.get(segment)?,
        };
        Some((next, further))
    }
}

/// What follows on these whole segments, if the path begins with them.
#[inline]
fn after<'p>(path: &'p [u8], segments: &[u8]) -> Option<&'p [u8]> {
    let further = path.strip_prefix(segments)?;
    matches!(further, [] | [b'/', ..]).then_some(further)
}

/// A segment as a number, if it is short: no two segments have the same one.
#[inline]
fn number(segment: &[u8]) -> Option<u128> {
    let length = u8::try_from(segment.len())
        .ok()
        .filter(|length| *length < 16)?;
    // The second half overlaps the first where both say the same.
    let bytes = if let (Some(first), Some(last)) = (segment.first_chunk(), segment.last_chunk()) {
        let at = 8 * (u32::from(length) - 8);
        u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << at
    } else if let (Some(first), Some(last)) = (segment.first_chunk(), segment.last_chunk()) {
        let at = 8 * (u32::from(length) - 4);
        u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << at
    } else {
        let shifted = |number, byte: &u8| number << 8 | u128::from(*byte);
        segment.iter().rev().fold(0, shifted)
    };
    Some(bytes | u128::from(length) << 120)
}

/// The first segment, without its slash, and what follows on it.
#[inline]
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.get(1..).unwrap_or_default();
    path.split_at_checked(slash(path)).unwrap_or((path, &[]))
}

/// Where the first slash is, or the end. Segments are short: eight bytes are looked at all at once.
#[inline]
fn slash(path: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const SLASHES: u64 = u64::from_ne_bytes([b'/'; 8]);
    let (eights, rest) = path.as_chunks();
    let mut passed = 0;
    for eight in eights {
        let differing = u64::from_le_bytes(*eight) ^ SLASHES;
        // The lowest bit that is set is the highest of the first byte that is zero.
        let zeros = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        if zeros != 0 {
            return passed + usize::try_from(zeros.trailing_zeros() / 8).unwrap_or_default();
        }
        passed += eight.len();
    }
    passed + rest.iter().take_while(|byte| **byte != b'/').count()
}

/// The path of a walk: that of the root is empty.
#[inline]
pub(super) fn segments_of(path: &str) -> &[u8] {
    match path.as_bytes() {
        b"/" => &[],
        path => path,
    }
}

/// A segment as far as matching goes: the name of a capture plays no part.
#[derive(Debug, Clone, Copy)]
pub(super) enum PatternSegment<'a> {
    Literal(&'a str),
    One,
}

impl<'a> From<&'a Segment> for PatternSegment<'a> {
    fn from(segment: &'a Segment) -> Self {
        match segment {
            Segment::Literal(literal) => Self::Literal(literal),
            Segment::One | Segment::Capture(_) => Self::One,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_at_its_slash_wherever_that_is() {
        for length in 0..40 {
            let segment = "s".repeat(length);
            for further in ["", "/", "/x", "//", "/.0", "/after/it/and/more"] {
                let path = format!("/{segment}{further}");
                let expected = (segment.as_bytes(), further.as_bytes());
                assert_eq!(split(path.as_bytes()), expected, "{path}");
            }
        }
        // Bytes that differ from a slash by little.
        for byte in (0..=255).filter(|byte| *byte != b'/') {
            let path = [byte, byte, byte, b'/', byte, b'/', b'/', b'/', b'/'];
            assert_eq!(slash(&path), 3, "{byte}");
            assert_eq!(slash(&[byte; 11]), 11, "{byte}");
        }
    }

    #[test]
    fn no_two_short_segments_are_one_number() {
        let mut known = HashMap::new();
        for byte in [0, 1, b'a', 0xff] {
            for length in 0..=20 {
                let segment = vec![byte; length];
                let changed = (0..length).map(|place| {
                    let mut changed = segment.clone();
                    changed[place] ^= 0x55;
                    changed
                });
                for segment in changed.chain([segment.clone()]) {
                    let number = number(&segment);
                    assert_eq!(number.is_some(), segment.len() < 16);
                    if let Some(number) = number {
                        let before = known.insert(number, segment.clone());
                        assert!(before.is_none_or(|before| before == segment), "{segment:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_way_without_a_branch_is_one_step_and_no_shorter_path_takes_it() {
        let mut trie = TrieBuilder::<u32>::default();
        let literals = |path: &'static str| path.split('/').map(PatternSegment::Literal);
        *trie.at(literals("api/v1/orders/status"), false) = 1;
        let one = trie.build();
        assert!(
            matches!(&one.literals, Literals::Only(text, _) if &**text == b"/api/v1/orders/status")
        );
        for (path, expected) in [
            ("/api/v1/orders/status", vec![1]),
            ("/api/v1/orders", vec![]),
            ("/api/v1/orders/status/x", vec![]),
            ("/api/v1/orders/statusx", vec![]),
            ("/api/v1/orders/statu", vec![]),
            ("", vec![]),
        ] {
            let mut found = Vec::new();
            one.visit(path.as_bytes(), &mut |at| found.push(*at));
            assert_eq!(found, expected, "{path}");
        }
    }
}
