//! Patterns of segments as sets: which holds which, and what two have in common.

use spiffe_peer::IdPattern;

use crate::policy::path::{PathPattern, Segment};

/// A set of paths, of actions or of IDs in one trust domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shape {
    /// A word, or any word.
    pub(super) segments: Vec<Option<String>>,
    /// Whether any number of further segments may follow.
    pub(super) open: bool,
}

impl Shape {
    pub(super) fn of_path(pattern: &PathPattern) -> Self {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(literal) => Some(literal.clone()),
            Segment::One | Segment::Capture(_) => None,
        };
        Self {
            segments: pattern.segments.iter().map(segment).collect(),
            open: pattern.open_ended,
        }
    }

    pub(super) fn of_id(pattern: &IdPattern) -> Self {
        // `spiffe:`, nothing and the trust domain stand before the segments.
        let mut segments: Vec<_> = pattern.as_str().split('/').skip(3).collect();
        let open = segments.last() == Some(&"**");
        if open {
            segments.pop();
        }
        let segment = |part: &str| (part != "*" && !part.starts_with('{')).then(|| part.to_owned());
        Self {
            segments: segments.into_iter().map(segment).collect(),
            open,
        }
    }

    /// Whether everything in the other set is in this one. It may say no where the answer is yes.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let long_enough = if self.open {
            other.segments.len() >= self.segments.len()
        } else {
            !other.open && other.segments.len() == self.segments.len()
        };
        let holds =
            |(ours, theirs): (&Option<String>, &Option<String>)| ours.is_none() || ours == theirs;
        long_enough && self.segments.iter().zip(&other.segments).all(holds)
    }

    /// What is in both sets, if anything is.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let (longer, shorter) = if self.segments.len() >= other.segments.len() {
            (self, other)
        } else {
            (other, self)
        };
        if longer.segments.len() > shorter.segments.len() && !shorter.open {
            return None;
        }
        let mut segments = longer.segments.clone();
        for (ours, theirs) in segments.iter_mut().zip(&shorter.segments) {
            match (&ours, theirs) {
                (Some(one), Some(other)) if one != other => return None,
                (None, Some(_)) => ours.clone_from(theirs),
                _ => {}
            }
        }
        Some(Self {
            segments,
            open: self.open && other.open,
        })
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.meet(other).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        Shape::of_path(&text.parse().unwrap())
    }

    const ALL: [&str; 16] = [
        "/", "/**", "/a", "/a/**", "/*", "/*/**", "/a/b", "/a/*", "/*/b", "/*/*", "/a/b/**",
        "/*/b/**", "/*/*/**", "/b", "/a/b/c", "/a/{x}/c",
    ];

    /// Every path of up to four segments out of three words.
    fn paths() -> Vec<String> {
        let mut paths = vec![String::new()];
        let mut from = 0;
        for _ in 0..4 {
            let to = paths.len();
            for index in from..to {
                for word in ["a", "b", "c"] {
                    paths.push(format!("{}/{word}", paths[index]));
                }
            }
            from = to;
        }
        paths[0] = "/".to_owned();
        paths
    }

    #[test]
    fn what_is_said_to_be_covered_is_and_what_two_share_is_shared() {
        let paths = paths();
        for one in ALL {
            let first: PathPattern = one.parse().unwrap();
            for other in ALL {
                let second: PathPattern = other.parse().unwrap();
                let (mut all, mut some) = (true, false);
                let common = shape(one).meet(&shape(other));
                for path in &paths {
                    let (ours, theirs) = (
                        first.capture(path).is_some(),
                        second.capture(path).is_some(),
                    );
                    all &= ours || !theirs;
                    some |= ours && theirs;
                    let shared = common.as_ref().is_some_and(|common| {
                        let exact = shape(path);
                        common.covers(&exact)
                    });
                    assert_eq!(shared, ours && theirs, "{one} {other} {path}");
                }
                assert!(
                    all || !shape(one).covers(&shape(other)),
                    "{one} does not cover {other}"
                );
                assert_eq!(common.is_some(), some, "{one} {other}");
                assert!(shape(one).covers(&shape(one)), "{one}");
            }
        }
        assert!(shape("/a/**").covers(&shape("/a/*/c")) && shape("/*/b").covers(&shape("/a/b")));
    }
}
