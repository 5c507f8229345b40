//! What a policy decides, what a guard does with it, and what becomes of a file that changes
//! (invariants 5, 9, 10, 11 and 13).

use crate::controls::control::{Control, Edit, of_crate, unit};

const ACTIONS: &str = "crates/spiffe-authz/src/policy/index/actions.rs";
const CANONICAL: &str = "crates/spiffe-authz/src/canonical.rs";
const DECIDED: &str = "crates/spiffe-authz/src/guard/decided.rs";
const FILE: &str = "crates/spiffe-authz/src/audit/file.rs";
const INDEX: &str = "crates/spiffe-authz/src/policy/index/mod.rs";
const INVENTORY: &str = "crates/spiffe-authz/src/inventory.rs";
const LAYER: &str = "crates/spiffe-authz/src/guard/layer.rs";
const LIVE: &str = "crates/spiffe-authz/src/policy/live.rs";
const QUERY: &str = "crates/spiffe-authz/src/policy/query.rs";
const RECORDED: &str = "crates/spiffe-authz/src/guard/recorded.rs";
const RULES: &str = "crates/spiffe-authz/src/policy/index/rules.rs";
const SERVICE: &str = "crates/spiffe-authz/src/guard/service.rs";
const SHORTLIST: &str = "crates/spiffe-authz/src/policy/index/shortlist.rs";
const SHARED: &str = "crates/spiffe-authz/src/guard/shared.rs";
const USERS: &str = "crates/spiffe-authz/src/policy/users.rs";

const AGREES: &str = "agreement::the_index_agrees_with_the_reference";
const COVERED: &str =
    "effects::threats_37_a_route_that_nothing_speaks_of_does_not_start_and_is_denied";
const ERRORS: &str =
    "effects::threats_28_an_error_in_a_condition_denies_for_a_deny_and_does_not_allow_for_an_allow";
const HEAD: &str = "paths::threats_20_head_goes_where_get_goes_and_never_the_reverse";
const TWO_GUARDS: &str = "reload::threats_59_a_stream_behind_two_guards_obeys_both";
const TOKENS: &str = "identity::threats_49_a_token_of_somebody_else_is_refused";

pub(super) const CONTROLS: [Control; 32] = [
    Control {
        name: "decided-by-the-rule-inside",
        invariant: 5,
        without: "a stream is decided again by the rule in code alone, whatever else had decided",
        edits: &[Edit {
            file: DECIDED,
            text: "            Scope::Everything => None,",
            replacement: "            Scope::Everything => return,",
        }],
        test: of_crate("spiffe-authz", "threats", TWO_GUARDS),
    },
    Control {
        name: "decided-by-any-layer",
        invariant: 5,
        without: "a policy decides a stream again by what other policies had to decide",
        edits: &[Edit {
            file: DECIDED,
            text: "            if Arc::ptr_eq(&decided.by.0, &self.0) {",
            replacement: "            if true {",
        }],
        test: of_crate("spiffe-authz", "threats", TWO_GUARDS),
    },
    Control {
        name: "watched-by-the-nearest",
        invariant: 5,
        without: "only the nearest of two layers of streams hears what is decided",
        edits: &[Edit {
            file: DECIDED,
            text: "            next = decided.outer.as_deref();",
            replacement: "            next = None;",
        }],
        test: of_crate("spiffe-authz", "threats", TWO_GUARDS),
    },
    Control {
        name: "condition-error-in-deny",
        invariant: 9,
        without: "a deny whose condition cannot be evaluated does not deny",
        edits: &[Edit {
            file: INDEX,
            text: "                Matched::Error(_) => Why::ConditionError,",
            replacement: "                Matched::Error(_) => continue,",
        }],
        test: of_crate("spiffe-authz", "threats", ERRORS),
    },
    Control {
        name: "condition-error-in-allow",
        invariant: 9,
        without: "an allow whose condition cannot be evaluated lets in",
        edits: &[Edit {
            file: INDEX,
            text: "                Matched::Error(_) => erred = true,",
            replacement: r"                Matched::Error(_) => {
                    erred = true;
                    return Ok(Outcome {
                        allowed: erred,
                        rule: *id,
                        why: Why::Rule,
                    });
                }",
        }],
        test: of_crate("spiffe-authz", "threats", ERRORS),
    },
    Control {
        name: "policy-without-rule",
        invariant: 9,
        without: "a policy lets in what none of its rules speaks of",
        edits: &[Edit {
            file: INDEX,
            text: "            (NO_RULE, NO_RULE) => return nothing_matched(has_peer, false),",
            replacement: "            (NO_RULE, NO_RULE) => (has_peer, NO_RULE),",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "effects::threats_24_no_rule_that_allows_is_no_way_in",
        ),
    },
    Control {
        name: "policy-deny-wins",
        invariant: 9,
        without: "a rule that allows wins over one that denies",
        edits: &[Edit {
            file: INDEX,
            text: "            (deny, _) => (false, deny),",
            replacement: r"            (deny, NO_RULE) => (false, deny),
            (_, allow) => (true, allow),",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "effects::threats_36_a_deny_wins_in_any_order_and_however_narrow",
        ),
    },
    Control {
        name: "shadow-enforced",
        invariant: 9,
        without: "a rule in shadow is enforced",
        edits: &[Edit {
            file: INDEX,
            text: "with_shadow || !rule.shadow)",
            replacement: "with_shadow || !rule.shadow || rule.shadow)",
        }],
        test: of_crate(
            "spiffe-authz",
            "audit",
            "one_record_for_each_decision_with_every_field",
        ),
    },
    Control {
        name: "slot-of-another-generation",
        invariant: 10,
        without: "what one policy remembers of a peer is taken by the next one",
        edits: &[Edit {
            file: INDEX,
            text: "(known.generation == self.generation).then_some(&known.caller)",
            replacement: "Some(&known.caller)",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "reload::threats_57_what_one_policy_has_found_out_of_a_peer_is_nothing_to_another",
        ),
    },
    Control {
        name: "further-than-the-pattern",
        invariant: 9,
        without: "a rule for a path speaks of what begins with it",
        edits: &[Edit {
            file: SHORTLIST,
            text: "            Then::End => rest.is_empty(),",
            replacement: "            Then::End => true,",
        }],
        test: of_crate("spiffe-authz", "reference", AGREES),
    },
    Control {
        name: "more-than-a-segment",
        invariant: 9,
        without: "a capture takes several segments",
        edits: &[Edit {
            file: SHORTLIST,
            text: "if !segment.contains(&b'/'))",
            replacement: "if !segment.is_empty())",
        }],
        test: of_crate("spiffe-authz", "reference", AGREES),
    },
    Control {
        name: "beginning-unread",
        invariant: 9,
        without: "a rule for a path speaks of every path of its length that ends alike",
        edits: &[Edit {
            file: SHORTLIST,
            text: "            end == other_end && one.first_chunk::<HALF>() == other.first_chunk::<HALF>()",
            replacement: "            end == other_end && other.len() <= 2 * HALF",
        }],
        test: unit(
            "spiffe-authz",
            "policy::index::shortlist::tests::a_difference_is_seen_wherever_it_stands",
        ),
    },
    Control {
        name: "end-unread",
        invariant: 9,
        without: "a trick at the end of a path is not looked for",
        edits: &[Edit {
            file: CANONICAL,
            text: "        all & goes_on(one) & goes_on(other)",
            replacement: "        all & goes_on(one) & (goes_on(other) | true)",
        }],
        test: unit(
            "spiffe-authz",
            "canonical::tests::what_is_looked_at_in_steps_is_seen_wherever_it_stands",
        ),
    },
    Control {
        name: "head-beside-get",
        invariant: 9,
        without: "a rule for GET says nothing of HEAD",
        edits: &[Edit {
            file: ACTIONS,
            text: "if method == Some(HEAD) { GET } else { EVERY };",
            replacement: "EVERY;",
        }],
        test: of_crate("spiffe-authz", "threats", HEAD),
    },
    Control {
        name: "get-beside-head",
        invariant: 9,
        without: "a rule for HEAD lets GET in",
        edits: &[Edit {
            file: ACTIONS,
            text: "if method == Some(HEAD) { GET } else { EVERY };",
            replacement: "match method { Some(GET) => HEAD, Some(HEAD) => GET, _ => EVERY };",
        }],
        test: of_crate("spiffe-authz", "threats", HEAD),
    },
    Control {
        name: "header-of-the-next-hop",
        invariant: 9,
        without: "a header that a proxy was told to drop is a ground for a decision",
        edits: &[Edit {
            file: RULES,
            text: r"            Some(condition)
                if condition.reads_headers() && names_headers_of_the_next_hop(subject) =>",
            replacement: r"            Some(condition)
                if condition.reads_headers()
                    && names_headers_of_the_next_hop(subject)
                    && subject.query.method == http::Method::CONNECT =>",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "identity::threats_45_a_header_that_a_proxy_was_told_to_drop_is_no_ground_for_an_allow",
        ),
    },
    Control {
        name: "trailing-slash",
        invariant: 9,
        without: "`/orders/` is taken for `/orders` though nobody has asked for it",
        edits: &[Edit {
            file: QUERY,
            text: "        if !self.trailing_slash {",
            replacement: "        if false {",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "paths::threats_14_a_trailing_slash_is_another_path_unless_all_agree",
        ),
    },
    Control {
        name: "encoded-slash",
        invariant: 9,
        without: "a slash in disguise is part of a segment",
        edits: &[Edit {
            file: CANONICAL,
            text: r"        if decoded.contains(['/', '\\', ';', '\0']) {",
            replacement: r"        if decoded.contains(['\\', ';', '\0']) {",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "paths::threats_02_slashes_in_disguise_pass_no_deny",
        ),
    },
    Control {
        name: "two-hosts",
        invariant: 9,
        without: "of two `host` values the first counts",
        edits: &[Edit {
            file: "crates/spiffe-authz/src/canonical/authority.rs",
            text: "    if hosts.next().is_some() {",
            replacement: "    if hosts.next().is_some() && target.is_some() {",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "identity::threats_47_two_authorities_meet_no_rule",
        ),
    },
    Control {
        name: "user-of-any-issuer",
        invariant: 9,
        without: "a token of an issuer that the policy does not know is believed",
        edits: &[Edit {
            file: USERS,
            text: r"    source.issuer == user.issuer()
        && is_meant_for",
            replacement: "    is_meant_for",
        }],
        test: of_crate("spiffe-authz", "threats", TOKENS),
    },
    Control {
        name: "user-of-another-workload",
        invariant: 9,
        without: "a token that is bound to another workload is believed",
        edits: &[Edit {
            file: USERS,
            text: "        && is_bound(source.bound_to, user, peer)",
            replacement: r#"        && (is_bound(source.bound_to, user, peer) || user.claim("aud").is_some())"#,
        }],
        test: of_crate("spiffe-authz", "threats", TOKENS),
    },
    Control {
        name: "guard-calls-first",
        invariant: 10,
        without: "the guard calls the inner service before it decides",
        edits: &[Edit {
            file: SERVICE,
            text: r"        match self.guard.enter(Head::of(&request), Scope::Everything) {
            Entry::Allowed => ResponseFuture::allowed(self.inner.call(request)),",
            replacement: r"        let entry = self.guard.enter(Head::of(&request), Scope::Everything);
        if !matches!(entry, Entry::Waits) {
            let future = self.inner.call(request);
            return match entry {
                Entry::Refused(refusal) => ResponseFuture::refused(self.respond.respond(*refusal)),
                _ => ResponseFuture::allowed(future),
            };
        }
        match entry {
            Entry::Allowed => ResponseFuture::allowed(self.inner.call(request)),",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "effects::threats_38_the_inner_service_is_not_called_before_the_decision",
        ),
    },
    Control {
        name: "guard-after-the-end",
        invariant: 5,
        without: "a policy lets in an identity that has ended",
        edits: &[Edit {
            file: SHARED,
            text: r"            && !peer.is_current()
        {
            let clock",
            replacement: r"            && !peer.is_current()
            && head.method == http::Method::CONNECT
        {
            let clock",
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "identity::threats_53_an_identity_that_has_ended_is_refused_on_an_open_connection",
        ),
    },
    Control {
        name: "end-while-waiting",
        invariant: 5,
        without: "an identity that ends while the decision waits passes",
        edits: &[Edit {
            file: SHARED,
            text: "        self.holds(head, policy, begun)?;\n        let concluded",
            replacement: "        let concluded",
        }],
        test: of_crate(
            "spiffe-authz",
            "waiting",
            "an_identity_that_ends_while_the_decision_waits_is_refused",
        ),
    },
    Control {
        name: "policy-beside-code",
        invariant: 9,
        without: "a rule that denies says nothing at a route that has a rule in code",
        edits: &[Edit {
            file: SHARED,
            text: "            Ok(decision) if decision.is_kept_out() => {",
            replacement: r"            Ok(decision)
                if decision.is_kept_out() && head.method == http::Method::CONNECT =>
            {",
        }],
        test: of_crate(
            "spiffe-authz",
            "routes_property",
            "a_file_never_opens_a_route_of_code_and_always_keeps_out",
        ),
    },
    Control {
        name: "silent-decision-point",
        invariant: 9,
        without: "a decision point that gives no answer objects to nothing",
        edits: &[Edit {
            file: SHARED,
            text: r#"            Err(_) => Some("the decision point gave no answer in time".to_owned()),"#,
            replacement: "            Err(_) => None,",
        }],
        test: of_crate(
            "spiffe-authz",
            "waiting",
            "a_decision_point_is_asked_after_an_allow_alone_and_can_only_deny",
        ),
    },
    Control {
        name: "lost-record",
        invariant: 9,
        without: "what has to be recorded passes without a record",
        edits: &[Edit {
            file: RECORDED,
            text: "            return kept.map_err(|_| without_record(head, record));",
            replacement: r"            return kept
                .map_err(|_| without_record(head, record))
                .or(Ok(()));",
        }],
        test: of_crate(
            "spiffe-authz",
            "audit_events",
            "tracing_hears_of_a_denial_where_the_record_of_an_allow_is_lost",
        ),
    },
    Control {
        name: "record-over-lines",
        invariant: 13,
        without: "a record goes over several lines",
        edits: &[Edit {
            file: FILE,
            text: "serde_json::to_vec(record)",
            replacement: "serde_json::to_vec_pretty(record)",
        }],
        test: of_crate(
            "spiffe-authz",
            "audit",
            "what_still_waits_is_written_when_the_sink_is_dropped",
        ),
    },
    Control {
        name: "uncovered-route",
        invariant: 9,
        without: "a router binds to a policy that leaves one of its routes out",
        edits: &[Edit {
            file: INVENTORY,
            text: "            route.by_policy && !allows",
            replacement: "            route.by_policy && route.path.is_empty() && !allows",
        }],
        test: of_crate("spiffe-authz", "threats", COVERED),
    },
    Control {
        name: "uncovering-reload",
        invariant: 11,
        without: "a reload may leave a route out",
        edits: &[Edit {
            file: LIVE,
            text: "        checks.iter().try_for_each(|check| check(&policy))?;",
            replacement: "        let _ = checks.iter().try_for_each(|check| check(&policy));",
        }],
        test: of_crate("spiffe-authz", "threats", COVERED),
    },
    Control {
        name: "bad-policy-in-force",
        invariant: 11,
        without: "a file that is no policy takes away the one in force",
        edits: &[Edit {
            file: LIVE,
            text: "            Err(invalid) => self.refuse(invalid),",
            replacement: r#"            Err(invalid) => {
                let nothing = "{ version: 1, name: nothing, trust_domains: {}, rules: [] }";
                if let Ok(nothing) = Policy::from_yaml(nothing) {
                    self.current.store(Arc::new(nothing));
                }
                self.refuse(invalid);
            }"#,
        }],
        test: of_crate(
            "spiffe-authz",
            "threats",
            "reload::threats_54_a_bad_file_stays_visible_until_it_is_mended",
        ),
    },
    Control {
        name: "policy-in-shadow-alone",
        invariant: 9,
        without: "a guard takes a policy in shadow without a word",
        edits: &[Edit {
            file: LAYER,
            text: "        if policy.now().is_shadow() {\n            let policy",
            replacement: "        if policy.now().name().is_empty() {\n            let policy",
        }],
        test: of_crate(
            "spiffe-authz",
            "waiting",
            "a_policy_in_shadow_is_recorded_and_decides_nothing",
        ),
    },
];
