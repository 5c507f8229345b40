//! The graph as a table.

use std::fmt::Write as _;

use super::{Graph, Node};

/// What means something to Markdown in the middle of a line.
const SPECIAL: &str = "\\`*_[]<>|~&$";

pub(super) fn write(graph: &Graph) -> String {
    let mut text = format!(
        "# {}\n\n{}.\n\n",
        escaped(&graph.name),
        escaped(&graph.subtitle())
    );
    text.push_str("| Rule | Effect | Who | What | Only |\n|---|---|---|---|---|\n");
    for rule in &graph.rules {
        let who = cells(&graph.callers, &rule.callers, |node| &node.label);
        let what = cells(&graph.actions, &rule.actions, |node| &node.full);
        let only = rule.note.as_deref().map(escaped).unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {who} | {what} | {only} |",
            code(&rule.name),
            rule.effect()
        );
    }
    text
}

fn cells<'n>(nodes: &'n [Node], places: &[usize], of: impl Fn(&'n Node) -> &'n String) -> String {
    let nodes = places.iter().filter_map(|place| nodes.get(*place));
    nodes
        .map(|node| code(of(node)))
        .collect::<Vec<_>>()
        .join("<br>")
}

/// A code span, in which nothing means anything but `|` and the backticks that end it.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    let mut longest = 0;
    let mut run = 0;
    for sign in text.chars() {
        run = if sign == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        if SPECIAL.contains(sign) {
            escaped.push('\\');
        }
        escaped.push(sign);
    }
    escaped
}
