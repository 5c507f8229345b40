//! What the walk accepts without a dynamic value never meets a value of another type.

use super::*;

const LEAVES: &[&str] = &[
    "path.doc",
    "id.office",
    "'north'",
    "'7'",
    "1",
    "0",
    "2u",
    "1.5",
    "true",
    "false",
    "user.scopes",
    "request.headers['accept']",
    "['a', 'north']",
    "[1, 7]",
    "{'north': 1}",
    "peer.id",
    "x",
    "y",
];

const BINARY: &[&str] = &[
    "==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", " in ",
];

fn expression(random: &mut Random, levels: usize) -> String {
    let kind = if levels == 0 { 0 } else { random.below(14) };
    let mut part = || expression(random, levels.saturating_sub(1));
    match kind {
        0 => LEAVES[random.below(LEAVES.len())].to_owned(),
        1 => format!("!({})", part()),
        2 => format!("-({})", part()),
        3 => format!("size({})", part()),
        4 => format!("int({}) + 1", part()),
        5 => format!("string({})", part()),
        6 => format!("({}).startsWith({})", part(), part()),
        7 => format!("({})[{}]", part(), part()),
        8 => format!("({}).all(x, {})", part(), part()),
        9 => format!("({}).map(y, {})", part(), part()),
        10 => format!("({}).filter(x, {})", part(), part()),
        11 => format!("({}).lowerAscii().matches('o')", part()),
        _ => {
            let (left, right) = (part(), part());
            format!("({left}) {} ({right})", BINARY[random.below(BINARY.len())])
        }
    }
}

#[test]
fn what_is_accepted_meets_no_value_of_another_type() {
    let request = Request::new();
    let mut random = Random(0x7e57_1e55);
    let mut accepted = 0;
    for round in 0..8_000 {
        let text = expression(&mut random, 1 + round % 3);
        if compile(&text).is_err() {
            continue;
        }
        accepted += 1;
        if let Err(error) = request.holds(&text) {
            let error = error.to_string();
            for unsound in ["types", "wrong type", "neither true nor false", "no map"] {
                assert!(!error.contains(unsound), "{text}: {error}");
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
}
