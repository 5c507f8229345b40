//! What a client can make this side hold (invariant 14).

use crate::controls::control::{Control, Edit, integration};

pub(super) const CONTROLS: [Control; 2] = [
    Control {
        name: "handshake-deadline",
        invariant: 14,
        without: "a handshake may take as long as the client likes",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/handshake.rs",
            text: "tokio::time::timeout(self.timeout, accept)",
            replacement: "tokio::time::timeout(std::time::Duration::MAX, accept)",
        }],
        test: integration(
            "acceptor",
            "threats_45_a_slow_handshake_is_cut_at_the_deadline",
        ),
    },
    Control {
        name: "pending-handshakes",
        invariant: 14,
        without: "any number of handshakes may be pending",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/listener.rs",
            text: "        while self.oldest_first.len() >= self.max_pending {",
            replacement: "        while self.oldest_first.len() >= usize::MAX.max(self.max_pending) {",
        }],
        test: integration(
            "acceptor",
            "one_pending_handshake_too_many_makes_the_oldest_give_way",
        ),
    },
];
