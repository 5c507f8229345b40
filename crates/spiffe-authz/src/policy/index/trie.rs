//! Many patterns of segments, matched at once.

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::policy::path::Segment;

/// What stands at patterns, found by walking a path once. The depth is that of the longest pattern,
/// and patterns are bounded, so a path of any length is walked in bounded depth.
#[derive(Debug)]
pub(super) struct Trie<T> {
    /// In most places there is one literal, and comparing is quicker than hashing.
    first: Option<(Literal, Box<Self>)>,
    literals: HashMap<Literal, Self>,
    one: Option<Box<Self>>,
    /// Where a pattern ends here.
    here: Option<T>,
    /// Where a pattern goes on from here with `/**`.
    below: Option<Box<T>>,
}

/// A segment; most are short enough to be read where they stand.
type Literal = SmallVec<[u8; 16]>;

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
            first: None,
            literals: HashMap::new(),
            one: None,
            here: None,
            below: None,
        }
    }
}

impl<T: Default> Trie<T> {
    /// What stands at a pattern.
    pub(super) fn at<'a>(
        &mut self,
        segments: impl IntoIterator<Item = PatternSegment<'a>>,
        open_ended: bool,
    ) -> &mut T {
        let mut node = self;
        for segment in segments {
            node = match segment {
                PatternSegment::Literal(literal) => node.literal(literal.as_bytes()),
                PatternSegment::One => node.one.get_or_insert_default(),
            };
        }
        if open_ended {
            node.below.get_or_insert_default()
        } else {
            node.here.get_or_insert_default()
        }
    }

    fn literal(&mut self, literal: &[u8]) -> &mut Self {
        let (first, next) = self
            .first
            .get_or_insert_with(|| (literal.into(), Box::default()));
        if **first == *literal {
            next
        } else {
            self.literals.entry(literal.into()).or_default()
        }
    }
}

impl<T> Trie<T> {
    /// Visits what stands at every pattern that the path meets.
    ///
    /// The path has no leading slash; that of the root has no segment and is `None`.
    pub(super) fn visit<'a>(&'a self, path: Option<&[u8]>, visitor: &mut impl FnMut(&'a T)) {
        let (mut node, mut path) = (self, path);
        loop {
            if let Some(below) = &node.below {
                visitor(below);
            }
            let Some(rest) = path else {
                node.here.iter().for_each(visitor);
                return;
            };
            let (segment, further) = split(rest);
            path = further;
            // Where only one way goes on, walking it takes no recursion.
            node = match (node.next(segment), &node.one) {
                (Some(next), Some(one)) => {
                    next.visit(further, visitor);
                    one
                }
                (Some(next), None) => next,
                (None, Some(one)) => one,
                (None, None) => return,
            };
        }
    }

    #[inline]
    fn next(&self, segment: &[u8]) -> Option<&Self> {
        match &self.first {
            Some((first, next)) if **first == *segment => Some(next),
            _ if self.literals.is_empty() => None,
            _ => self.literals.get(segment),
        }
    }
}

/// The first segment and what follows its slash.
#[inline]
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (segment, rest) = path.split_at_checked(slash(path)).unwrap_or((path, &[]));
    (segment, rest.split_first().map(|(_, further)| further))
}

/// Where the first slash is, or the end. Segments are short: most end within the first eight bytes,
/// which are looked at all at once.
#[inline]
fn slash(path: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const SLASHES: u64 = u64::from_ne_bytes([b'/'; 8]);
    let mut passed = 0;
    if let Some(eight) = path.first_chunk() {
        let differing = u64::from_le_bytes(*eight) ^ SLASHES;
        // The lowest bit that is set is the highest of the first byte that is zero.
        let zeros = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        if zeros != 0 {
            return usize::try_from(zeros.trailing_zeros() / 8).unwrap_or_default();
        }
        passed = eight.len();
    }
    let further = path.iter().skip(passed);
    passed + further.take_while(|byte| **byte != b'/').count()
}

/// The path of a walk: what follows the leading slash, or `None` where there is no segment.
#[inline]
pub(super) fn segments_of(path: &str) -> Option<&[u8]> {
    let path = path.as_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    (!path.is_empty()).then_some(path)
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
            assert_eq!(split(segment.as_bytes()), (segment.as_bytes(), None));
            for further in ["", "x", "/", ".0", "after/it/and/more"] {
                let path = format!("{segment}/{further}");
                let expected = (segment.as_bytes(), Some(further.as_bytes()));
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
}
