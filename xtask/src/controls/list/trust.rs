//! Whose word counts (invariants 3 and 4).

use crate::controls::control::{Control, Edit, integration, of_crate, unit};

const READER: &str = "crates/spiffe-source/src/keeper/reader.rs";
const VERIFIER: &str = "crates/spiffe-verify/src/x509/verifier.rs";
const KNOWN: &str = "crates/spiffe-verify/src/x509/known.rs";

const EVERY_NAMED: &str =
    "        for domain in self.federated.iter().filter(|domain| own != Some(*domain)) {";
const EVERY_GIVEN: &str = r"        let everything: Vec<_> = material
            .foreign
            .keys()
            .filter_map(|key| parse::trust_domain_id(key).ok())
            .collect();
        for domain in everything.iter().filter(|domain| own != Some(*domain)) {";

pub(super) const CONTROLS: [Control; 16] = [
    Control {
        name: "pooled-bundles",
        invariant: 3,
        without: "the bundles of all trust domains are pooled",
        edits: &[Edit {
            file: "crates/spiffe-tls/src/peers.rs",
            text: "            |domain| self.snapshot.bundle(domain),",
            replacement: r"            |domain| {
                let bundles = self.snapshot.bundles();
                let pooled: Vec<u8> = bundles
                    .flat_map(|bundle| bundle.authorities().flatten().copied().collect::<Vec<_>>())
                    .collect();
                let pooled = spiffe_verify::X509Bundle::from_der(domain.clone(), &pooled);
                pooled.ok().map(|pooled| &*Box::leak(Box::new(pooled)))
            },",
        }],
        test: integration(
            "invariants",
            "invariant_3_an_authority_vouches_for_its_own_trust_domain_only",
        ),
    },
    Control {
        name: "wrong-bundle",
        invariant: 3,
        without: "whatever bundle the caller hands out is used",
        edits: &[Edit {
            file: VERIFIER,
            text: ".filter(|bundle| bundle.trust_domain() == id.trust_domain())",
            replacement: "",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "conformance_30_an_answer_with_the_bundle_of_another_domain_is_not_believed",
        ),
    },
    Control {
        name: "wrong-jwt-bundle",
        invariant: 3,
        without: "whatever JWT bundle the caller hands out is used",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/jwt/verify.rs",
            text: "if bundle.trust_domain() != trust_domain {",
            replacement: "if false {",
        }],
        test: unit(
            "spiffe-verify",
            "jwt::tests::keys::conformance_46_a_bundle_speaks_for_its_own_trust_domain",
        ),
    },
    Control {
        name: "issuers-without-the-right",
        invariant: 3,
        without: "whoever has a certificate may issue further ones",
        edits: &[Edit {
            file: VERIFIER,
            text: "        if !issuers.iter().all(Certificate::is_authority) {",
            replacement: "        if false {",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "conformance_23_and_25_intermediates_are_authorities",
        ),
    },
    Control {
        name: "federation-unnamed-server",
        invariant: 4,
        without: "every bundle that the agent gives is trusted: a server",
        edits: &[Edit {
            file: READER,
            text: EVERY_NAMED,
            replacement: EVERY_GIVEN,
        }],
        test: integration(
            "invariants",
            "invariant_4_only_the_own_trust_domain_unless_another_is_named",
        ),
    },
    Control {
        name: "federation-unnamed-source",
        invariant: 4,
        without: "every bundle that the agent gives is trusted: a source",
        edits: &[Edit {
            file: READER,
            text: EVERY_NAMED,
            replacement: EVERY_GIVEN,
        }],
        test: integration(
            "source",
            "invariant_4_a_bundle_that_nobody_named_is_not_trusted",
        ),
    },
    Control {
        name: "expected-server",
        invariant: 4,
        without: "a client takes every server that has an identity",
        edits: &[
            Edit {
                file: "crates/spiffe-tls/src/client/verifier.rs",
                text: "        self.expected.check(verified.spiffe_id()).map_err(refusal)?;",
                replacement: "        let _ = verified;",
            },
            Edit {
                file: "crates/spiffe-tls/src/client/revision.rs",
                text: "        self.expected.check(chain.spiffe_id())?;\n",
                replacement: "",
            },
        ],
        test: integration(
            "invariants",
            "the_expected_server_is_the_only_one_that_gets_a_request",
        ),
    },
    Control {
        name: "issuer-that-nobody-verified",
        invariant: 1,
        without: "issuers are learnt although the path did not lead through them",
        edits: &[Edit {
            file: VERIFIER,
            text: "            && leads_through_all\n",
            replacement: "            && (leads_through_all || !issuers.is_empty())\n",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "known::an_issuer_that_no_path_has_led_through_is_not_learnt",
        ),
    },
    Control {
        name: "issuers-of-any-trust-domain",
        invariant: 3,
        without: "issuers that are known vouch for IDs of every trust domain",
        edits: &[
            Edit {
                file: KNOWN,
                text: "            && known.trust_domain == *bundle.trust_domain()\n",
                replacement: "",
            },
            Edit {
                file: KNOWN,
                text: "            && bundle.validity_of(&verified.authority, presented.now) == Some(known.root);",
                replacement: "            && (bundle.authorities().len() > 0 || known.root.0 < presented.now);",
            },
        ],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "known::issuers_vouch_for_their_own_trust_domain_alone",
        ),
    },
    Control {
        name: "issuers-for-any-purpose",
        invariant: 1,
        without: "issuers that are known for clients vouch for servers",
        edits: &[Edit {
            file: KNOWN,
            text: "        let fits = known.purpose == presented.purpose\n            && ",
            replacement: "        let fits = ",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "known::issuers_are_known_for_one_purpose",
        ),
    },
    Control {
        name: "loops-under-known-issuers",
        invariant: 1,
        without: "a leaf may be its own issuer once that is known",
        edits: &[Edit {
            file: KNOWN,
            text: "            && known.subjects().all(|subject| subject != presented.leaf.subject())\n",
            replacement: "",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "known::a_leaf_that_is_its_issuer_again_is_a_loop_either_way",
        ),
    },
    Control {
        name: "constraints-of-known-issuers",
        invariant: 1,
        without: "name constraints of known issuers are forgotten",
        edits: &[Edit {
            file: KNOWN,
            text: " || issuers.iter().any(Certificate::constrains_names)",
            replacement: "",
        }],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "known::issuers_that_constrain_names_are_asked_each_time",
        ),
    },
    Control {
        name: "role-of-a-leaf",
        invariant: 2,
        without: "extended key usage is not held against the role",
        edits: &[Edit {
            file: VERIFIER,
            text: "let lacks = |oid: &[u8]| !present.is_empty()",
            replacement: "let lacks = |oid: &[u8]| false && !present.is_empty()",
        }],
        test: of_crate("corpus", "verifier", "each_case_gets_its_verdict"),
    },
    Control {
        name: "role-in-another-spelling",
        invariant: 2,
        without: "extended key usages are compared as numbers: several spellings are one",
        edits: &[Edit {
            file: VERIFIER,
            text: "!present.contains(&KeyPurposeId::new(oid))",
            replacement: "{\n            let wanted = KeyPurposeId::new(oid).to_decoded_oid();\n            !present.iter().any(|it| it.to_decoded_oid() == wanted)\n        }",
        }],
        test: of_crate("corpus", "verifier", "each_case_gets_its_verdict"),
    },
    Control {
        name: "chain-order",
        invariant: 14,
        without: "issuers may stand in any order, and subjects repeat: path building is no longer linear",
        edits: &[Edit {
            file: VERIFIER,
            text: "        check_order(presented.leaf, &issuers)?;",
            replacement: "        let _ = check_order(presented.leaf, &issuers);",
        }],
        test: of_crate("corpus", "verifier", "each_case_gets_its_verdict"),
    },
    Control {
        name: "chain-size",
        invariant: 14,
        without: "the certificates of a chain may have any size",
        edits: &[Edit {
            file: VERIFIER,
            text: "    if bytes > MAX_CHAIN_BYTES {",
            replacement: "    if bytes > usize::MAX.max(MAX_CHAIN_BYTES) {",
        }],
        test: of_crate("corpus", "verifier", "each_case_gets_its_verdict"),
    },
];
