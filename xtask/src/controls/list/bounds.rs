//! What a client can make this side hold (invariant 14).

use crate::controls::control::{Control, Edit, integration};

pub(super) const CONTROLS: [Control; 5] = [
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
            file: "crates/spiffe-acceptor/src/pending.rs",
            text: "        while self.by_age.len() >= self.max {",
            replacement: "        while self.by_age.len() >= usize::MAX.max(self.max) {",
        }],
        test: integration(
            "acceptor",
            "one_pending_handshake_too_many_makes_the_oldest_give_way",
        ),
    },
    Control {
        name: "handshake-quota",
        invariant: 14,
        without: "one address may take every place among the pending handshakes",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/pending.rs",
            text: "        if pending.len() < self.max_per_address {",
            replacement: "        if pending.len() < usize::MAX.max(self.max_per_address) {",
        }],
        test: integration(
            "acceptor_limits",
            "threats_46_an_address_over_its_quota_gives_way_to_itself",
        ),
    },
    Control {
        name: "accept-pause",
        invariant: 14,
        without: "errors of accept are answered by trying again at once",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/faults.rs",
            text: "Instant::now() + wait.min(LONGEST_ACCEPT_RETRY)",
            replacement: "Instant::now() + wait.min(Duration::ZERO)",
        }],
        test: integration(
            "acceptor_limits",
            "threats_49_without_file_descriptors_it_waits_and_finishes_what_it_has",
        ),
    },
    Control {
        name: "open-connections-cap",
        invariant: 14,
        without: "any number of connections may be open",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/serve/mod.rs",
            text: "Semaphore::new(limits.max_connections)",
            replacement: "Semaphore::new(limits.max_connections.max(10_000))",
        }],
        test: integration(
            "acceptor_limits",
            "no_more_connections_are_open_than_allowed",
        ),
    },
];
