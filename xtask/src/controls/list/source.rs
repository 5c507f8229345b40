//! What an update may break (invariant 8).

use crate::controls::control::{Control, Edit, integration};

const UPDATE: &str = "crates/spiffe-source/src/workload_api/update.rs";
const OWN_INTO_BUNDLES: &str = "            bundles.insert(bundle.trust_domain().clone(), bundle);";

pub(super) const CONTROLS: [Control; 3] = [
    Control {
        name: "foreign-breaks-all",
        invariant: 8,
        without: "a malformed foreign bundle rejects the whole update",
        edits: &[Edit {
            file: UPDATE,
            text: "            snapshot: Snapshot::new(before.revision() + 1, svids, bundles),",
            replacement: r"            snapshot: if problems.is_empty() {
                Snapshot::new(before.revision() + 1, svids, bundles)
            } else {
                before.clone()
            },",
        }],
        test: integration(
            "source",
            "invariant_8_a_broken_foreign_bundle_breaks_that_trust_domain_alone",
        ),
    },
    Control {
        name: "foreign-lives-on",
        invariant: 8,
        without: "trust in a domain outlives a bundle that has become unusable",
        edits: &[Edit {
            file: UPDATE,
            text: "                Err(error) => problems.push(error.to_string()),\n",
            replacement: r"                Err(error) => {
                    problems.push(error.to_string());
                    if let Some(known) = before.bundle_arc(domain).cloned() {
                        bundles.insert(domain.clone(), known);
                    }
                }
",
        }],
        test: integration(
            "source",
            "invariant_8_a_broken_foreign_bundle_breaks_that_trust_domain_alone",
        ),
    },
    Control {
        name: "own-among-federated",
        invariant: 8,
        without: "a federated entry for the own domain replaces the own bundle",
        edits: &[
            Edit {
                file: UPDATE,
                text: "            .filter(|domain| own.is_none_or(|own| own.trust_domain() != *domain));",
                replacement: "            .filter(|_| true);",
            },
            Edit {
                file: UPDATE,
                text: OWN_INTO_BUNDLES,
                replacement: r"            let domain = bundle.trust_domain().clone();
            bundles.entry(domain).or_insert(bundle);",
            },
        ],
        test: integration("source", "a_federated_entry_never_replaces_the_own_bundle"),
    },
];
