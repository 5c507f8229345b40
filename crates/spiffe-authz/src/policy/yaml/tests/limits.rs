//! Input that would cost too much is refused before it does.

use std::fmt::Write as _;

use super::super::parse::{MAX_DEPTH, MAX_NODES};
use super::super::rules::{MAX_EXPRESSION, MAX_RULES};
use super::{load, loaded, refused, told};

const HEAD: &str = "version: 1\nname: x\n";

#[test]
fn an_alias_bomb() {
    let mut text = format!("{HEAD}a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        let nine = vec![below; 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{nine}]").unwrap();
    }
    let told = told(&refused(&text));
    assert!(told.contains("more than 10 times its size"), "{told}");
}

#[test]
fn aliases_may_make_ten_of_a_file_and_no_more() {
    let with = |aliases: usize| {
        let list = vec!["own:/orders"; 100].join(", ");
        let mut text = format!("{HEAD}rules: []\nprincipals:\n  a: &a [{list}]\n");
        for index in 0..aliases {
            writeln!(text, "  p{index}: *a").unwrap();
        }
        text
    };
    assert_eq!(loaded(&with(8)).principals.len(), 9);
    let told = told(&refused(&with(14)));
    assert!(told.contains("more than 10 times its size"), "{told}");
}

#[test]
fn nothing_costs_nothing_and_still_counts() {
    // An anchored nothing has no length; many of them are many nodes all the same.
    let mut text = format!("{HEAD}rules: []\nprincipals:\n  a: &a [");
    for _ in 0..1_000 {
        text.push_str("? ,");
    }
    text.push_str("]\n  b: [");
    for _ in 0..2_500 {
        text.push_str("*a,");
    }
    text.push_str("]\n");
    assert!(load(text.as_bytes()).is_err());
}

#[test]
fn nesting() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(
            "{HEAD}rules: []\nusers: {{ u: {{ issuer: i, audiences: [a] }} }}\ntests: [ {{ request: GET /, expect: deny, resource: {{ a: {open}{close} }} }} ]\n"
        )
    };
    // The file, the list of tests, the test and the resource are four.
    loaded(&nested(MAX_DEPTH - 4));
    for depth in [MAX_DEPTH - 3, 300, 100_000] {
        let told = told(&refused(&nested(depth)));
        assert!(told.contains("nested more than 64 deep"), "{depth}: {told}");
    }
    for unit in ["- ", "? ", "a:\n", "{a: ", "[", "[{a: [", "- - ? "] {
        let text = unit.repeat(100_000);
        assert!((1..=100).contains(&refused(&text).len()), "{unit}");
    }
    let mut blocks = String::new();
    for depth in 0..300 {
        writeln!(blocks, "{}a:", " ".repeat(depth)).unwrap();
    }
    assert!(told(&refused(&blocks)).contains("nested more than 64 deep"));
}

#[test]
fn nesting_counts_through_aliases() {
    let mut text = format!("{HEAD}rules: []\nprincipals:\n  a0: &a0 [x]\n");
    for level in 1..80 {
        writeln!(text, "  a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    assert!(told(&refused(&text)).contains("nested more than 64 deep"));
}

#[test]
fn a_million_keys() {
    let keys = |count: usize| {
        (0..count).fold(String::from(HEAD), |text, key| {
            text + &key.to_string() + ":\n"
        })
    };
    assert_eq!(refused(&keys(50_000)).len(), 100);
    // Each comes with a value, be it nothing.
    const { assert!(MAX_NODES <= 2_000_000) };
    let told = told(&refused(&keys(1_000_000)));
    assert!(told.contains("keys and values"), "{told}");
}

#[test]
fn rules() {
    let text = format!("{HEAD}rules:\n{}", "- a\n".repeat(MAX_RULES + 1));
    let problems = told(&refused(&text));
    assert_eq!(
        problems,
        "100004:3: a policy has at most 100000 rules; split it"
    );
    let text = format!("{HEAD}rules:\n{}", "- a\n".repeat(MAX_RULES));
    assert_eq!(refused(&text).len(), 100);
}

#[test]
fn expressions_and_patterns() {
    let rule = |path: &str, id: &str, when: &str| {
        format!(
            "{HEAD}rules: [ {{ name: r, deny: ['GET {path}'], from: ['own:{id}'], when: '{when}' }} ]\n"
        )
    };
    let segments = |count: usize| "/a".repeat(count);
    let when = "a".repeat(MAX_EXPRESSION);
    loaded(&rule(&segments(64), &segments(64), &when));
    assert!(told(&refused(&rule(&segments(65), "/a", "a"))).contains("more than 64 segments"));
    assert!(told(&refused(&rule("/a", &segments(65), "a"))).contains("more than 64 segments"));
    assert!(told(&refused(&rule("/a", "/a", &format!("{when}a")))).contains("16 KiB"));
    let long = format!("/{}", "a".repeat(2048));
    assert!(load(rule("/a", &long, "a").as_bytes()).is_err());
}
