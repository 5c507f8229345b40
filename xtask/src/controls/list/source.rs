//! What an update may break (invariant 8).

use crate::controls::control::{Control, Edit, integration, unit};

const KEEPER: &str = "crates/spiffe-source/src/keeper/mod.rs";
const HELD: &str = "crates/spiffe-source/src/keeper/held.rs";
const READER: &str = "crates/spiffe-source/src/keeper/reader.rs";

pub(super) const CONTROLS: [Control; 10] = [
    Control {
        name: "foreign-breaks-all",
        invariant: 8,
        without: "a malformed foreign bundle rejects the whole update",
        edits: &[Edit {
            file: KEEPER,
            text: "        let own = self.reader.own(material, now, &mut problems);",
            replacement: r"        let mut refused = Vec::new();
        let known = lock(&self.held).foreign.clone();
        let _ = self.reader.foreign(&known, material, None, &mut refused);
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
    Control {
        name: "misfit-key",
        invariant: 8,
        without: "an own SVID is published with a key that is not its own",
        edits: &[Edit {
            file: READER,
            text: "        self.check_key(&material.key, verified.public_key(), verified.spiffe_id())?;",
            replacement: "        let _ = self.check_key(&material.key, verified.public_key(), verified.spiffe_id());",
        }],
        test: unit(
            "spiffe-source",
            "keeper::tests::invariant_8_an_unusable_own_part_leaves_the_own_material_and_lets_the_rest_apply",
        ),
    },
    Control {
        name: "own-part-lost",
        invariant: 8,
        without: "an unusable own part takes the own SVID away",
        edits: &[Edit {
            file: KEEPER,
            text: "            Err(unusable) => match self.reader.kept(&held.own, material, &unusable) {",
            replacement: "            Err(unusable) => match Some(reader::Own::default()) {",
        }],
        test: unit(
            "spiffe-source",
            "keeper::tests::invariant_8_an_unusable_own_part_leaves_the_own_material_and_lets_the_rest_apply",
        ),
    },
    Control {
        name: "expiry-unnoticed",
        invariant: 5,
        without: "an own SVID stays in force beyond its end",
        edits: &[Edit {
            file: HELD,
            text: "    now < svid.verified().not_after()",
            replacement: "    now < svid.verified().not_after() + std::time::Duration::from_secs(1)",
        }],
        test: unit(
            "spiffe-source",
            "keeper::tests::an_expiry_is_an_event_and_a_clock_that_comes_back_undoes_it",
        ),
    },
    Control {
        name: "idle-stream",
        invariant: 5,
        without: "a stream without its channel counts as idle and is never probed",
        edits: &[Edit {
            file: "crates/spiffe-source/src/workload_api/client.rs",
            text: "            _connection: grpc,",
            replacement: "            _connection: Grpc::new(tonic::transport::Endpoint::from_static(\"http://localhost\").connect_lazy()),",
        }],
        test: integration(
            "chaos",
            "an_agent_that_is_stopped_for_longer_than_a_keepalive",
        ),
    },
    Control {
        name: "torn-files",
        invariant: 8,
        without: "a broken set of files counts at once, although its writer may not be done",
        edits: &[Edit {
            file: "crates/spiffe-source/src/files/part.rs",
            text: "                if self.is_doubtful(judged) && !is_restless && !self.has_lasted(now) {",
            replacement: "                if self.is_doubtful(judged) && !is_restless && now < last.since {",
        }],
        test: unit(
            "spiffe-source",
            "files::tests::changes::a_set_that_is_torn_for_a_moment_leaves_no_trace",
        ),
    },
    Control {
        name: "readable-key",
        invariant: 13,
        without: "a key that everybody can read is used",
        edits: &[Edit {
            file: "crates/spiffe-source/src/files/set.rs",
            text: "        if contents.mode & (READABLE | WRITABLE) == 0 {",
            replacement: "        if contents.mode & (READABLE | WRITABLE) != 1 {",
        }],
        test: unit(
            "spiffe-source",
            "files::tests::a_key_that_everybody_can_read_is_refused_or_used_by_setting",
        ),
    },
    Control {
        name: "left-out-identity",
        invariant: 5,
        without: "an identity that an update leaves out stays in force where a picker is set",
        edits: &[Edit {
            file: READER,
            text: "        if all_read && !is_given && !material.svids.is_empty() {",
            replacement: "        if false && all_read && !is_given {",
        }],
        test: unit(
            "spiffe-source",
            "keeper::tests::conformance_68_an_identity_that_an_update_leaves_out_is_taken_back_whatever_picks_it",
        ),
    },
];
