//! From a text to a [`Tree`], within limits that hold before anything is built.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, Tag};

use super::super::error::Problem;
use super::super::model::Spot;
use super::syntax;
use super::text::START;
use super::tree::{Full, Id, Style, Tree};

/// How deeply lists and maps may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// How many scalars, lists and maps there may be, aliases expanded.
pub(super) const MAX_NODES: usize = 2_000_000;

/// How many times its own size a file may have once its aliases are expanded.
pub(super) const MAX_EXPANSION: usize = 10;

/// Reads the one document of a YAML stream.
pub(super) fn parse(text: &str) -> Result<(Tree<'_>, Id), Problem> {
    let mut builder = Builder::new(text);
    let mut options = Options::default();
    options.set_emit_comments(false);
    // The parser looks ahead in `[` and `{`, and would tell a place further on.
    options.flow_nesting_limit = MAX_DEPTH;
    for step in Parser::new_from_str_with_options(text, options) {
        let (event, span) = step.map_err(|error| syntax::problem(&error, text))?;
        builder.take(event, span)?;
    }
    match builder.root {
        Some(root) => Ok((builder.tree, root)),
        None => Err(Problem::new(
            START,
            "the file is empty; a policy begins with `version: 1`",
        )),
    }
}

struct Builder<'a> {
    /// How long the file is, in bytes.
    length: usize,
    tree: Tree<'a>,
    root: Option<Id>,
    open: Vec<Open>,
    anchored: HashMap<usize, (Id, Size)>,
    total: Size,
}

/// A list or map whose end has not been read.
struct Open {
    at: Spot,
    start: usize,
    anchor: usize,
    children: Vec<Id>,
    is_map: bool,
    /// What its aliases stand for; `nodes` counts all that it holds.
    inside: Size,
}

/// What a node comes to with its aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    bytes: usize,
    nodes: usize,
    /// How deeply it is nested itself.
    height: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &str) -> Self {
        Self {
            length: text.len(),
            tree: Tree::default(),
            root: None,
            open: Vec::new(),
            anchored: HashMap::new(),
            total: Size {
                bytes: text.len(),
                ..Size::default()
            },
        }
    }

    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), Problem> {
        let at = spot(&span.start);
        match event {
            Event::DocumentStart(_, version) => self.begin(
                at,
                version.is_none_or(|version| (version.major, version.minor) == (1, 2)),
            ),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), &span)?;
                self.scalar(text, style, anchor, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), &span)?;
                self.descend(at, &span, anchor, false)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), &span)?;
                self.descend(at, &span, anchor, true)
            }
            Event::SequenceEnd | Event::MappingEnd => self.ascend(&span),
            Event::Alias(anchor) => self.alias(at, anchor),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            _ => Err(Problem::new(
                at,
                "this is no part of a policy; leave it out",
            )),
        }
    }

    fn begin(&self, at: Spot, is_1_2: bool) -> Result<(), Problem> {
        if !is_1_2 {
            return Err(Problem::new(
                at,
                "a policy is YAML 1.2; leave the `%YAML` line out",
            ));
        }
        if self.root.is_some() {
            return Err(Problem::new(
                at,
                "a second document begins here; a file holds one policy: leave the `---` out, or move what follows to a file of its own",
            ));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        span: Span,
    ) -> Result<(), Problem> {
        let at = spot(&span.start);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            _ => Style::Quoted,
        };
        let size = Size {
            bytes: offset(&span.end).saturating_sub(offset(&span.start)),
            nodes: 1,
            height: 0,
        };
        self.count(at, 1)?;
        let id = self
            .tree
            .scalar(at, text, style)
            .map_err(|full| too_many(at, &full))?;
        self.place(id, size, anchor);
        Ok(())
    }

    fn descend(
        &mut self,
        at: Spot,
        span: &Span,
        anchor: usize,
        is_map: bool,
    ) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(syntax::too_deep(at));
        }
        self.count(at, 1)?;
        self.open.push(Open {
            at,
            start: offset(&span.start),
            anchor,
            children: Vec::new(),
            is_map,
            inside: Size {
                nodes: 1,
                height: 1,
                ..Size::default()
            },
        });
        Ok(())
    }

    fn ascend(&mut self, span: &Span) -> Result<(), Problem> {
        let Some(done) = self.open.pop() else {
            return Ok(());
        };
        let added = if done.is_map {
            self.tree.map(done.at, &done.children)
        } else {
            self.tree.list(done.at, &done.children)
        };
        let id = added.map_err(|full| too_many(done.at, &full))?;
        let written = offset(&span.end).saturating_sub(done.start);
        let size = Size {
            bytes: done.inside.bytes.saturating_add(written),
            ..done.inside
        };
        if let Some(parent) = self.open.last_mut() {
            parent.inside.bytes = parent.inside.bytes.saturating_add(done.inside.bytes);
        }
        self.place(id, size, done.anchor);
        Ok(())
    }

    fn alias(&mut self, at: Spot, anchor: usize) -> Result<(), Problem> {
        let Some((id, size)) = self.anchored.get(&anchor).copied() else {
            return Err(Problem::new(
                at,
                "this alias stands within what it stands for; write out what is meant",
            ));
        };
        if self.open.len().saturating_add(size.height) > MAX_DEPTH {
            return Err(syntax::too_deep(at));
        }
        self.count(at, size.nodes)?;
        self.total.bytes = self.total.bytes.saturating_add(size.bytes);
        if self.total.bytes > self.length.saturating_mul(MAX_EXPANSION) {
            return Err(Problem::new(
                at,
                format!(
                    "with its aliases written out, the file would have more than {MAX_EXPANSION} times its size; use fewer, or a principal with a list of patterns"
                ),
            ));
        }
        if let Some(parent) = self.open.last_mut() {
            parent.inside.bytes = parent.inside.bytes.saturating_add(size.bytes);
        }
        self.place(id, size, 0);
        Ok(())
    }

    /// Hands a finished node to what holds it.
    fn place(&mut self, id: Id, size: Size, anchor: usize) {
        if anchor != 0 {
            self.anchored.insert(anchor, (id, size));
        }
        match self.open.last_mut() {
            None => self.root = Some(id),
            Some(parent) => {
                parent.children.push(id);
                parent.inside.nodes = parent.inside.nodes.saturating_add(size.nodes);
                parent.inside.height = parent.inside.height.max(size.height.saturating_add(1));
            }
        }
    }

    fn count(&mut self, at: Spot, nodes: usize) -> Result<(), Problem> {
        self.total.nodes = self.total.nodes.saturating_add(nodes);
        if self.total.nodes > MAX_NODES {
            return Err(too_many(at, &Full));
        }
        Ok(())
    }
}

fn too_many(at: Spot, _: &Full) -> Problem {
    Problem::new(
        at,
        format!(
            "the file holds more than {MAX_NODES} keys and values, aliases written out; split the policy"
        ),
    )
}

fn refuse_tag(tag: Option<&Tag>, span: &Span) -> Result<(), Problem> {
    let Some(tag) = tag else { return Ok(()) };
    let at = span
        .tag_start()
        .map_or_else(|| spot(&span.start), |start| spot(&start));
    let tag = super::problems::shown(&tag.original());
    Err(Problem::new(
        at,
        format!(
            "`{tag}` is a tag, and tags are not read; leave it out, and write a text in quotes"
        ),
    ))
}

pub(super) fn spot(marker: &Marker) -> Spot {
    Spot {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col().saturating_add(1)).unwrap_or(u32::MAX),
    }
}

pub(super) fn offset(marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or_else(|| marker.index())
}
