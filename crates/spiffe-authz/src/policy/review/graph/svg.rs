//! The picture.

use std::fmt::{self, Write as _};

use super::layout::{BETWEEN, COLUMN, HEAD, Layout, MARGIN, Slot};
use super::{Graph, Line, Node};

/// So many letters fit into a box, of the label and of what stands below it.
const LABEL: usize = 40;
const NOTE: usize = 47;

const FONT: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace";

const CALLERS: u32 = MARGIN;
const RULES: u32 = MARGIN + COLUMN + BETWEEN;
const ACTIONS: u32 = MARGIN + 2 * COLUMN + 2 * BETWEEN;

pub(super) fn draw(graph: &Graph) -> String {
    let layout = Layout::of(graph);
    let mut picture = String::new();
    // Writing to a text does not fail.
    let _ = write(&mut picture, graph, &layout);
    picture
}

fn write(svg: &mut String, graph: &Graph, layout: &Layout) -> fmt::Result {
    let (width, height) = (layout.width, layout.height);
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONT}\" font-size=\"12\" fill=\"#1f2328\">"
    )?;
    writeln!(
        svg,
        "<title>Who may call what: {}</title>",
        escaped(&graph.name)
    )?;
    writeln!(
        svg,
        "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    )?;
    head(svg, graph)?;
    for (rule, slot) in graph.rules.iter().zip(&layout.rules) {
        let about = format!("{} ({})", rule.name, rule.effect());
        let callers = rule
            .callers
            .iter()
            .filter_map(|place| layout.callers.get(*place));
        for caller in callers {
            edge(
                svg,
                rule.line,
                (CALLERS + COLUMN, *caller),
                (RULES, *slot),
                &about,
            )?;
        }
        let actions = rule
            .actions
            .iter()
            .filter_map(|place| layout.actions.get(*place));
        for action in actions {
            edge(
                svg,
                rule.line,
                (RULES + COLUMN, *slot),
                (ACTIONS, *action),
                &about,
            )?;
        }
    }
    for (node, slot) in graph.callers.iter().zip(&layout.callers) {
        plain_box(svg, CALLERS, *slot, node)?;
    }
    for (node, slot) in graph.actions.iter().zip(&layout.actions) {
        plain_box(svg, ACTIONS, *slot, node)?;
    }
    for (rule, slot) in graph.rules.iter().zip(&layout.rules) {
        let full = format!("{}\n{}", rule.effect(), rule.full);
        let frame = format!(
            "fill=\"{}\" stroke=\"{}\" stroke-width=\"1.5\"{}",
            rule.line.fill(),
            rule.line.colour(),
            rule.line.dashes()
        );
        let label = format!("{} {}", rule.line.sign(), rule.name);
        boxed(
            svg,
            RULES,
            *slot,
            &frame,
            (&label, rule.note.as_deref()),
            &full,
        )?;
    }
    svg.push_str("</svg>\n");
    Ok(())
}

fn head(svg: &mut String, graph: &Graph) -> fmt::Result {
    let name = escaped(&cut(&graph.name, 80));
    writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"34\" font-size=\"18\" font-weight=\"bold\">{name}</text>"
    )?;
    let subtitle = escaped(&graph.subtitle());
    writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"56\" fill=\"#59636e\">{subtitle}</text>"
    )?;
    let legend = [
        (Line::Allow, "allow"),
        (Line::Deny, "deny"),
        (Line::Shadow, "in shadow: recorded, not enforced"),
    ];
    let mut left = MARGIN;
    for (line, words) in legend {
        writeln!(
            svg,
            "<path d=\"M{left} 80H{}\" {}/><text x=\"{}\" y=\"84\">{} {words}</text>",
            left + 44,
            line.stroke(),
            left + 52,
            line.sign()
        )?;
        left += 150;
    }
    for (left, words) in [(CALLERS, "Who"), (RULES, "Rule"), (ACTIONS, "What")] {
        let base = HEAD - 14;
        writeln!(
            svg,
            "<text x=\"{left}\" y=\"{base}\" font-weight=\"bold\">{words}</text>"
        )?;
    }
    Ok(())
}

fn edge(
    svg: &mut String,
    line: Line,
    (left, from): (u32, Slot),
    (right, to): (u32, Slot),
    about: &str,
) -> fmt::Result {
    let (from, to, bend) = (from.middle(), to.middle(), BETWEEN / 2);
    writeln!(
        svg,
        "<path d=\"M{left} {from}C{} {from} {} {to} {right} {to}\" {}><title>{}</title></path>",
        left + bend,
        right - bend,
        line.stroke(),
        escaped(about)
    )
}

fn plain_box(svg: &mut String, left: u32, slot: Slot, node: &Node) -> fmt::Result {
    let frame = "fill=\"#f6f8fa\" stroke=\"#8c959f\"";
    boxed(
        svg,
        left,
        slot,
        frame,
        (&node.label, node.note.as_deref()),
        &node.full,
    )
}

fn boxed(
    svg: &mut String,
    left: u32,
    slot: Slot,
    frame: &str,
    (label, note): (&str, Option<&str>),
    full: &str,
) -> fmt::Result {
    let Slot { top, height } = slot;
    write!(
        svg,
        "<g><title>{}</title><rect x=\"{left}\" y=\"{top}\" width=\"{COLUMN}\" height=\"{height}\" rx=\"4\" {frame}/>",
        escaped(full)
    )?;
    let (x, label) = (left + 10, escaped(&cut(label, LABEL)));
    write!(svg, "<text x=\"{x}\" y=\"{}\">{label}</text>", top + 17)?;
    if let Some(note) = note {
        let note = escaped(&cut(note, NOTE));
        write!(
            svg,
            "<text x=\"{x}\" y=\"{}\" font-size=\"10\" fill=\"#59636e\">{note}</text>",
            top + 33
        )?;
    }
    svg.push_str("</g>\n");
    Ok(())
}

impl Line {
    fn colour(self) -> &'static str {
        match self {
            Self::Allow => "#1a7f37",
            Self::Deny => "#c1121f",
            Self::Shadow => "#6f42c1",
        }
    }

    fn fill(self) -> &'static str {
        match self {
            Self::Allow => "#eaf6ed",
            Self::Deny => "#fdecec",
            Self::Shadow => "#f3eefc",
        }
    }

    fn dashes(self) -> &'static str {
        match self {
            Self::Allow => "",
            Self::Deny => " stroke-dasharray=\"8 4\"",
            Self::Shadow => " stroke-dasharray=\"2 4\"",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Allow => "\u{2713}",
            Self::Deny => "\u{2717}",
            Self::Shadow => "\u{25cc}",
        }
    }

    fn stroke(self) -> String {
        let width = if self == Self::Deny { "2.2" } else { "1.6" };
        format!(
            "fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-opacity=\"0.85\"{}",
            self.colour(),
            self.dashes()
        )
    }
}

/// The text in so many letters: what is left out is in the middle, since IDs and paths differ at the end.
fn cut(text: &str, most: usize) -> String {
    let wide = |sign: char| if sign < '\u{1100}' { 1 } else { 2 };
    let width: usize = text.chars().map(wide).sum();
    if width <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(1) / 2;
    let part = |signs: &mut dyn Iterator<Item = char>| {
        let mut left = half;
        let fits = signs.take_while(|sign| {
            let fits = wide(*sign) <= left;
            left = left.saturating_sub(wide(*sign));
            fits
        });
        fits.collect::<Vec<_>>()
    };
    let start = part(&mut text.chars());
    let mut end = part(&mut text.chars().rev());
    end.reverse();
    start.into_iter().chain(['…']).chain(end).collect()
}

/// As XML takes it: what it cannot take at all, such as controls, was escaped before.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Noncharacters that no XML document may hold.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(sign),
        }
    }
    escaped
}
