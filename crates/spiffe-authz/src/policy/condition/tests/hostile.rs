//! Texts that aim at the stack of the parser and of the evaluator, and texts that mean nothing.

use std::thread;

use super::super::bounds::{MAX_BYTES, MAX_NESTING, MAX_OPERATORS, measure};
use super::*;

/// The stack of a thread as Rust and tokio make it.
const STACK: usize = 2 * 1024 * 1024;

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let worker = thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .unwrap();
    worker.join().unwrap();
}

/// Compiles, and evaluates what compiles. Getting here again is the point.
fn survive(text: &str) -> Result<(), ConditionProblem> {
    let condition = compile(text)?;
    let request = Request::new();
    let _ = request.holds(condition.source());
    Ok(())
}

/// Forms that nest, each with how it is written `n` deep.
pub(super) fn nested(n: usize) -> Vec<(&'static str, String)> {
    let around = |open: &str, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(n), close.repeat(n))
    };
    let chain = |one: &str, operator: &str| vec![one; n.saturating_add(1)].join(operator);
    vec![
        ("parentheses", around("(", "true", ")")),
        ("lists", format!("{} == resource", around("[", "1", "]"))),
        ("maps", format!("{} == resource", around("{'a':", "1", "}"))),
        ("not", format!("{}true", "!".repeat(n))),
        ("spaced not", format!("{}true", "! ".repeat(n))),
        ("minus", format!("{}1 == 1", "-".repeat(n))),
        ("not in parentheses", around("!(", "true", ")")),
        ("conditionals", format!("{}true", "true?true:".repeat(n))),
        ("conditionals before", around("(", "true", "?true:false)")),
        ("members", format!("resource{} == 1", ".a".repeat(n))),
        ("indexes", format!("resource{} == 1", "[0]".repeat(n))),
        (
            "named indexes",
            format!("resource{} == 1", "['a']".repeat(n)),
        ),
        (
            "computed indexes",
            format!("resource{} == 1", "[path.doc]".repeat(n)),
        ),
        (
            "indexes in indexes",
            format!("{} == 1", around("resource[", "0", "]")),
        ),
        ("calls", format!("{} == ''", around("string(", "1", ")"))),
        (
            "methods",
            format!("path.doc{} == ''", ".lowerAscii()".repeat(n)),
        ),
        ("sums", format!("{} == 1", chain("1", "+"))),
        ("products", format!("{} == 1", chain("resource.n", "*"))),
        (
            "sums to the right",
            format!("{} == 1", around("1+(", "1", ")")),
        ),
        ("comparisons", chain("resource", "==")),
        ("ordered", chain("resource", "<")),
        ("in", chain("resource", " in ")),
        (
            "filters",
            format!("resource{} == []", ".filter(x, true)".repeat(n)),
        ),
        ("all in all", around("resource.all(x, ", "true", ")")),
        (
            "exists in range",
            around("[", "1", "].filter(x, true)") + " == []",
        ),
        ("mixed", around("!(true && [string(", "1", ")] == [''])")),
        ("and in parentheses", around("(true && ", "true", ")")),
        ("and, or", around("true && (true || (", "true", "))")),
        (
            "many ands",
            around("(true && true && true && true && ", "true", ")"),
        ),
    ]
}

#[test]
fn no_nesting_overflows_the_stack() {
    on_a_small_stack(|| {
        for n in (1..=40).chain([64, 100, 128, 255, 256, 257, 400, 1_000, 2_000, 5_000]) {
            for (form, text) in nested(n) {
                let outcome = survive(&text);
                let refused = outcome.is_err_and(|problem| {
                    ["nested deeper", "operators", "bytes"]
                        .iter()
                        .any(|piece| problem.message.contains(piece))
                });
                assert!(n <= MAX_NESTING || refused, "{form}: {n}");
            }
        }
    });
}

#[test]
fn what_is_allowed_is_really_that_deep() {
    on_a_small_stack(|| {
        for text in [
            format!("{}true{}", "(".repeat(32), ")".repeat(32)),
            format!("{}true{}", "!(".repeat(16), ")".repeat(16)),
            format!("{} == 1", ["1"; 32].join("+")),
            format!("resource{} == 1", ".a".repeat(31)),
            format!("{}true", "!".repeat(32)),
        ] {
            assert_eq!(measure(&text).unwrap().nesting, MAX_NESTING, "{text}");
            survive(&text).unwrap();
            let deeper = format!("({text})");
            assert!(
                compile(&deeper)
                    .unwrap_err()
                    .message
                    .contains("nested deeper"),
                "{deeper}"
            );
        }
    });
}

#[test]
fn long_chains_of_logic_and_long_lists_are_fine() {
    on_a_small_stack(|| {
        let ands = vec!["true"; MAX_OPERATORS + 1].join("&&");
        survive(&ands).unwrap();
        survive(&ands.replace("&&", "||")).unwrap();
        survive(&vec!["true&&false"; MAX_OPERATORS / 2 + 1].join("||")).unwrap_err();
        survive(&vec!["true&&false"; MAX_OPERATORS / 2].join("||")).unwrap();
        let too_many = format!("{ands}&&true");
        assert!(
            compile(&too_many)
                .unwrap_err()
                .message
                .contains("256 operators")
        );

        let list = format!("1 in [{}]", vec!["1"; 1_000].join(","));
        survive(&list).unwrap();
        let map: Vec<String> = (0..500).map(|n| format!("'{n}':{n}")).collect();
        survive(&format!("'7' in {{{}}}", map.join(","))).unwrap();

        let exact = format!(
            "path.doc == '{}'",
            "a".repeat(MAX_BYTES - "path.doc == ''".len())
        );
        assert_eq!(exact.len(), MAX_BYTES);
        survive(&exact).unwrap();
        let long = format!("{exact} ");
        assert!(compile(&long).unwrap_err().message.contains("16384 bytes"));
    });
}

/// What the scanner takes for a text, the parser must not take for code.
#[test]
fn nothing_hides_nesting_from_the_scanner() {
    on_a_small_stack(|| {
        let deep = "(".repeat(3_000);
        for before in [
            "'\\q", "'\\", "\"\\'", "r'\\'", "br'", "rb'", "'''\\'", "''''", "'\\u12 ", "1r'",
            "'a\n", "r'a\n", "`", "'\\400", "'\\8", "0xr'", "b'", "1.e'", "//\r", "''' ''",
        ] {
            for after in ["", "'", "\"", "'''", "`", "\n"] {
                let _ = survive(&format!("{before}{deep}{after}"));
                let _ = survive(&format!("true == {before}{after}{deep}"));
            }
        }
    });
}

const TOKENS: &[&str] = &[
    "path",
    "id",
    "peer",
    "request",
    "user",
    "resource",
    ".doc",
    ".office",
    ".headers",
    ".scopes",
    ".claims",
    "['accept']",
    "[0]",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "?",
    ".",
    "!",
    "-",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "+",
    "*",
    "/",
    "%",
    " in ",
    "'a'",
    "\"b\"",
    "'",
    "\"",
    "'''",
    "r'x\\'",
    "b'x'",
    "1",
    "2u",
    "0x1F",
    "1.5",
    "1e9",
    ".5",
    "true",
    "false",
    "null",
    "x",
    ".all(x,",
    ".exists(x,",
    ".exists_one(x,",
    ".map(x,",
    ".filter(x,",
    "has(",
    "size(",
    "int(",
    ".matches('^a$')",
    ".matches(",
    ".startsWith(",
    "// c\n",
    "\n",
    "\\",
    "`a`",
    "ü",
    "@",
    "=",
    "if",
    "package",
    "Thing{",
    "a:",
    "?.",
    ".?a",
    "[?0]",
    "-9223372036854775808",
    "[]",
    "{}",
    "''",
];

#[test]
fn random_tokens_never_panic() {
    on_a_small_stack(|| {
        let mut random = Random(0x5eed_cafe_f00d_1234);
        let mut compiled = 0;
        for _ in 0..20_000 {
            let length = 1 + random.below(12);
            let text: String = (0..length)
                .map(|_| TOKENS[random.below(TOKENS.len())])
                .collect();
            match survive(&text) {
                Ok(()) => compiled += 1,
                Err(problem) => assert!(
                    !problem.message.is_empty() && problem.message.len() < 2_000,
                    "{text}"
                ),
            }
        }
        assert!(compiled > 50, "{compiled}");
    });
}

/// Good texts with a piece cut out, doubled or moved.
#[test]
fn damaged_conditions_never_panic() {
    on_a_small_stack(|| {
        let mut random = Random(0x0dd_ba11);
        let good = [
            r#""x-tenant" in request.headers && request.headers["x-tenant"].exists(t, t.startsWith(id.ns + "-"))"#,
            "user.claims.rows.all(r, r.items.exists(i, i.n == r.n)) || resource.a[0] > -1.5e3",
            "path.doc.matches(r'^[a-z]+$') ? {'a': [1, 2u]}['a'][0] == 1 : !has(resource.b.c)",
        ];
        for _ in 0..3_000 {
            let mut text: Vec<char> = good[random.below(good.len())].chars().collect();
            for _ in 0..=random.below(3) {
                let from = random.below(text.len());
                let to = (from + random.below(8)).min(text.len());
                let piece: Vec<char> = text[from..to].to_vec();
                if random.below(2) == 0 {
                    text.drain(from..to);
                }
                let at = random.below(text.len() + 1);
                text.splice(at..at, piece);
                if text.is_empty() {
                    break;
                }
            }
            let _ = survive(&text.iter().collect::<String>());
        }
    });
}
