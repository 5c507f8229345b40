//! The corpus before the verifier alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use corpus::case::{Bundles, Role};
use corpus::cases;
use corpus::judge::Judge;

#[test]
fn each_case_gets_its_verdict() {
    let cases = cases::all(SystemTime::now());
    // Judges who stay: what they have learned of issuers changes nothing for those who come after,
    // nor for those who come again.
    let mut judges: Vec<(Role, Bundles, Judge)> = Vec::new();
    let mut wrong = Vec::new();
    for case in cases.iter().chain(&cases) {
        let bundles = &case.presented.bundles;
        let known = judges
            .iter()
            .rposition(|(role, known, _)| *role == case.role && known == bundles);
        let place = known.unwrap_or_else(|| {
            judges.push((case.role, bundles.clone(), Judge::new(bundles, case.role)));
            judges.len() - 1
        });
        wrong.extend(judges[place].2.mistakes(case));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_corpus_is_as_large_as_it_says() {
    let cases = cases::all(SystemTime::now());
    let mut names = BTreeSet::new();
    let mut classes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let (mut conformance, mut threats) = (BTreeSet::new(), BTreeSet::new());
    for case in &cases {
        assert!(names.insert(case.id()), "{} stands twice", case.id());
        assert!(
            is_limbo_id(&case.id()),
            "{} is no ID in x509-limbo",
            case.id()
        );
        assert!(!case.conformance.is_empty(), "{} has no number", case.id());
        let of = (case.role, case.verdict.is_bad());
        classes.entry(of).or_default().insert(case.class.clone());
        conformance.extend(case.conformance.iter().copied());
        threats.extend(case.threats.iter().copied());
    }
    for ((role, bad), classes) in &classes {
        let kind = if *bad { "bad" } else { "good" };
        println!("{}: {} {kind} classes", role.name(), classes.len());
        assert!(classes.len() >= if *bad { 150 } else { 30 });
    }
    // What concerns certificates that a peer shows. 14 and 20 bind issuers, 33 to 35 bundle
    // documents, 15 says that there are documents of other kinds.
    let lacking: Vec<_> = (1..=32)
        .filter(|number| ![15].contains(number) && !conformance.contains(number))
        .collect();
    assert!(lacking.is_empty(), "no case for conformance {lacking:?}");
    // 1 is no certificate at all, 36 is a matter of policy.
    let lacking: Vec<_> = (2..=35)
        .filter(|number| !threats.contains(number))
        .collect();
    assert!(lacking.is_empty(), "no case for threats {lacking:?}");
}

/// What the schema of x509-limbo takes for an ID.
fn is_limbo_id(id: &str) -> bool {
    id.split("::").all(|part| {
        let others = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        part.len() > 1
            && part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(others)
    })
}
