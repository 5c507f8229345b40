//! The graph for Graphviz.

use std::fmt::{self, Write as _};

use super::{Graph, Line, Node};

pub(super) fn write(graph: &Graph) -> String {
    let mut dot = String::new();
    // Writing to a text does not fail.
    let _ = all(&mut dot, graph);
    dot
}

fn all(dot: &mut String, graph: &Graph) -> fmt::Result {
    writeln!(dot, "digraph {} {{", quoted(&graph.name))?;
    writeln!(dot, "  rankdir=LR;")?;
    let label = format!(
        "{}\n{}\nallow: green, solid; deny: red, dashed; in shadow: violet, dotted",
        graph.name,
        graph.subtitle()
    );
    writeln!(dot, "  label={};", quoted(&label))?;
    writeln!(dot, "  node [shape=box, fontname=\"monospace\"];")?;
    column(dot, 'c', &graph.callers)?;
    column(dot, 'a', &graph.actions)?;
    for (index, rule) in graph.rules.iter().enumerate() {
        let label = match &rule.note {
            Some(note) => format!("{}: {}\n{note}", rule.effect(), rule.name),
            None => format!("{}: {}", rule.effect(), rule.name),
        };
        let line = style(rule.line);
        writeln!(dot, "  r{index} [label={}, {line}];", quoted(&label))?;
        for caller in &rule.callers {
            writeln!(dot, "  c{caller} -> r{index} [{line}];")?;
        }
        for action in &rule.actions {
            writeln!(dot, "  r{index} -> a{action} [{line}];")?;
        }
    }
    writeln!(dot, "}}")
}

fn column(dot: &mut String, kind: char, nodes: &[Node]) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        writeln!(dot, "  {kind}{index} [label={}];", quoted(&node.full))?;
    }
    Ok(())
}

fn style(line: Line) -> &'static str {
    match line {
        Line::Allow => "color=\"#1a7f37\", style=solid",
        Line::Deny => "color=\"#c1121f\", style=dashed",
        Line::Shadow => "color=\"#6f42c1\", style=dotted",
    }
}

/// A text in quotes, in which a backslash means nothing but itself.
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{text}\"")
}
