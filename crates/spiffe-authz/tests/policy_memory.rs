//! What a policy takes of memory, in a process of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use spiffe_authz::policy::Policy;

const CALLER: &str = "spiffe://example.org/service/orders";

fn text(rules: &str) -> String {
    format!("version: 1\nname: p\ntrust_domains: {{ example.org: {{}} }}\nrules:\n{rules}")
}

/// A small file takes bounded memory, whatever its regular expressions are.
#[test]
fn regular_expressions_take_bounded_memory_together() {
    let mut rules = String::new();
    for rule in 0..40 {
        let when: Vec<_> = (0..50)
            .map(|number| format!("request.path.matches(\"^[a-z]{{2000}}{rule}x{number}$\")"))
            .collect();
        rules.push_str(&format!(
            "  - {{ name: r{rule}, allow: [\"GET /d\"], from: [\"{CALLER}\"], when: '{}' }}\n",
            when.join("||")
        ));
    }
    let text = text(&rules);
    let before = resident();
    let policy = Policy::from_yaml(&text);
    let taken = resident().saturating_sub(before);
    assert!(
        policy.is_err() || taken < 64 * 1024,
        "a file of {} KiB takes {} MiB",
        text.len() / 1024,
        taken / 1024
    );
}

/// In KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
