//! What the scanner says of a text is true of the tree that the parser makes of it.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

use super::super::bounds::measure;
use super::super::parse_deep;
use super::hostile::nested;
use super::*;

/// How deep a tree is.
fn depth(tree: &IdedExpr) -> usize {
    let deepest = |trees: &[&IdedExpr]| trees.iter().map(|tree| depth(tree)).max().unwrap_or(0);
    1 + match &tree.expr {
        Expr::Call(call) => deepest(
            &call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .collect::<Vec<_>>(),
        ),
        Expr::Select(select) => depth(&select.operand),
        Expr::List(list) => deepest(&list.elements.iter().collect::<Vec<_>>()),
        Expr::Map(map) => map
            .entries
            .iter()
            .map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
                EntryExpr::StructField(field) => depth(&field.value),
            })
            .max()
            .unwrap_or(0),
        Expr::Comprehension(tree) => deepest(&[
            &tree.iter_range,
            &tree.accu_init,
            &tree.loop_cond,
            &tree.loop_step,
            &tree.result,
        ]),
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => 0,
    }
}

/// What the scanner says of the depth holds for the tree, but for the few nodes that a macro adds.
#[test]
fn no_tree_is_deeper_than_its_text_was_measured() {
    let mut random = Random(0xace0_ba5e);
    let mut texts: Vec<String> = (1..=31).flat_map(nested).map(|(_, text)| text).collect();
    for _ in 0..2_000 {
        let mut text = "true".to_owned();
        for _ in 0..random.below(9) {
            text = match random.below(12) {
                0 => format!("!({text})"),
                1 => format!("{text} && resource.a.b"),
                2 => format!("resource[0] || {text}"),
                3 => format!("[{text}, 1][0]"),
                4 => format!("{{'a': {text}}}.a"),
                5 => format!("({text} ? 1 : 2) == 1"),
                6 => format!("resource.all(x, {text})"),
                7 => format!("resource.map(x, {text}, x) == []"),
                8 => format!("string({text}).startsWith('a')"),
                9 => format!("({text}) == resource"),
                10 => format!("true ? ({text}) : {text}"),
                _ => format!("{text} && {text} || {text}"),
            };
        }
        texts.push(text);
    }
    let mut measured = 0;
    for text in texts {
        if let Ok(extent) = measure(&text) {
            let (tree, _) =
                parse_deep(&text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
            let slack = 1 + 3 * text.matches("(x, ").count();
            assert!(
                depth(&tree) <= extent.nesting + slack,
                "{text}: {} {extent:?}",
                depth(&tree)
            );
            measured += 1;
        }
    }
    assert!(measured > 1_000, "{measured}");
}

#[test]
fn what_looks_deep_but_is_text_or_comment_is_not_counted() {
    let deep = "([{!".repeat(100);
    for text in [
        format!("path.doc == '{deep}'"),
        format!("path.doc == \"{deep}\\\"{deep}\""),
        format!("path.doc == r'{deep}\\'"),
        format!("path.doc == '''{deep}\n'{deep}'''"),
        format!("path.doc == R\"\"\"{deep}\n\\\"\"\""),
        format!("true // {deep}\n && true"),
    ] {
        compiled(&text);
    }
}
