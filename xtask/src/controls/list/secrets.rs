//! What is never logged (invariant 13).

use crate::controls::control::{Control, Edit, integration, unit};

const NO_SECRET: &str = "invariant_13_no_secret_is_logged";

pub(super) const CONTROLS: [Control; 6] = [
    Control {
        name: "key-in-debug",
        invariant: 13,
        without: "an SVID is shown with its key",
        edits: &[Edit {
            file: "crates/spiffe-source/src/snapshot.rs",
            text: r#"            .field("hint", &self.hint)"#,
            replacement: r#"            .field("key", &self.expose_key())"#,
        }],
        test: integration("secrets", NO_SECRET),
    },
    Control {
        name: "chain-in-debug",
        invariant: 13,
        without: "an SVID is shown with its certificates",
        edits: &[Edit {
            file: "crates/spiffe-source/src/snapshot.rs",
            text: r#"            .field("hint", &self.hint)"#,
            replacement: r#"            .field("chain", &self.chain)"#,
        }],
        test: integration("secrets", NO_SECRET),
    },
    Control {
        name: "authorities-in-debug",
        invariant: 13,
        without: "a bundle is shown with its certificates",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/x509/bundle.rs",
            text: r#"            .field("authorities", &self.roots.len())"#,
            replacement: r#"            .field("authorities", &self.authorities().collect::<Vec<_>>())"#,
        }],
        test: integration("secrets", NO_SECRET),
    },
    Control {
        name: "material-in-debug",
        invariant: 13,
        without: "material is shown with its certificates",
        edits: &[Edit {
            file: "crates/spiffe-source/src/material.rs",
            text: r#"            .field("foreign", &self.foreign.keys())"#,
            replacement: r#"            .field("foreign", &self.foreign)"#,
        }],
        test: integration("secrets", NO_SECRET),
    },
    Control {
        name: "key-logged",
        invariant: 13,
        without: "a rotation logs the new key",
        edits: &[Edit {
            file: "crates/spiffe-source/src/observe/mod.rs",
            text: "        new_serial = change.after().map(|svid| svid.serial()),",
            replacement: "        new_key = ?snapshot.svid().map(|svid| svid.expose_key()),",
        }],
        test: integration("secrets", NO_SECRET),
    },
    Control {
        name: "claims-in-debug",
        invariant: 13,
        without: "a token is shown with its claims",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/jwt/svid.rs",
            text: r#"f.debug_struct("JwtSvid")"#,
            replacement: r#"f.debug_struct("JwtSvid").field("claims", &self.claims)"#,
        }],
        test: unit(
            "spiffe-verify",
            "jwt::tests::claims::conformance_51_neither_token_nor_claims_are_written_anywhere",
        ),
    },
];
