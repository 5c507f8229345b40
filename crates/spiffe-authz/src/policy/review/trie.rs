//! Many shapes at once: those that cover one, and those that meet it, found without going through all.

use std::collections::HashMap;

use super::shape::Shape;

/// The work that a review may still do, in steps that are about as long as each other.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// Whether so many more steps may be taken; once they may not, none may.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.0 = self.0.saturating_sub(steps);
        self.0 > 0
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// What stands at shapes. The depth is bounded by that of a pattern.
#[derive(Debug)]
pub(super) struct ShapeTrie<T> {
    literals: HashMap<String, Self>,
    any: Option<Box<Self>>,
    closed: Vec<T>,
    open: Vec<T>,
}

impl<T> Default for ShapeTrie<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            any: None,
            closed: Vec::new(),
            open: Vec::new(),
        }
    }
}

impl<T: Copy> ShapeTrie<T> {
    pub(super) fn add(&mut self, shape: &Shape, value: T) {
        let mut node = self;
        for segment in &shape.segments {
            node = match segment {
                Some(word) => node.literals.entry(word.clone()).or_default(),
                None => node.any.get_or_insert_default(),
            };
        }
        let end = if shape.open {
            &mut node.open
        } else {
            &mut node.closed
        };
        end.push(value);
    }

    /// What stands at every shape that covers this one, as long as the budget lasts.
    pub(super) fn covering(&self, shape: &Shape, budget: &mut Budget) -> Vec<T> {
        let mut found = Vec::new();
        let mut nodes = vec![(self, shape.segments.as_slice())];
        while let Some((node, rest)) = nodes.pop() {
            if !budget.spend(1 + node.open.len() + node.closed.len()) {
                break;
            }
            found.extend(&node.open);
            match rest.split_first() {
                None if shape.open => {}
                None => found.extend(&node.closed),
                Some((segment, rest)) => {
                    let literal = segment.as_ref().and_then(|word| node.literals.get(word));
                    nodes.extend(
                        literal
                            .into_iter()
                            .chain(node.any.as_deref())
                            .map(|node| (node, rest)),
                    );
                }
            }
        }
        found
    }

    /// What stands at every shape that has a path in common with this one, as long as the budget lasts.
    pub(super) fn meeting(&self, shape: &Shape, budget: &mut Budget) -> Vec<T> {
        let mut found = Vec::new();
        let mut nodes = vec![(self, shape.segments.as_slice())];
        while let Some((node, rest)) = nodes.pop() {
            if !budget.spend(1 + node.open.len() + node.closed.len()) {
                break;
            }
            found.extend(&node.open);
            let (next, rest) = match rest.split_first() {
                None => {
                    found.extend(&node.closed);
                    if !shape.open {
                        continue;
                    }
                    (&None, rest)
                }
                Some(split) => split,
            };
            match next {
                Some(word) => nodes.extend(node.literals.get(word).map(|node| (node, rest))),
                None => nodes.extend(node.literals.values().map(|node| (node, rest))),
            }
            nodes.extend(node.any.as_deref().map(|node| (node, rest)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_going_through_all_finds() {
        let texts = [
            "/", "/**", "/a", "/a/**", "/*", "/*/**", "/a/b", "/a/*", "/*/b", "/*/*", "/a/b/**",
            "/*/b/c", "/b",
        ];
        let shapes: Vec<_> = texts
            .iter()
            .map(|text| Shape::of_path(&text.parse().unwrap()))
            .collect();
        let mut trie = ShapeTrie::default();
        for (index, shape) in shapes.iter().enumerate() {
            trie.add(shape, index);
        }
        let slow = |is: &dyn Fn(&Shape) -> bool| -> Vec<usize> {
            (0..shapes.len())
                .filter(|index| is(&shapes[*index]))
                .collect()
        };
        let sorted = |mut found: Vec<usize>| {
            found.sort_unstable();
            found
        };
        for shape in &shapes {
            let mut budget = Budget::new(10_000);
            assert_eq!(
                sorted(trie.covering(shape, &mut budget)),
                slow(&|other| other.covers(shape))
            );
            assert_eq!(
                sorted(trie.meeting(shape, &mut budget)),
                slow(&|other| other.meets(shape))
            );
        }
        let mut spent = Budget::new(2);
        assert!(trie.meeting(&shapes[1], &mut spent).len() < shapes.len() && spent.is_spent());
    }
}
