//! When trust ends, and what must not end with it (invariants 5 and 7).

use crate::controls::control::{Control, Edit, integration, of_crate, unit};

const PEERS: &str = "crates/spiffe-tls/src/peers.rs";
const LIVE: &str = "crates/spiffe-tls/src/live.rs";
const SWAP: &str = "                swap.send_replace(next.clone());";

const OPEN_CONNECTIONS: &str = "invariant_5_trust_that_is_gone_is_gone_for_open_connections_too";

pub(super) const CONTROLS: [Control; 32] = [
    Control {
        name: "remembered-for-ever",
        invariant: 5,
        without: "a chain that was verified once is remembered beyond its dates",
        edits: &[Edit {
            file: PEERS,
            text: "            .filter(|known| known.is_valid_at(now))\n",
            replacement: "",
        }],
        test: integration("tls", "a_remembered_chain_ends_with_its_dates"),
    },
    Control {
        name: "expired-root",
        invariant: 5,
        without: "a root anchors chains after it has expired",
        edits: &[
            Edit {
                file: "crates/spiffe-verify/src/x509/bundle.rs",
                text: "self.not_before <= now && now <= self.not_after",
                replacement: "self.not_before <= now",
            },
            Edit {
                file: "crates/spiffe-verify/src/x509/known.rs",
                text: "ends.fold(root.1, Ord::min)",
                replacement: "ends.fold(root.1.max(root.0 + std::time::Duration::from_secs(1 << 31)), Ord::min)",
            },
        ],
        test: of_crate(
            "spiffe-verify",
            "x509",
            "conformance_29_an_expired_root_anchors_nothing",
        ),
    },
    Control {
        name: "expired-token",
        invariant: 5,
        without: "a token is accepted after its end",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/jwt/svid.rs",
            text: "        if self.expires_at <= now {",
            replacement: "        if false {",
        }],
        test: unit(
            "spiffe-verify",
            "jwt::tests::claims::conformance_44_exp_is_a_point_in_the_future",
        ),
    },
    Control {
        name: "denied-token",
        invariant: 5,
        without: "whoever has been told of the denial still gets a token",
        edits: &[Edit {
            file: "crates/spiffe-source/src/jwt/cache.rs",
            text: "        let snapshot = self.keeper.current();\n        if self.stop.is_cancelled() {",
            replacement: "        let snapshot = self.keeper.snapshots().borrow().clone();\n        if self.stop.is_cancelled() {",
        }],
        test: unit(
            "spiffe-source",
            "jwt::tests::withdrawal::whoever_sees_the_denial_gets_no_token_any_more",
        ),
    },
    Control {
        name: "ended-identity",
        invariant: 5,
        without: "requests pass after the identity of their peer has ended",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/with_peer.rs",
            text: "    if !peer.is_current() || SystemTime::now() >= peer.not_after() {",
            replacement: "    if false {",
        }],
        test: integration(
            "acceptor",
            "once_an_identity_is_withdrawn_its_requests_get_401_and_no_handler",
        ),
    },
    Control {
        name: "ended-identity-in-rules",
        invariant: 5,
        without: "rules let in a peer whose identity has ended",
        edits: &[Edit {
            file: "crates/spiffe-authz/src/decision.rs",
            text: "        Some(peer) if !peer.is_current() => Err(Reason::EndedIdentity),\n",
            replacement: "",
        }],
        test: of_crate(
            "spiffe-authz",
            "require_id",
            "an_identity_that_has_ended_is_refused_by_every_rule_and_its_connection_asked_to_close",
        ),
    },
    Control {
        name: "open-connections",
        invariant: 5,
        without: "connections outlive the trust in their peer",
        edits: &[Edit {
            file: LIVE,
            text: "revision.is_some_and(|revision| vouches(revision, chain))",
            replacement: "revision.is_some_and(|_| chain.is_some())",
        }],
        test: integration("invariants", OPEN_CONNECTIONS),
    },
    Control {
        name: "denied-handshakes",
        invariant: 5,
        without: "who is on the deny-list may shake hands",
        edits: &[Edit {
            file: PEERS,
            text: "        self.permits(&chain)?;\n",
            replacement: "",
        }],
        test: integration(
            "deny",
            "invariant_5_a_denied_caller_loses_its_connection_and_gets_no_other",
        ),
    },
    Control {
        name: "denied-connections",
        invariant: 5,
        without: "connections outlive a denial of their peer",
        edits: &[Edit {
            file: PEERS,
            text: " && self.permits(chain).is_ok()",
            replacement: "",
        }],
        test: integration(
            "deny",
            "invariant_5_a_denial_holds_for_chains_that_are_remembered_and_watched",
        ),
    },
    Control {
        name: "deny-list-cut-off",
        invariant: 5,
        without: "a deny-list that was cut off counts as a shorter one",
        edits: &[Edit {
            file: "crates/spiffe-source/src/deny/text.rs",
            text: "    if has_ended {",
            replacement: "    if true {",
        }],
        test: unit(
            "spiffe-source",
            "deny::tests::a_list_that_is_cut_off_before_its_end_is_no_list",
        ),
    },
    Control {
        name: "deny-list-mixed",
        invariant: 5,
        without: "a mixture of two deny-lists counts as one",
        edits: &[Edit {
            file: "crates/spiffe-source/src/deny/text.rs",
            text: "    (digest == found)",
            replacement: "    (digest == found || true)",
        }],
        test: unit(
            "spiffe-source",
            "deny::tests::a_mixture_of_two_lists_is_no_list_where_each_ends_in_its_digest",
        ),
    },
    Control {
        name: "deny-list-seen-once",
        invariant: 5,
        without: "a deny-list is believed at first sight",
        edits: &[Edit {
            file: "crates/spiffe-source/src/deny/file.rs",
            text: "            if is_known || is(&last) {",
            replacement: "            if is_known || is(&last) || true {",
        }],
        test: unit(
            "spiffe-source",
            "deny::tests::reading::a_list_that_is_there_for_one_look_only_is_not_believed",
        ),
    },
    Control {
        name: "deny-list-lost",
        invariant: 5,
        without: "a deny-list whose file cannot be read any more denies nobody",
        edits: &[Edit {
            file: "crates/spiffe-source/src/deny/lists.rs",
            text: "            Err(problem) => self.file_problem = Some(problem),",
            replacement: r"            Err(problem) => {
                self.file_problem = Some(problem);
                self.parts = self.parts.with_file(DenyList::new());
            }",
        }],
        test: unit(
            "spiffe-source",
            "deny::tests::a_file_that_cannot_be_read_lifts_no_denial_and_is_told_beside_other_problems",
        ),
    },
    Control {
        name: "denied-serial-as-written",
        invariant: 5,
        without: "a denied serial number counts as it was written",
        edits: &[Edit {
            file: "crates/spiffe-source/src/deny/entry.rs",
            text: "    let number = digits.trim_start_matches('0');",
            replacement: "    let number = digits.as_str();",
        }],
        test: unit(
            "spiffe-source",
            "deny::tests::a_serial_number_is_the_same_however_it_is_written",
        ),
    },
    Control {
        name: "first-revision-for-ever",
        invariant: 5,
        without: "handshakes use the revision that the server began with",
        edits: &[Edit {
            file: LIVE,
            text: SWAP,
            replacement: "                let _ = &swap;",
        }],
        test: integration("invariants", OPEN_CONNECTIONS),
    },
    Control {
        name: "gap-between-revisions",
        invariant: 7,
        without: "there is no configuration while the next one is built",
        edits: &[Edit {
            file: LIVE,
            text: "                let next = build(",
            // As long as a build takes on a machine that is busy.
            replacement: r"                swap.send_replace(None);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let next = build(",
        }],
        test: integration("invariants", "invariant_7_rotation_is_invisible"),
    },
    Control {
        name: "old-svid-for-ever",
        invariant: 7,
        without: "the SVID that a process began with is presented for ever",
        edits: &[Edit {
            file: LIVE,
            text: SWAP,
            replacement: "                let _ = &swap;",
        }],
        test: integration(
            "invariants",
            "invariant_7_the_authority_rotates_in_steps_under_traffic",
        ),
    },
    Control {
        name: "one-authority-at-a-time",
        invariant: 7,
        without: "of several authorities in a bundle one alone counts",
        edits: &[Edit {
            file: "crates/spiffe-verify/src/x509/bundle.rs",
            text: "            return (&self.anchors).into();",
            replacement: "            return self.anchors.iter().take(1).cloned().collect();",
        }],
        test: integration(
            "invariants",
            "invariant_7_the_authority_rotates_in_steps_under_traffic",
        ),
    },
    Control {
        name: "open-beyond-the-end",
        invariant: 5,
        without: "connections outlive the chain of their peer",
        edits: &[Edit {
            file: LIVE,
            text: "                () = timed.keep_time() => {}",
            replacement: "                () = std::future::pending() => drop(timed),",
        }],
        test: integration(
            "tls",
            "an_open_connection_is_withdrawn_at_the_end_of_its_chain",
        ),
    },
    Control {
        name: "between-verdict-and-watch",
        invariant: 5,
        without: "trust that goes between the verdict and the watch is not missed by anybody",
        edits: &[Edit {
            file: "crates/spiffe-tls/src/trust.rs",
            text: "            .is_some_and(|revision| vouches(&*revision, chain.as_deref()))",
            replacement: "            .is_some_and(|_| chain.is_some())",
        }],
        test: integration("tls", "a_watch_that_begins_too_late_withdraws_at_once"),
    },
    Control {
        name: "stream-cut",
        invariant: 5,
        without: "a long stream goes on after the trust in its peer has ended",
        edits: &[
            Edit {
                file: "crates/spiffe-acceptor/src/cut.rs",
                text: "            Instant::now() >= deadline",
                replacement: "            Instant::now() >= deadline && false",
            },
            Edit {
                file: "crates/spiffe-acceptor/src/cut.rs",
                text: "    connection.withdrawn().await;",
                replacement: "    std::future::pending::<()>().await;",
            },
        ],
        test: integration(
            "lifetime",
            "invariant_5_long_streams_are_cut_under_axum_serve",
        ),
    },
    Control {
        name: "stream-without-budget",
        invariant: 5,
        without: "a stream whose task had nothing left to spend sleeps through the end of the trust",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/cut.rs",
            text: "Box::pin(unconstrained(until_due(connection, grace, ending)))",
            replacement: "Box::pin(tokio::task::coop::cooperative(until_due(connection, grace, ending)))",
        }],
        test: unit(
            "spiffe-acceptor",
            "cut::tests::a_withdrawal_wakes_a_stream_whose_first_wait_began_without_budget",
        ),
    },
    Control {
        name: "resumed-and-not-verified",
        invariant: 6,
        without: "the chain of a resumed session is taken as it was kept, on either side",
        edits: &[Edit {
            file: PEERS,
            text: "        self.verify(leaf, issuers, now)\n    }\n\n    /// Whether a chain",
            replacement: "        self.remembered_as_it_was(leaf, issuers, now)\n    }\n\n    fn remembered_as_it_was(\n        &self,\n        leaf: &CertificateDer<'_>,\n        issuers: &[CertificateDer<'_>],\n        now: SystemTime,\n    ) -> Result<Arc<VerifiedChain>, X509Error> {\n        match self.remembered.get(&Presented { leaf, issuers }) {\n            Some(known) => Ok(known),\n            None => self.verify(leaf, issuers, now),\n        }\n    }\n\n    /// Whether a chain",
        }],
        test: integration(
            "resumption",
            "a_session_is_accepted_only_where_a_full_handshake_would_be",
        ),
    },
    Control {
        name: "resumed-and-not-admitted",
        invariant: 6,
        without: "admission is not asked",
        edits: &[Edit {
            file: PEERS,
            text: "        if let Some(admission) = &self.admission {",
            replacement: "        if let Some(admission) = self.admission.as_ref().filter(|_| false) {",
        }],
        test: integration(
            "acceptor_limits",
            "admission_holds_for_new_and_for_resumed_sessions",
        ),
    },
    Control {
        name: "kept-identity",
        invariant: 5,
        without: "an identity that outlives its connection is current for ever",
        edits: &[Edit {
            file: "crates/spiffe-tls/src/trust.rs",
            text: "        self.connection.leave_time();\n",
            replacement: "",
        }],
        test: integration(
            "ends_of_trust",
            "an_identity_that_is_kept_ends_after_its_connection",
        ),
    },
    Control {
        name: "stalled-runtime",
        invariant: 5,
        without: "a request is served after the end because a timer was late",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/with_peer.rs",
            text: " || SystemTime::now() >= peer.not_after()",
            replacement: "",
        }],
        test: integration(
            "ends_of_trust",
            "a_runtime_that_stood_still_serves_nothing_after_the_end",
        ),
    },
    Control {
        name: "upgraded-and-shut-down",
        invariant: 7,
        without: "a connection that is upgraded although it said close is taken for one that ends",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/serve/requests.rs",
            text: "        && !request.headers().contains_key(UPGRADE)\n",
            replacement: "        && (true || !request.headers().contains_key(UPGRADE))\n",
        }],
        test: integration(
            "last_answers",
            "a_connection_that_is_upgraded_goes_on_although_it_said_close",
        ),
    },
    Control {
        name: "goodbye-overtaken",
        invariant: 7,
        without: "a socket is closed that still receives, and the reset overtakes the goodbye",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/stream.rs",
            text: "        self.is_http2()\n            && !matches!",
            replacement: "        false\n            && !matches!",
        }],
        test: integration(
            "last_answers",
            "a_goodbye_arrives_although_its_peer_goes_on_sending",
        ),
    },
    Control {
        name: "handshakes-cut-at-stop",
        invariant: 7,
        without: "a server that stops cuts those off who shake hands",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/serve/mod.rs",
            text: "timeout_at(until, begun.next()).await",
            replacement: "timeout_at(until, begun.next()).await.map(|begun| begun.filter(|_| false))",
        }],
        test: integration(
            "last_answers",
            "who_shakes_hands_when_the_server_stops_is_told_so_by_http",
        ),
    },
    Control {
        name: "goodbye-counted-as-cut",
        invariant: 7,
        without: "a peer that has had all and does not go counts as cut off",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/serve/life.rs",
            text: "                Err(_) if self.ending.is_said() => return Ok(End::Peaceful),\n",
            replacement: "",
        }],
        test: integration(
            "last_answers",
            "who_has_been_told_goodbye_and_stays_does_not_count_as_cut",
        ),
    },
    Control {
        name: "reader-displaced",
        invariant: 7,
        without: "who waits for the peer to go takes what another task reads",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/stream.rs",
            text: "            && !self.cut.is_read_elsewhere(cx)\n",
            replacement: "",
        }],
        test: integration(
            "last_answers",
            "who_reads_in_another_task_gets_everything_after_the_end_of_what_is_written",
        ),
    },
    Control {
        name: "read-across-a-gap",
        invariant: 14,
        without: "what has come after a gap is decrypted",
        edits: &[Edit {
            file: "crates/spiffe-acceptor/src/stream.rs",
            text: "        if this.lingers.is_some() {\n            // What",
            replacement: "        if false && this.lingers.is_some() {\n            // What",
        }],
        test: integration(
            "last_answers",
            "who_reads_after_its_peer_was_awaited_finds_an_end",
        ),
    },
];
