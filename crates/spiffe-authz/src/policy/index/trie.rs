//! Many patterns of segments, matched at once.

use hashbrown::HashMap;

use crate::policy::path::Segment;

/// What stands at patterns, found by walking a path once. The depth is that of the longest pattern,
/// and patterns are bounded, so a path of any length is walked in bounded depth.
#[derive(Debug)]
pub(super) struct Trie<T> {
    literals: HashMap<Box<[u8]>, Self>,
    one: Option<Box<Self>>,
    /// Where a pattern ends here.
    here: Option<T>,
    /// Where a pattern goes on from here with `/**`.
    below: Option<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
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
                PatternSegment::Literal(literal) => {
                    node.literals.entry(literal.as_bytes().into()).or_default()
                }
                PatternSegment::One => node.one.get_or_insert_default(),
            };
        }
        let end = if open_ended {
            &mut node.below
        } else {
            &mut node.here
        };
        end.get_or_insert_default()
    }
}

impl<T> Trie<T> {
    /// Visits what stands at every pattern that the path meets.
    ///
    /// The path has no leading slash; that of the root has no segment and is `None`.
    pub(super) fn visit<'a>(&'a self, path: Option<&[u8]>, visitor: &mut impl FnMut(&'a T)) {
        if let Some(below) = &self.below {
            visitor(below);
        }
        let Some(path) = path else {
            self.here.iter().for_each(visitor);
            return;
        };
        let (segment, further) = split(path);
        if !self.literals.is_empty()
            && let Some(next) = self.literals.get(segment)
        {
            next.visit(further, visitor);
        }
        if let Some(next) = &self.one {
            next.visit(further, visitor);
        }
    }
}

/// The first segment and what follows its slash. Segments are short: no search is quicker than looking.
#[inline]
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut length = 0;
    for byte in path {
        if *byte == b'/' {
            break;
        }
        length += 1;
    }
    let (segment, rest) = path.split_at_checked(length).unwrap_or((path, &[]));
    (segment, rest.split_first().map(|(_, further)| further))
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
