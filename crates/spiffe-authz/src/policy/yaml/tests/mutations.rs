//! Whatever a file holds, loading it ends with a policy or with a bounded number of problems.

use super::super::problems::MAX_PROBLEMS;
use super::super::{case, load};
use super::EXAMPLE;

/// A sequence of numbers that is the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ":",
    ": ",
    "- ",
    ", ",
    "&a ",
    "*a",
    "!!str ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    " #",
    "\n",
    "\r",
    "\t",
    "\0",
    "  ",
    "? ",
    "<<: ",
    "~",
    "null",
    "true",
    "off",
    "1",
    "0x",
    "1e999",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "anyone",
    "spiffe://",
    "own:/",
    "/**",
    "{id}",
    "grpc ",
    "\u{feff}",
    "ä",
    "\u{2028}",
    "\\u0000",
    "\\",
    "@",
    "`",
    "%41",
    "from: ",
    "rules:\n",
    "tests:\n",
    "when: ",
    "deny: ",
];

fn mutated(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let length = numbers.below(12).min(bytes.len() - at);
        match numbers.below(5) {
            0 => {
                bytes.drain(at..at + length);
            }
            1 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            2 => {
                let copy = bytes[at..at + length].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                bytes.splice(at..at + length, piece.bytes());
            }
        }
    }
    bytes
}

#[test]
fn no_mutation_of_a_good_file_panics() {
    let mut numbers = Numbers(0x5eed_1e55_0dd5_1234);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let bytes = mutated(EXAMPLE, &mut numbers);
        match load(&bytes) {
            Ok(_) => good += 1,
            Err(problems) => {
                bad += 1;
                assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
                assert!(
                    problems
                        .iter()
                        .all(|problem| problem.line() > 0 && problem.column() > 0)
                );
                assert!(problems.is_sorted_by_key(|problem| (problem.line(), problem.column())));
            }
        }
    }
    assert!(good > 500 && bad > 5_000, "{good} loaded, {bad} did not");
}

#[test]
fn no_mutation_of_a_good_line_panics() {
    let line = r#"{"id":"c1","peer":"spiffe://example.org/a","request":"GET /a","headers":{"x":["v"]},"user":{"issuer":"i","subject":"s","scopes":["r"],"claims":{"a":[1,2.5,null]}},"resource":null}"#;
    let mut numbers = Numbers(0xca5e_ca5e_ca5e_0001);
    let mut bad = 0;
    for _ in 0..20_000 {
        let bytes = mutated(line, &mut numbers);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        if let Err(problems) = case(text) {
            bad += 1;
            assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
        }
    }
    assert!(bad > 5_000, "{bad}");
}
