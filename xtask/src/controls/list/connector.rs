//! Whom a client is connected to, for how long, and what it sends there (invariants 1, 4, 5, 7 and 9).

use crate::controls::control::{Control, Edit, integration, unit};

const ATTEMPTS: &str = "crates/spiffe-connector/src/attempts.rs";
const CONNECTOR: &str = "crates/spiffe-connector/src/connector.rs";
const GUARDED: &str = "crates/spiffe-connector/src/guarded.rs";
const JWT: &str = "crates/spiffe-connector/src/jwt.rs";
const LIFE: &str = "crates/spiffe-connector/src/life.rs";
const SERVERS: &str = "crates/spiffe-connector/src/servers.rs";

pub(super) const CONTROLS: [Control; 10] = [
    Control {
        name: "authority-not-in-the-map",
        invariant: 4,
        without: "a server that the map does not name may be any of those that it names",
        edits: &[Edit {
            file: SERVERS,
            text: "        self.0.get(&target.to_string())",
            replacement: "        self.0.get(&target.to_string()).or(self.0.values().next())",
        }],
        test: integration(
            "connector",
            "expected::what_the_map_does_not_name_is_not_even_dialled",
        ),
    },
    Control {
        name: "server-of-another-authority",
        invariant: 4,
        without: "each server of the map may answer for every other",
        edits: &[Edit {
            file: CONNECTOR,
            text: "            Some(expected) => revision.narrowed_to(expected),",
            replacement: "            Some(_) => revision,",
        }],
        test: integration(
            "connector",
            "expected::what_is_expected_depends_on_what_is_dialled",
        ),
    },
    Control {
        name: "server-no-longer-trusted",
        invariant: 5,
        without: "a client goes on with a server whom it has ceased to trust",
        edits: &[Edit {
            file: GUARDED,
            text: "            .is_some_and(|end| end.as_mut().poll(cx).is_pending())",
            replacement: "            .is_none_or(|end| end.as_mut().poll(cx).is_pending() || true)",
        }],
        test: integration(
            "connector",
            "retirement::where_trust_is_withdrawn_everything_ends_at_once",
        ),
    },
    Control {
        name: "retired-in-the-pool",
        invariant: 7,
        without: "a connection that is to be given no more requests is given some",
        edits: &[Edit {
            file: LIFE,
            text: "        connected.poison();",
            replacement: "        let _ = connected;",
        }],
        test: integration(
            "connector",
            "retirement::after_a_rotation_requests_move_on_and_what_is_in_flight_is_finished",
        ),
    },
    Control {
        name: "sent-again-whatever-happened",
        invariant: 7,
        without: "a request that a server may have processed is sent again",
        edits: &[Edit {
            file: ATTEMPTS,
            text: "        let comes_again = error.is_unprocessed()",
            replacement: "        let comes_again = error.connect().is_none()",
        }],
        test: integration(
            "connector",
            "retries::what_a_server_may_have_processed_is_not_sent_again",
        ),
    },
    Control {
        name: "given-up-for-all",
        invariant: 7,
        without: "a call that gives up takes those with it that wait for its connection",
        edits: &[Edit {
            file: ATTEMPTS,
            text: "            || (error.is_left_waiting() && begun.elapsed() < limits.connection)\n",
            replacement: "            || (error.is_left_waiting() && begun.elapsed() > limits.connection)\n",
        }],
        test: integration(
            "connector",
            "grpc::a_call_that_gives_up_takes_no_other_with_it",
        ),
    },
    Control {
        name: "lost-with-its-connection",
        invariant: 7,
        without: "a call waits for ever for a connection that is closed",
        edits: &[Edit {
            file: ATTEMPTS,
            text: "        life.closed().await;\n",
            replacement: "        life.closed().await;\n        std::future::pending::<()>().await;\n",
        }],
        test: unit(
            "spiffe-connector",
            "attempts::tests::a_request_that_its_connection_has_lost_is_sent_on_another",
        ),
    },
    Control {
        name: "goodbye-unread",
        invariant: 7,
        without: "a client that can send nothing more does not read what its requests have come to",
        edits: &[Edit {
            file: GUARDED,
            text: "            Poll::Ready(Err(error)) if is_gone(&error) => {",
            replacement: "            Poll::Ready(Err(error)) if false && is_gone(&error) => {",
        }],
        test: integration(
            "connector",
            "retries::a_goodbye_is_read_although_nothing_can_be_sent_any_more",
        ),
    },
    Control {
        name: "written-into-the-void",
        invariant: 14,
        without: "whoever only writes goes on for ever after the server has gone",
        edits: &[Edit {
            file: GUARDED,
            text: "since.elapsed() < LAST_WORDS",
            replacement: "since.elapsed() < LAST_WORDS * 1000",
        }],
        test: integration(
            "connector",
            "retries::who_only_writes_learns_that_nothing_can_be_sent_any_more",
        ),
    },
    Control {
        name: "request-without-token",
        invariant: 9,
        without: "a request that was to have a token goes out without one",
        edits: &[Edit {
            file: JWT,
            text: "                return Err(error.answer(&request));",
            replacement: "                let _ = error.answer(&request);",
        }],
        test: integration("connector", "jwt::without_a_token_there_is_no_request"),
    },
];
