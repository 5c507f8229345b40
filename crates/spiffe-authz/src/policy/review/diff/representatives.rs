//! One caller and one request line of every kind that two policies tell apart.

use std::collections::{BTreeSet, HashMap, HashSet};

use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use spiffe_peer::{SpiffeId, parse};

use super::side::{Side, by_method};
use crate::policy::model::Methods;
use crate::policy::review::shape::Shape;
use crate::policy::review::trie::{Budget, ShapeTrie};

/// So many kinds of paths, and of callers, are told apart.
const MAX_SHAPES: usize = 100_000;

/// What cannot stand in the path of a request as it is.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'?')
    .add(b'\\')
    .add(b';');

pub(super) struct Representatives {
    pub(super) callers: Vec<Caller>,
    pub(super) asks: Vec<Ask>,
    /// Whether there are more kinds.
    pub(super) cut: bool,
}

/// Somebody, and the rules of either policy that speak of them.
pub(super) struct Caller {
    pub(super) id: Option<SpiffeId>,
    pub(super) old: BTreeSet<usize>,
    pub(super) new: BTreeSet<usize>,
}

/// A request line, and the rules of either policy that speak of it.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) old: BTreeSet<usize>,
    pub(super) new: BTreeSet<usize>,
}

impl Representatives {
    pub(super) fn of(old: &Side<'_>, new: &Side<'_>, budget: &mut Budget) -> Self {
        let mut cut = false;
        let callers = callers(old, new, budget, &mut cut);
        let asks = asks(old, new, budget, &mut cut);
        Self { callers, asks, cut }
    }
}

/// Somebody or something that may stand for a kind; that of a pattern is told even where another is in
/// the same rules, since whoever wrote it down wants to read of it.
struct Candidate<T> {
    of_pattern: Option<usize>,
    value: T,
}

fn callers(old: &Side<'_>, new: &Side<'_>, budget: &mut Budget, cut: &mut bool) -> Vec<Caller> {
    let shapes = || old.caller_shapes.iter().chain(&new.caller_shapes);
    let fresh = fresh(shapes().map(|(_, shape)| shape));
    let depth = depth(shapes().map(|(_, shape)| shape));
    let mut candidates = Vec::new();
    let mut strangers = Vec::new();
    for domain in old.trust_domains.union(&new.trust_domains) {
        let of_domain = shapes().filter(|(of, _)| of == domain);
        let kinds = closed(
            of_domain.map(|(_, shape)| shape.clone()).collect(),
            budget,
            cut,
        );
        let from = candidates.len();
        for (index, (shape, written)) in kinds.iter().enumerate() {
            for path in filled(shape, &fresh, depth) {
                candidates.push(Candidate {
                    of_pattern: written.then_some(from + index),
                    value: format!("spiffe://{domain}{}", text(&path)),
                });
            }
        }
        strangers.push(format!("spiffe://{domain}/{fresh}"));
    }
    let mut elsewhere = String::from("elsewhere.invalid");
    while old.trust_domains.contains(&elsewhere) || new.trust_domains.contains(&elsewhere) {
        elsewhere.insert(0, 'x');
    }
    strangers.push(format!("spiffe://{elsewhere}/{fresh}"));
    candidates.extend(strangers.into_iter().map(|value| Candidate {
        of_pattern: None,
        value,
    }));
    candidates.sort_by_key(|candidate| candidate.of_pattern.is_none());

    let mut seen = Seen::default();
    let mut callers = Vec::new();
    let nobody = [old, new].map(|side| side.rules_of(None, budget));
    seen.is_new(String::new(), None, &nobody);
    let [of_old, of_new] = nobody;
    callers.push(Caller {
        id: None,
        old: of_old,
        new: of_new,
    });
    for Candidate { of_pattern, value } in candidates {
        // Where it is no ID, it is one of a trust domain or too long to be one.
        let Ok(id) = parse::workload_id(&value) else {
            continue;
        };
        let rules = [old, new].map(|side| side.rules_of(Some(&id), budget));
        if seen.is_new(value, of_pattern, &rules) {
            let [old, new] = rules;
            callers.push(Caller {
                id: Some(id),
                old,
                new,
            });
        }
    }
    callers
}

fn asks(old: &Side<'_>, new: &Side<'_>, budget: &mut Budget, cut: &mut bool) -> Vec<Ask> {
    let shapes = || old.action_shapes.iter().chain(&new.action_shapes);
    let (fresh, depth) = (fresh(shapes()), depth(shapes()));
    let kinds = closed(shapes().cloned().collect(), budget, cut);
    let mut seen = HashMap::<Method, Seen>::new();
    let mut asks = Vec::new();
    for (index, (shape, written)) in kinds.iter().enumerate() {
        for path in filled(shape, &fresh, depth) {
            let met = [old, new].map(|side| side.rules_at(&path, budget));
            let named = met.iter().flatten().map(|(_, methods)| *methods);
            let get = by_methods(&met, &Method::GET);
            for method in methods(named) {
                let rules = by_methods(&met, &method);
                let target = encoded(&path);
                let seen = seen.entry(method.clone()).or_default();
                // Who may read may ask for the head, and nobody has to be told.
                let says_nothing = method == Method::HEAD && rules == get;
                if !says_nothing && seen.is_new(target.clone(), written.then_some(index), &rules) {
                    let [old, new] = rules;
                    asks.push(Ask {
                        method,
                        target,
                        old,
                        new,
                    });
                }
            }
        }
    }
    asks
}

fn by_methods(met: &[Vec<(usize, &Methods)>; 2], method: &Method) -> [BTreeSet<usize>; 2] {
    met.each_ref().map(|rules| by_method(rules, method))
}

/// What has a representative already.
#[derive(Default)]
struct Seen {
    rules: HashSet<[BTreeSet<usize>; 2]>,
    of_patterns: HashSet<(usize, [BTreeSet<usize>; 2])>,
    texts: HashSet<String>,
}

impl Seen {
    fn is_new(
        &mut self,
        text: String,
        of_pattern: Option<usize>,
        rules: &[BTreeSet<usize>; 2],
    ) -> bool {
        let is_known = self.texts.contains(&text)
            || match of_pattern {
                Some(pattern) => !self.of_patterns.insert((pattern, rules.clone())),
                None => self.rules.contains(rules),
            };
        if !is_known {
            self.rules.insert(rules.clone());
            self.texts.insert(text);
        }
        !is_known
    }
}

/// Every method that is named, `HEAD` beside `GET`, and one that is not.
fn methods<'a>(named: impl Iterator<Item = &'a Methods>) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut every = false;
    for named in named {
        match named {
            Methods::Every => every = true,
            Methods::These(these) => methods.extend(these.iter().cloned()),
        }
    }
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    methods.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    methods.dedup();
    if every {
        let mut name = String::from("ANY");
        while methods.iter().any(|method| *method == *name.as_str()) {
            name.push('Y');
        }
        methods.extend(Method::from_bytes(name.as_bytes()));
    }
    methods
}

/// The shapes, and behind them whatever some of them have in common; and whether a pattern is so.
fn closed(shapes: BTreeSet<Shape>, budget: &mut Budget, cut: &mut bool) -> Vec<(Shape, bool)> {
    let all: Vec<_> = shapes.iter().cloned().collect();
    let mut trie = ShapeTrie::default();
    for (index, shape) in all.iter().enumerate() {
        trie.add(shape, index);
    }
    let mut known = shapes;
    let mut closed: Vec<_> = all.iter().map(|shape| (shape.clone(), true)).collect();
    let mut waiting = all.clone();
    while let Some(shape) = waiting.pop() {
        let met = trie.meeting(&shape, budget).into_iter();
        for other in met.filter_map(|index| all.get(index)) {
            if closed.len() >= MAX_SHAPES {
                *cut = true;
                return closed;
            }
            if let Some(common) = shape.meet(other)
                && known.insert(common.clone())
            {
                closed.push((common.clone(), false));
                waiting.push(common);
            }
        }
    }
    closed
}

/// Members of a set that is described with wildcards: where it is open, as long as it can be and longer
/// than every pattern.
fn filled(shape: &Shape, fresh: &str, depth: usize) -> Vec<Shape> {
    let words: Vec<_> = shape
        .segments
        .iter()
        .map(|segment| segment.clone().or_else(|| Some(fresh.to_owned())))
        .collect();
    let lengths = if shape.open {
        vec![words.len(), words.len() + 1, depth + 1]
    } else {
        vec![words.len()]
    };
    let longer = |length: usize| {
        let mut segments = words.clone();
        segments.resize(length.max(words.len()), Some(fresh.to_owned()));
        Shape {
            segments,
            open: false,
        }
    };
    lengths.into_iter().map(longer).collect()
}

fn text(path: &Shape) -> String {
    let words = path.segments.iter().flatten();
    words.flat_map(|word| ["/", word.as_str()]).collect()
}

fn encoded(path: &Shape) -> String {
    if path.segments.is_empty() {
        return "/".to_owned();
    }
    let words = path.segments.iter().flatten();
    words
        .map(|word| format!("/{}", utf8_percent_encode(word, ENCODED)))
        .collect()
}

/// A word that stands in no pattern.
fn fresh<'a>(shapes: impl Iterator<Item = &'a Shape>) -> String {
    let known: HashSet<_> = shapes
        .flat_map(|shape| shape.segments.iter().flatten())
        .collect();
    let mut word = String::from("any");
    while known.contains(&word) {
        word.push('y');
    }
    word
}

fn depth<'a>(shapes: impl Iterator<Item = &'a Shape>) -> usize {
    shapes
        .map(|shape| shape.segments.len())
        .max()
        .unwrap_or_default()
}
