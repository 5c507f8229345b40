//! One line of JSON as a [`Tree`], so that the lines of `eval` and the `tests` of a file share a reader.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::error::Problem;
use super::super::model::Spot;
use super::parse::{MAX_DEPTH, MAX_NODES};
use super::problems::shown;
use super::text::MAX_BYTES;
use super::tree::{Id, Style, Tree};

/// Where in the line a value stands is not known: the parser tells it for errors only.
const NOWHERE: Spot = Spot { line: 0, column: 0 };

pub(super) fn parse(line: &str) -> Result<(Tree<'_>, Id), Problem> {
    if line.len() > MAX_BYTES {
        let message = format!("the line has more than {MAX_BYTES} bytes (8 MiB)");
        return Err(Problem::new(NOWHERE, message));
    }
    let mut tree = Tree::default();
    let mut nodes = 0;
    let mut json = serde_json::Deserializer::from_str(line);
    let node = Node {
        tree: &mut tree,
        nodes: &mut nodes,
        depth: 0,
    };
    let root = node
        .deserialize(&mut json)
        .and_then(|root| json.end().map(|()| root))
        .map_err(|error| problem(&error))?;
    Ok((tree, root))
}

fn problem(error: &serde_json::Error) -> Problem {
    let at = Spot {
        line: 1,
        column: u32::try_from(error.column()).unwrap_or(u32::MAX),
    };
    let told = error.to_string();
    let told = shown(told.split(" at line ").next().unwrap_or_default());
    Problem::new(
        at,
        format!(
            "this is no line of JSON ({told}); write one object, such as `{{\"id\":\"c1\",\"request\":\"GET /\"}}`"
        ),
    )
}

/// Puts one JSON value into the tree.
struct Node<'t, 'a> {
    tree: &'t mut Tree<'a>,
    nodes: &'t mut usize,
    depth: usize,
}

impl<'a> Node<'_, 'a> {
    fn scalar<E: serde::de::Error>(self, text: Cow<'a, str>, style: Style) -> Result<Id, E> {
        self.tree
            .scalar(NOWHERE, text, style)
            .map_err(|_| E::custom("too many values"))
    }

    fn plain<E: serde::de::Error>(self, text: impl ToString) -> Result<Id, E> {
        self.scalar(Cow::Owned(text.to_string()), Style::Plain)
    }

    fn child(&mut self) -> Node<'_, 'a> {
        Node {
            tree: self.tree,
            nodes: self.nodes,
            depth: self.depth.saturating_add(1),
        }
    }

    fn check<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.nodes = self.nodes.saturating_add(1);
        if *self.nodes > MAX_NODES {
            return Err(E::custom("too many values"));
        }
        if self.depth > MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for Node<'_, 'a> {
    type Value = Id;

    fn deserialize<D: serde::Deserializer<'a>>(mut self, json: D) -> Result<Id, D::Error> {
        self.check::<D::Error>()?;
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Node<'_, 'a> {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Id, E> {
        self.scalar(Cow::Borrowed("null"), Style::Plain)
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<Id, E> {
        self.plain(boolean)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Id, E> {
        self.plain(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Id, E> {
        self.plain(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Id, E> {
        // With its fraction, so that `1.0` stays apart from `1`.
        self.plain(format_args!("{number:?}"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
        self.scalar(Cow::Owned(text.to_owned()), Style::Quoted)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'a str) -> Result<Id, E> {
        self.scalar(Cow::Borrowed(text), Style::Quoted)
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut items: A) -> Result<Id, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = items.next_element_seed(self.child())? {
            ids.push(id);
        }
        self.tree
            .list(NOWHERE, &ids)
            .map_err(|_| A::Error::custom("too many values"))
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut entries: A) -> Result<Id, A::Error> {
        let mut ids = Vec::new();
        while let Some(key) = entries.next_key_seed(self.child())? {
            ids.push(key);
            ids.push(entries.next_value_seed(self.child())?);
        }
        self.tree
            .map(NOWHERE, &ids)
            .map_err(|_| A::Error::custom("too many values"))
    }
}
