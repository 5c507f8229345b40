//! What a file says before anything is known of policies: scalars, lists and maps, each with its place.
//!
//! All nodes lie in one vector and name each other by index, so that an alias costs an index and
//! nothing is nested on the stack when the tree is dropped.

use std::borrow::Cow;
use std::ops::Range;

use super::super::model::Spot;
use super::scalar::{self, Scalar};

/// The index of a node.
pub(super) type Id = u32;

#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    children: Vec<Id>,
}

#[derive(Debug)]
struct Node<'a> {
    at: Spot,
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    Scalar {
        text: Cow<'a, str>,
        style: Style,
    },
    List(Range<Id>),
    /// Keys and values by turns.
    Map(Range<Id>),
}

/// How a scalar was written. Only a plain one can be anything but a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    Block,
}

/// More nodes than an index can name.
#[derive(Debug)]
pub(super) struct Full;

impl<'a> Tree<'a> {
    pub(super) fn scalar(
        &mut self,
        at: Spot,
        text: Cow<'a, str>,
        style: Style,
    ) -> Result<Id, Full> {
        self.add(at, Kind::Scalar { text, style })
    }

    pub(super) fn list(&mut self, at: Spot, items: &[Id]) -> Result<Id, Full> {
        let children = self.adopt(items)?;
        self.add(at, Kind::List(children))
    }

    pub(super) fn map(&mut self, at: Spot, keys_and_values: &[Id]) -> Result<Id, Full> {
        let children = self.adopt(keys_and_values)?;
        self.add(at, Kind::Map(children))
    }

    pub(super) fn value(&self, id: Id) -> Option<Value<'_>> {
        let node = usize::try_from(id).ok().and_then(|id| self.nodes.get(id))?;
        Some(Value { tree: self, node })
    }

    fn add(&mut self, at: Spot, kind: Kind<'a>) -> Result<Id, Full> {
        let id = Id::try_from(self.nodes.len()).map_err(|_| Full)?;
        self.nodes.push(Node { at, kind });
        Ok(id)
    }

    fn adopt(&mut self, children: &[Id]) -> Result<Range<Id>, Full> {
        let start = Id::try_from(self.children.len()).map_err(|_| Full)?;
        self.children.extend_from_slice(children);
        let end = Id::try_from(self.children.len()).map_err(|_| Full)?;
        Ok(start..end)
    }
}

/// A node, and the tree that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'d> {
    tree: &'d Tree<'d>,
    node: &'d Node<'d>,
}

impl<'d> Value<'d> {
    pub(super) fn at(self) -> Spot {
        self.node.at
    }

    /// Where the text of a scalar begins: behind its quote, or in the first line of a block.
    pub(super) fn text_at(self) -> Spot {
        let at = self.node.at;
        match &self.node.kind {
            Kind::Scalar {
                style: Style::Quoted,
                ..
            } => Spot {
                column: at.column.saturating_add(1),
                ..at
            },
            // The parser passes over blank lines at the front, which are part of the text.
            Kind::Scalar {
                text,
                style: Style::Block,
            } => Spot {
                line: text
                    .bytes()
                    .take_while(|byte| *byte == b'\n')
                    .fold(at.line, |line, _| line.saturating_sub(1)),
                ..at
            },
            _ => at,
        }
    }

    /// What a scalar means in the core schema.
    pub(super) fn as_scalar(self) -> Option<Scalar<'d>> {
        match &self.node.kind {
            Kind::Scalar { text, style } => Some(match style {
                Style::Plain => scalar::plain(text),
                Style::Quoted | Style::Block => Scalar::Text(text),
            }),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The text of a scalar, whatever it means.
    pub(super) fn as_written(self) -> Option<&'d str> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(super) fn is_plain(self) -> bool {
        matches!(
            self.node.kind,
            Kind::Scalar {
                style: Style::Plain,
                ..
            }
        )
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.as_scalar(), Some(Scalar::Null))
    }

    pub(super) fn as_list(self) -> Option<Children<'d>> {
        match &self.node.kind {
            Kind::List(children) => Some(self.children(children)),
            Kind::Scalar { .. } | Kind::Map(_) => None,
        }
    }

    pub(super) fn as_map(self) -> Option<Children<'d>> {
        match &self.node.kind {
            Kind::Map(children) => Some(self.children(children)),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    fn children(self, range: &Range<Id>) -> Children<'d> {
        let range = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok());
        let ids = range.and_then(|(start, end)| self.tree.children.get(start..end));
        Children {
            tree: self.tree,
            ids: ids.unwrap_or_default(),
        }
    }
}

/// The items of a list, or the keys and values of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Children<'d> {
    tree: &'d Tree<'d>,
    ids: &'d [Id],
}

impl<'d> Children<'d> {
    pub(super) fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn len(self) -> usize {
        self.ids.len()
    }

    pub(super) fn items(self) -> impl Iterator<Item = Value<'d>> {
        self.ids.iter().filter_map(move |id| self.tree.value(*id))
    }

    pub(super) fn pairs(self) -> impl Iterator<Item = (Value<'d>, Value<'d>)> {
        self.ids.chunks_exact(2).filter_map(move |pair| match pair {
            [key, value] => self.tree.value(*key).zip(self.tree.value(*value)),
            _ => None,
        })
    }
}
