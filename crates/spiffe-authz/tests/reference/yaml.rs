//! A policy as YAML, in one of the many ways to write the same.

use std::fmt::Write as _;

use crate::document::{self, Node};
use crate::policy::Policy;
use crate::random::Random;

pub(crate) fn text(policy: &Policy, random: &mut Random) -> String {
    let document = document::policy(policy, random);
    write(&document, random)
}

fn write(document: &Node, random: &mut Random) -> String {
    let mut printer = Printer {
        out: String::new(),
        flow_chance: *random.item(&[0, 30, 60]),
        anchored: Vec::new(),
        random,
    };
    if printer.random.percent(20) {
        printer.out.push_str("# A policy\n---\n");
    }
    printer.block(document, 0);
    printer.out
}

struct Printer<'a> {
    out: String,
    /// How likely a collection is written in flow style, in percent.
    flow_chance: usize,
    /// Lists that an alias can stand for.
    anchored: Vec<Node>,
    random: &'a mut Random,
}

impl Printer<'_> {
    /// A collection that begins on a line of its own, and ends its last line.
    fn block(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Map(entries) if !entries.is_empty() => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 || !self.is_after_dash() {
                        self.indent(indent);
                    }
                    self.key(key);
                    self.value(value, indent);
                }
            }
            Node::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 || !self.is_after_dash() {
                        self.indent(indent);
                    }
                    self.out.push('-');
                    let is_block = matches!(item, Node::Map(entries) if !entries.is_empty());
                    if is_block && !self.random.percent(self.flow_chance / 2) {
                        self.out.push(' ');
                        self.block(item, indent + 2);
                    } else {
                        self.value(item, indent);
                    }
                }
            }
            scalar_or_empty => {
                self.flow(scalar_or_empty);
                self.end_line();
            }
        }
    }

    /// What follows a `:` or a `-`, up to the end of its line or lines.
    fn value(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Null if self.random.percent(50) => self.end_line(),
            Node::List(items) if !items.is_empty() && self.alias(node) => self.end_line(),
            Node::List(items) if !items.is_empty() => {
                self.anchor(node);
                if self.random.percent(self.flow_chance) {
                    self.out.push(' ');
                    self.flow(node);
                    self.end_line();
                } else {
                    self.end_line();
                    // A list may stand at the column of its key.
                    let deeper = *self.random.item(&[2, 2, 4]);
                    self.block(node, indent + deeper);
                }
            }
            Node::Map(entries) if !entries.is_empty() => {
                if self.random.percent(self.flow_chance) {
                    self.out.push(' ');
                    self.flow(node);
                    self.end_line();
                } else {
                    self.end_line();
                    self.block(node, indent + 2);
                }
            }
            Node::Text(text) if is_printable(text) && self.random.percent(8) => {
                let header = *self.random.item(&["|-", ">-"]);
                writeln!(self.out, " {header}").unwrap();
                self.indent(indent + 3);
                writeln!(self.out, "{text}").unwrap();
            }
            scalar_or_empty => {
                self.out.push(' ');
                self.flow(scalar_or_empty);
                self.end_line();
            }
        }
    }

    fn flow(&mut self, node: &Node) {
        match node {
            Node::Null => self.out.push_str("null"),
            Node::Boolean(truth) => write!(self.out, "{truth}").unwrap(),
            Node::Integer(number) => write!(self.out, "{number}").unwrap(),
            Node::Text(text) => self.scalar(text),
            Node::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.comma(index);
                    self.flow(item);
                }
                self.out.push(']');
            }
            Node::Map(entries) => {
                self.out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.comma(index);
                    self.key(key);
                    self.out.push(' ');
                    self.flow(value);
                }
                self.out.push('}');
            }
        }
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            let comma = *self.random.item(&[", ", ",  "]);
            self.out.push_str(comma);
        } else if self.random.percent(30) {
            self.out.push(' ');
        }
    }

    fn key(&mut self, key: &str) {
        self.scalar(key);
        self.out.push(':');
    }

    fn scalar(&mut self, text: &str) {
        if is_plain(text) && self.random.percent(70) {
            self.out.push_str(text);
        } else if is_printable(text) && self.random.percent(50) {
            write!(self.out, "'{}'", text.replace('\'', "''")).unwrap();
        } else {
            self.double_quoted(text);
        }
    }

    fn double_quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(self.out, "\\{c}").unwrap(),
                c if c.is_control() || !c.is_ascii() || self.random.percent(2) => {
                    write!(self.out, "\\u{:04x}", u32::from(c)).unwrap();
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn anchor(&mut self, node: &Node) {
        if self.random.percent(20) {
            self.anchored.push(node.clone());
            write!(self.out, " &list{}", self.anchored.len()).unwrap();
        }
    }

    /// Writes an alias if the same list has an anchor.
    fn alias(&mut self, node: &Node) -> bool {
        let place = self.anchored.iter().position(|anchored| anchored == node);
        let Some(place) = place.filter(|_| self.random.percent(60)) else {
            return false;
        };
        write!(self.out, " *list{}", place + 1).unwrap();
        true
    }

    fn end_line(&mut self) {
        if self.random.percent(3) {
            self.out.push_str("  # a remark: [\"not, part of it");
        }
        self.out.push('\n');
    }

    fn indent(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    fn is_after_dash(&self) -> bool {
        self.out.ends_with("- ")
    }
}

/// Whether the text is no other type without quotes, neither in block nor in flow style. A word that
/// only YAML 1.1 took for a boolean is.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || " ._-/:=()".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !["true", "false", "null"].contains(&text)
}

/// Whether the text can stand on a line as it is.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::generate::Scenario;

    fn meant(node: &Node) -> Value {
        match node {
            Node::Null => Value::Null,
            Node::Boolean(truth) => Value::from(*truth),
            Node::Integer(number) => Value::from(*number),
            Node::Text(text) => Value::from(text.as_str()),
            Node::List(items) => items.iter().map(meant).collect(),
            Node::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), meant(value)));
                Value::Object(entries.collect())
            }
        }
    }

    #[test]
    fn every_way_to_write_a_policy_says_the_same() {
        for seed in 0..300 {
            let Scenario {
                policy, mut random, ..
            } = Scenario::new(seed);
            let document = document::policy(&policy, &mut random);
            let yaml = write(&document, &mut random);
            let core_schema = serde_saphyr::options! { strict_booleans: true };
            match serde_saphyr::from_str_with_options::<Value>(&yaml, core_schema) {
                Ok(read) => assert_eq!(read, meant(&document), "seed {seed}:\n{yaml}"),
                Err(error) => panic!("seed {seed}: {error}\n{yaml}"),
            }
        }
    }
}
