//! Small policies and requests at random, over few words, so that much of them meets.

use std::fmt::Write as _;

/// A sequence that is the same for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn picks(&mut self, from: &[&str], most: usize) -> Vec<String> {
        let many = 1 + self.below(most);
        (0..many).map(|_| self.pick(from).to_owned()).collect()
    }
}

const PATHS: [&str; 12] = [
    "/a", "/a/{x}", "/a/**", "/{x}/b", "/*/*", "/a/b", "/a/{x}/c", "/**", "/", "/b/**", "/{x}",
    "/*/b/**",
];
const METHODS: [&str; 7] = ["GET", "POST", "*", "GET,POST", "HEAD", "DELETE", "x"];
const CALLERS: [&str; 10] = [
    "one",
    "two",
    "spiffe://td/a",
    "spiffe://td/a/{n}",
    "spiffe://td/**",
    "spiffe://td/*/b",
    "spiffe://other/**",
    "spiffe://other/a",
    "own:/a/{n}",
    "own:/**",
];
const CONDITIONS: [&str; 8] = [
    r#"request.method == "GET""#,
    r#""x" in request.headers"#,
    r#"request.headers["x"][0] == "1""#,
    r#"request.headers["x"][0] == "1" || peer.id == "spiffe://td/a""#,
    r#"resource.state == "open""#,
    r#"peer.trust_domain == "td""#,
    r#"user.subject == "ada""#,
    r#"request.path != "/a/b""#,
];
const USERS: [&str; 5] = [
    "required",
    "absent",
    "{ issuer: staff }",
    "{ scopes: [read] }",
    "{ claims: { team: blue } }",
];
const IDS: [&str; 9] = [
    "td/a",
    "td/a/b",
    "td/b/b",
    "td/c",
    "other/a",
    "other/b/c",
    "third/a",
    "self/a/q",
    "self/z",
];
const TARGETS: [&str; 14] = [
    "/", "/a", "/a/b", "/a/b/c", "/b", "/b/b", "/c/b/d", "/q", "/q/r", "/a/%62", "/a/../b", "/a/",
    "/a?x=/b", "/a/q/c",
];

/// A policy for a service in the trust domain `self`. Where it is plain, callers and actions decide alone.
pub(super) fn policy(random: &mut Random, plain: bool) -> String {
    let mut text = String::from(
        "version: 1\nname: p\ntrust_domains: { td: {}, other: { federated: true } }\nprincipals: { one: [spiffe://td/a, 'spiffe://td/{n}/b'], two: 'spiffe://other/*' }\nusers: { staff: { issuer: 'https://id', audiences: [here] }, guests: { issuer: 'https://guests', audiences: [here], bound_to: actor } }\n",
    );
    if !plain && random.one_in(12) {
        text.push_str("mode: shadow\n");
    }
    let rules = random.below(6);
    text.push_str(if rules == 0 {
        "rules: []\n"
    } else {
        "rules:\n"
    });
    for rule in 0..rules {
        let allow = !random.one_in(3);
        let effect = if allow { "allow" } else { "deny" };
        let mut actions = random.picks(&PATHS, 2);
        for action in &mut actions {
            *action = format!("'{} {action}'", random.pick(&METHODS));
        }
        let _ = writeln!(
            text,
            "  - name: r{rule}\n    {effect}: [{}]",
            actions.join(", ")
        );
        let mut captures = false;
        match random.below(5) {
            0 => text.push_str("    from: anyone\n    because: a test\n"),
            1 => text.push_str("    from: authenticated\n    because: a test\n"),
            _ => {
                let callers = random.picks(&CALLERS, 2);
                captures = callers.iter().all(|caller| caller.contains("{n}"));
                let callers: Vec<_> = callers.iter().map(|caller| format!("'{caller}'")).collect();
                let _ = writeln!(text, "    from: [{}]", callers.join(", "));
            }
        }
        if plain {
            continue;
        }
        if random.one_in(3) {
            let names_path = actions.iter().all(|action| action.contains("{x}"));
            let when = match (names_path, captures) {
                (true, true) if random.one_in(2) => "path.x == id.n",
                (true, _) if random.one_in(2) => r#"path.x == "b""#,
                (_, true) if random.one_in(2) => r#"id.n != "b""#,
                _ => random.pick(&CONDITIONS),
            };
            let _ = writeln!(text, "    when: '{when}'");
        }
        if random.one_in(4) {
            let _ = writeln!(text, "    user: {}", random.pick(&USERS));
        }
        if allow && random.one_in(5) {
            let _ = writeln!(
                text,
                "    expires: {}",
                random.pick(&["1969-01-01", "1980-01-01"])
            );
        }
        if random.one_in(5) {
            text.push_str("    shadow: true\n");
        }
    }
    text
}

/// A request as a line for `eval`.
pub(super) fn request(random: &mut Random, plain: bool) -> String {
    let method = random.pick(&["GET", "POST", "HEAD", "DELETE", "PATCH", "x"]);
    let mut line = format!(
        r#"{{"id":"","request":"{method} {}""#,
        random.pick(&TARGETS)
    );
    if !random.one_in(5) {
        let id = random.pick(&IDS);
        let _ = write!(line, r#","peer":"spiffe://{id}""#);
    }
    if !plain {
        if random.one_in(2) {
            let _ = write!(line, r#","headers":{{"x":"{}"}}"#, random.below(2));
        }
        if random.one_in(2) {
            let _ = write!(
                line,
                r#","resource":{{"state":"{}"}}"#,
                random.pick(&["open", "shut"])
            );
        }
        if random.one_in(2) {
            let issuer = random.pick(&["https://id", "https://id", "https://guests", "https://no"]);
            let subject = random.pick(&["ada", "bob"]);
            let scopes = random.pick(&["", r#""read""#]);
            let team = random.pick(&["blue", "red"]);
            let _ = write!(
                line,
                r#","user":{{"issuer":"{issuer}","subject":"{subject}","scopes":[{scopes}],"claims":{{"aud":"here","team":"{team}","act":{{"sub":"spiffe://td/a"}}}}}}"#
            );
        }
    }
    line.push('}');
    line
}
