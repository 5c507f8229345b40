//! A file that was cut off while it was written.

use super::super::super::model::{Model, RuleModel};
use super::{EXAMPLE, load, loaded};

#[derive(Debug, Default)]
struct Counted {
    refused: usize,
    whole: usize,
    between_rules: usize,
    in_last_rule: usize,
}

/// Cuts at every byte. What loads has the rules of the whole, from the first on; only the last may lack keys at its end.
fn cut_everywhere(text: &str) -> Counted {
    let whole = loaded(text);
    let mut counted = Counted::default();
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        let Ok(part) = load(cut) else {
            counted.refused += 1;
            continue;
        };
        assert_eq!(part.name, whole.name);
        assert_eq!(part.principals, whole.principals, "cut at {end}");
        assert_eq!(part.users, whole.users, "cut at {end}");
        match kind(&part, &whole) {
            Kind::Whole => counted.whole += 1,
            Kind::Between => counted.between_rules += 1,
            Kind::InLast => {
                assert!(
                    is_prefix(
                        part.rules.last().unwrap(),
                        &whole.rules[part.rules.len() - 1]
                    ),
                    "cut at {end}"
                );
                counted.in_last_rule += 1;
            }
        }
    }
    counted
}

enum Kind {
    Whole,
    Between,
    InLast,
}

fn kind(part: &Model, whole: &Model) -> Kind {
    let count = part.rules.len();
    if part.rules == whole.rules {
        return Kind::Whole;
    }
    if part.rules == whole.rules[..count] {
        return Kind::Between;
    }
    assert_eq!(part.rules[..count - 1], whole.rules[..count - 1]);
    Kind::InLast
}

/// Whether a rule is another one that was cut: what is there is the same, or the beginning of a text.
fn is_prefix(part: &RuleModel, whole: &RuleModel) -> bool {
    let when = match (&part.when, &whole.when) {
        (None, _) => true,
        (Some(part), Some(whole)) => whole.text.starts_with(&part.text),
        (Some(_), None) => false,
    };
    let because = match (&part.because, &whole.because) {
        (None, _) => true,
        (Some(part), Some(whole)) => whole.starts_with(part.as_str()),
        (Some(_), None) => false,
    };
    let user = part.user.is_none() || part.user == whole.user;
    when && because
        && user
        && (&part.name, part.effect, &part.actions, &part.from)
            == (&whole.name, whole.effect, &whole.actions, &whole.from)
}

#[test]
fn the_example_cut_at_every_byte() {
    let counted = cut_everywhere(EXAMPLE);
    assert!(counted.refused > EXAMPLE.len() / 2, "{counted:?}");
    assert!(
        counted.between_rules > 0 && counted.whole > 0,
        "{counted:?}"
    );
}

#[test]
fn a_rule_on_a_line_of_its_own_is_there_or_not() {
    let text = "\
version: 1
name: shop
principals: { orders: own:/orders, stock: own:/stock }
users: { staff: { issuer: i, audiences: [a] } }
rules:
- { name: a, allow: [GET /a], from: [orders], user: { issuer: staff }, when: peer.id == \"x\" }
- { name: b, deny: [\"* /**\"], from: [stock], because: why }
- { name: c, allow: [GET /c], from: [stock], expires: 2031-01-31 }
";
    let counted = cut_everywhere(text);
    assert_eq!(counted.in_last_rule, 0, "{counted:?}");
    // Behind each of the first two rules: its brace, its line end.
    assert_eq!(counted.between_rules, 4, "{counted:?}");
    assert_eq!(counted.whole, 1, "{counted:?}");
}

#[test]
fn json_cut_anywhere_is_refused() {
    let text = r#"{"version":1,"name":"x","principals":{"p":"own:/p"},"rules":[{"name":"a","allow":["GET /"],"from":["p"]}]}"#;
    let counted = cut_everywhere(text);
    assert_eq!(counted.refused, text.len(), "{counted:?}");
}
