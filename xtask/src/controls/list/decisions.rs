//! Who is let in, and what a denial says (invariants 9, 10 and 12).

use crate::controls::control::{Control, Edit, integration, of_crate, unit};

const BUILD: &str = "crates/spiffe-authz/src/axum/build.rs";
const GUARDED: &str = "crates/spiffe-authz/src/axum/guarded.rs";
const REFUSAL: &str = "crates/spiffe-authz/src/refusal.rs";
const RULE: &str = "crates/spiffe-authz/src/rule.rs";

const NAMED_PEERS: &str = "the_named_peers_pass_and_nobody_else";
const EACH_RPC: &str = "each_rpc_has_a_rule_of_its_own_and_one_without_is_denied";
const NO_INNER_CALL: &str = "threats_authorization_38_a_denied_request_reaches_no_inner_call";

/// Where a route, a mount and an RPC alike go on once it is decided.
const ANSWER: &str = r"        match self.enter(&request) {
            Entry::Allowed => Answer::Allowed {
                future: call(inner, request),
            },";
const ANSWER_CALLS_FIRST: &str = r"        let decided = self.enter(&request);
        if !matches!(decided, Entry::Waits) {
            let future = call(inner, request);
            return match decided {
                Entry::Allowed => Answer::Allowed { future },
                Entry::Refused(refusal) => Answer::Refused {
                    refusal: Some(refusal),
                },
                Entry::Waits => Answer::Refused { refusal: None },
            };
        }
        match decided {
            Entry::Allowed => Answer::Allowed {
                future: call(inner, request),
            },";

pub(super) const CONTROLS: [Control; 13] = [
    Control {
        name: "route-without-rule",
        invariant: 9,
        without: "what has no rule is let in: over the wire",
        edits: &[Edit {
            file: GUARDED,
            text: "            (Some(Decider::Policy) | None, _) => Err(refuse_without_rule(request, self.place())),",
            replacement: r"            (Some(Decider::Policy) | None, _) => {
                let _ = refuse_without_rule(request, self.place());
                Ok(())
            }",
        }],
        test: integration(
            "invariants",
            "invariant_9_and_10_what_no_rule_allows_reaches_no_handler",
        ),
    },
    Control {
        name: "rpc-without-rule",
        invariant: 9,
        without: "an RPC without a rule is let in",
        edits: &[Edit {
            file: BUILD,
            text: "            none: RouteRule::new(None, None, None, self.guard.clone()),",
            replacement: r#"            none: {
                let anyone = crate::Rule::anyone("nobody has said anything").ok();
                RouteRule::new(None, None, anyone.map(Decider::Rule), self.guard.clone())
            },"#,
        }],
        test: of_crate("spiffe-authz", "rpcs", EACH_RPC),
    },
    Control {
        name: "id-not-named",
        invariant: 9,
        without: "an ID that the rule does not name is let in",
        edits: &[Edit {
            file: RULE,
            text: "            (_, Some(_)) => Err(Reason::NotAllowed),",
            replacement: "            (_, Some(_)) => Ok(()),",
        }],
        test: of_crate("spiffe-authz", "require_id", NAMED_PEERS),
    },
    Control {
        name: "no-identity",
        invariant: 9,
        without: "who has no identity is let in",
        edits: &[Edit {
            file: RULE,
            text: "None) => Err(Reason::NoIdentity),",
            replacement: "None) => Ok(()),",
        }],
        test: of_crate("spiffe-authz", "require_id", NAMED_PEERS),
    },
    Control {
        name: "empty-rule",
        invariant: 9,
        without: "a rule may name nobody",
        edits: &[Edit {
            file: RULE,
            text: "    if patterns.is_empty() && problems.is_empty() {",
            replacement: "    if false {",
        }],
        test: of_crate(
            "spiffe-authz",
            "require_id",
            "a_rule_that_says_nothing_is_none",
        ),
    },
    Control {
        name: "path-read-in-two-ways",
        invariant: 9,
        without: "a path that can be read in two ways is routed",
        edits: &[Edit {
            file: "crates/spiffe-authz/src/axum/service.rs",
            text: r"                None => refuse_not_canonical(&request, why),
            });",
            replacement: r"                None => refuse_not_canonical(&request, why),
            })
            .or(Ok(()));",
        }],
        test: of_crate(
            "spiffe-authz",
            "paths",
            "threats_authorization_1_to_8_and_14_to_16_every_trick_is_denied",
        ),
    },
    Control {
        name: "second-authority",
        invariant: 9,
        without: "a request may name one authority in its target and another in a header",
        edits: &[Edit {
            file: "crates/spiffe-authz/src/canonical.rs",
            text: "    one_authority(target, request.headers()).map(drop)",
            replacement: "    one_authority(target, request.headers()).map(drop).or(Ok(()))",
        }],
        test: integration("threats_tls", "threats_61_a_request_has_one_authority"),
    },
    Control {
        name: "layer-calls-first",
        invariant: 10,
        without: "the layer calls the inner service before it decides",
        edits: &[Edit {
            file: "crates/spiffe-authz/src/require_id/service.rs",
            text: "        ResponseFuture::new(Answer::new(decision, || self.inner.call(request)))",
            replacement: r"        let future = self.inner.call(request);
        ResponseFuture::new(Answer::new(decision, || future))",
        }],
        test: of_crate("spiffe-authz", "require_id", NAMED_PEERS),
    },
    Control {
        name: "route-calls-first",
        invariant: 10,
        without: "a route calls its handler, or the service that is mounted there, before it decides",
        edits: &[Edit {
            file: GUARDED,
            text: ANSWER,
            replacement: ANSWER_CALLS_FIRST,
        }],
        test: of_crate("spiffe-authz", "router", NO_INNER_CALL),
    },
    Control {
        name: "rpc-calls-first",
        invariant: 10,
        without: "an RPC is called before it is decided",
        edits: &[Edit {
            file: GUARDED,
            text: ANSWER,
            replacement: ANSWER_CALLS_FIRST,
        }],
        test: of_crate("spiffe-authz", "rpcs", EACH_RPC),
    },
    Control {
        name: "reason-in-header",
        invariant: 12,
        without: "a header tells the peer why it was refused: over the wire",
        edits: &[Edit {
            file: REFUSAL,
            text: "        response.extensions_mut().insert(self);",
            replacement: r#"        let reason = HeaderValue::from_static(self.reason());
        response.headers_mut().insert("x-reason", reason);
        response.extensions_mut().insert(self);"#,
        }],
        test: integration("invariants", "invariant_12_every_denial_looks_the_same"),
    },
    Control {
        name: "reason-in-grpc-message",
        invariant: 12,
        without: "the gRPC message tells the peer why it was refused",
        edits: &[Edit {
            file: REFUSAL,
            text: "                HeaderValue::from_static(message),",
            replacement: "                HeaderValue::from_static(Some(self.reason()).unwrap_or(message)),",
        }],
        test: unit(
            "spiffe-authz",
            "refusal::tests::invariant_12_two_reasons_behind_one_status_look_the_same",
        ),
    },
    Control {
        name: "methods-in-allow-header",
        invariant: 12,
        without: "a denial names the methods that a route has",
        edits: &[Edit {
            file: BUILD,
            text: "        rest.unwrap_or_else(|| routing::any(Nothing::new(route, self.guard.clone())))",
            replacement: "        rest.unwrap_or_else(|| MethodRouter::new().fallback(Nothing::new(route, self.guard.clone())))",
        }],
        test: of_crate(
            "spiffe-authz",
            "router",
            "invariant_12_the_answer_depends_on_the_status_alone",
        ),
    },
];
