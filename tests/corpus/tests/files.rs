//! The files of the corpus are enough to drive a verification.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::time::SystemTime;

use corpus::case::Role;
use corpus::judge::Judge;
use corpus::key::KeyKind;
use corpus::world::World;
use corpus::{cases, manifest};

#[test]
fn the_manifest_alone_drives_a_verification() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(KeyKind::P256, SystemTime::now());
    let cases = cases::of_kind(&world);
    manifest::write(directory.path(), &cases).unwrap();

    let limbo = manifest::read(directory.path()).unwrap();
    assert_eq!((limbo.version, limbo.testcases.len()), (1, cases.len()));
    for testcase in &limbo.testcases {
        let role = match testcase.validation_kind.as_str() {
            "CLIENT" => Role::Client,
            "SERVER" => Role::Server,
            other => panic!("{other}"),
        };
        let judge = Judge::new(&testcase.bundles().unwrap(), role);
        let chain = testcase.chain().unwrap();
        let verdict = judge.verify(&chain, testcase.time().unwrap());
        let id = verdict.as_ref().ok().map(ToString::to_string);
        let reason = verdict.as_ref().err().map(|error| error.fault().as_str());
        if testcase
            .features
            .iter()
            .any(|feature| feature == "handshake")
        {
            assert_eq!(testcase.expected_result, "FAILURE");
        } else {
            let spiffe = &testcase.spiffe;
            assert_eq!(id, spiffe.expected_spiffe_id, "{}", testcase.id);
            assert_eq!(reason, spiffe.expected_reason.as_deref(), "{}", testcase.id);
            let result = if verdict.is_ok() {
                "SUCCESS"
            } else {
                "FAILURE"
            };
            assert_eq!(testcase.expected_result, result, "{}", testcase.id);
        }
        let files = directory.path().join(&testcase.spiffe.files);
        for (number, der) in chain.iter().enumerate() {
            assert_eq!(fs::read(files.join(format!("{number}.der"))).unwrap(), *der);
        }
        for file in ["chain.pem", "key.pem"] {
            assert!(files.join(file).exists(), "{}: {file}", testcase.id);
        }
    }
    let readme = fs::read_to_string(directory.path().join("README.md")).unwrap();
    for field in [
        "trust_bundles",
        "expected_spiffe_id",
        "expected_reason",
        "validation_kind",
    ] {
        assert!(readme.contains(field), "the README says nothing of {field}");
    }
}
