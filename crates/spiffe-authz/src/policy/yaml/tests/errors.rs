//! Every load error, with its place and with what it says. `¶` marks the place that is expected.

mod files;
mod rules;
mod syntax;
mod tests;

use super::super::problems::MAX_PROBLEMS;
use super::{refused, told};

const HEAD: &str = "\
version: 1
name: shop
trust_domains: { example.org: {}, partner.example: { federated: true } }
principals:
  orders: spiffe://example.org/ns/shop/sa/orders
  stock: [spiffe://example.org/ns/shop/sa/stock, own:/ns/shop/sa/stock]
users:
  staff: { issuer: https://id.example.org, audiences: [shop] }
rules:
";

const RULE: &str = "- { name: read, allow: [GET /orders], from: [orders] }\n";

#[test]
fn every_error_has_its_place_and_says_what_to_write_instead() {
    let rows = rows();
    assert!(rows.len() >= 80, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for (marked, piece) in &rows {
        let (text, at) = unmarked(marked);
        let told = told(&refused(&text));
        let hit = told
            .lines()
            .any(|line| line.starts_with(&at) && line.contains(piece));
        if !hit || told.lines().count() > 1 {
            wrong.push(format!(
                "{text}\n  expected {at}… {piece} …\n  got      {told}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_rows_are_good_files_but_for_what_they_show() {
    super::loaded(&format!("{HEAD}{RULE}"));
    super::loaded(&format!(
        "{HEAD}{RULE}tests: [{{ request: GET /a, expect: deny, rule: read }}]"
    ));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
name: x
version: 2
rules:
- name: a
  allow: [GET a]
  from: [b]
  shadow: off
- from: anyone
  deny: []
colour: red
";
    let places: Vec<_> = refused(text)
        .iter()
        .map(|problem| (problem.line(), problem.column()))
        .collect();
    assert_eq!(
        places,
        [(2, 10), (5, 11), (6, 10), (7, 11), (8, 3), (9, 9), (10, 1)]
    );
}

#[test]
fn problems_and_messages_are_bounded() {
    let long = "x".repeat(1_000);
    let text: String = (0..200).map(|n| format!("{long}{n}: 1\n")).collect();
    let problems = refused(&text);
    assert_eq!(problems.len(), MAX_PROBLEMS);
    assert!(
        problems
            .iter()
            .all(|problem| problem.message().len() < 4_000)
    );

    let segment = format!(
        "version: 1\nname: x\nrules: [{{ name: a, allow: ['GET /{{{long}.}}'], from: [] }}]"
    );
    assert!(
        refused(&segment)
            .iter()
            .all(|problem| problem.message().len() < 4_000)
    );
}

fn rows() -> Vec<(String, &'static str)> {
    let whole = |(text, piece): &(&str, &'static str)| ((*text).to_owned(), *piece);
    let rule = |(text, piece): &(&str, &'static str)| (format!("{HEAD}{text}"), *piece);
    let test =
        |(text, piece): &(&str, &'static str)| (format!("{HEAD}{RULE}tests:\n{text}"), *piece);
    let files = files::ROWS.iter().chain(syntax::ROWS).map(whole);
    let rules = rules::ROWS.iter().map(rule);
    files
        .chain(rules)
        .chain(tests::ROWS.iter().map(test))
        .collect()
}

/// The text without its mark, and `LINE:COLUMN:` of the mark.
fn unmarked(text: &str) -> (String, String) {
    let (before, after) = text.split_once('¶').expect("a row marks a place");
    let line = before.matches('\n').count() + 1;
    let column = before
        .chars()
        .rev()
        .take_while(|sign| *sign != '\n')
        .count()
        + 1;
    (format!("{before}{after}"), format!("{line}:{column}: "))
}
