//! Looking at a policy before it decides: its own tests, single requests, what a rule lacks, what looks
//! wrong, what a change changes. `spiffectl policy` is made of this.
//!
//! ```
//! use std::time::SystemTime;
//! use spiffe_authz::policy::{Policy, review};
//!
//! let policy = Policy::from_yaml(r#"
//! version: 1
//! name: orders
//! trust_domains: { example.org: {} }
//! principals: { shop: spiffe://example.org/ns/shop/sa/api }
//! rules:
//!   - { name: read, allow: ["GET /orders/{id}"], from: [shop] }
//! tests:
//!   - { peer: spiffe://example.org/ns/shop/sa/api, request: GET /orders/7, expect: allow, rule: read }
//!   - { peer: spiffe://example.org/ns/shop/sa/api, request: PUT /orders/7, expect: deny }
//! "#)?;
//! let now = SystemTime::now();
//! assert!(review::tests(&policy, now).iter().all(|outcome| outcome.is_passed()));
//!
//! let request = r#"{"id": "c1", "peer": "spiffe://example.org/ns/shop/sa/api", "request": "PUT /orders/7"}"#;
//! let request = review::RecordedRequest::from_json(request)?;
//! let explanation = review::explain(&policy, &request, now);
//! assert!(explanation.to_string().contains("read"), "came close: {explanation}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod agreement;
mod answer;
mod callers;
mod conditions;
mod diff;
mod explanation;
mod graph;
mod lints;
mod naive;
mod own_tests;
#[cfg(test)]
mod random;
mod reach;
mod recorded;
mod shape;
mod trie;

pub use answer::answer;
pub use diff::{Change, Diff, diff};
pub use explanation::{Explanation, NearMiss, explain};
pub use graph::Graph;
pub use lints::{Lint, lints};
pub use own_tests::{FailedTests, TestOutcome, run_file, tests};
pub use recorded::{InvalidRequest, RecordedRequest};

/// A text from a file, as it may stand on a terminal.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '"' | '\'' | '\\' => shown.push(sign),
            _ => shown.extend(sign.escape_debug()),
        }
    }
    shown
}
