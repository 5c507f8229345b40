//! What an update may break (invariant 8).

use crate::controls::control::{Control, Edit, integration};

const KEEPER: &str = "crates/spiffe-source/src/keeper/mod.rs";
const HELD: &str = "crates/spiffe-source/src/keeper/held.rs";
const READER: &str = "crates/spiffe-source/src/keeper/reader.rs";

pub(super) const CONTROLS: [Control; 3] = [
    Control {
        name: "foreign-breaks-all",
        invariant: 8,
        without: "a malformed foreign bundle rejects the whole update",
        edits: &[Edit {
            file: KEEPER,
            text: "        let own = self.reader.own(material, now, &mut problems);",
            replacement: r"        let mut refused = Vec::new();
        let _ = self.reader.foreign(&held.foreign, material, None, &mut refused);
        if !refused.is_empty() {
            return false;
        }
        let own = self.reader.own(material, now, &mut problems);",
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
            file: READER,
            text: "                Err(error) => problems.push(error.to_string()),\n",
            replacement: r"                Err(error) => {
                    problems.push(error.to_string());
                    if let Some(known) = before.get(domain).cloned() {
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
                file: READER,
                text: ".filter(|domain| own != Some(*domain)) {",
                replacement: ".filter(|_| true) {",
            },
            Edit {
                file: HELD,
                text: "            bundles.insert(own.trust_domain().clone(), own.clone());",
                replacement: r"            let domain = own.trust_domain().clone();
            bundles.entry(domain).or_insert_with(|| own.clone());",
            },
        ],
        test: integration("source", "a_federated_entry_never_replaces_the_own_bundle"),
    },
];
