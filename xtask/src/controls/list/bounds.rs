//! What a client can make this side hold (invariant 14).

use crate::controls::control::{Control, Edit, integration};

pub(super) const CONTROLS: [Control; 8] = [
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
            text: "now + wait.min(LONGEST_ACCEPT_RETRY)",
            replacement: "now + wait.min(Duration::ZERO)",
        }],
        test: integration(
            "acceptor_limits",
            "threats_49_without_file_descriptors_it_waits_and_finishes_what_it_has",
        ),
    },
    Control {
        name: "accept-rest",
        invariant: 14,
        without: "a listener without file descriptors keeps a processor busy",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/faults.rs",
            text: "Some(now + wait.min(LONGEST_ACCEPT_RETRY));",
            replacement: "Some(now + wait.min(LONGEST_ACCEPT_RETRY)).filter(|_| false);",
        }],
        test: integration(
            "few_files",
            "threats_49_and_92_without_files_it_serves_whom_it_has_and_recovers",
        ),
    },
    Control {
        name: "accept-complaints",
        invariant: 14,
        without: "every error of accept is a line of the log",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/faults.rs",
            text: "trouble.told.elapsed() >= REMIND_EVERY",
            replacement: "trouble.told.elapsed() >= REMIND_EVERY.min(Duration::ZERO)",
        }],
        test: integration(
            "few_files",
            "threats_49_without_file_descriptors_now_and_then_it_complains_once",
        ),
    },
    Control {
        name: "idle-connections",
        invariant: 14,
        without: "a connection without requests stays open while anything comes over it",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/serve/life.rs",
            text: "        allowed.min(FAR)",
            replacement: "        allowed.max(FAR)",
        }],
        test: integration(
            "floods",
            "threats_55_a_flood_without_a_request_keeps_no_connection",
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
