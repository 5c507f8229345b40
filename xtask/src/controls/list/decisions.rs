//! Who is let in, and what a denial says (invariants 9, 10 and 12).

use crate::controls::control::{Control, Edit, integration, of_crate, unit};

const GUARDED: &str = "crates/spiffe-authz/src/axum/guarded.rs";
const REFUSAL: &str = "crates/spiffe-authz/src/refusal.rs";
const RPCS: &str = "crates/spiffe-authz/src/axum/rpcs.rs";
const RULE: &str = "crates/spiffe-authz/src/rule.rs";

const NAMED_PEERS: &str = "the_named_peers_pass_and_nobody_else";
const EACH_RPC: &str = "each_rpc_has_a_rule_of_its_own_and_one_without_is_denied";
const NO_INNER_CALL: &str = "threats_authorization_38_a_denied_request_reaches_no_inner_call";

pub(super) const CONTROLS: [Control; 14] = [
    Control {
        name: "route-without-rule",
        invariant: 9,
        without: "what has no rule is let in: over the wire",
        edits: &[Edit {
            file: GUARDED,
            text: "        std::future::ready(refuse_without_rule(&request, place).response())",
            replacement: r"        let _ = refuse_without_rule(&request, place);
        std::future::ready(Response::default())",
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
            file: RPCS,
            text: "            _ => Err(refuse_without_rule(request, Place::default())),",
            replacement: r"            _ => {
                let _ = refuse_without_rule(request, Place::default());
                Ok(())
            }",
        }],
        test: of_crate("spiffe-authz", "rpcs", EACH_RPC),
    },
    Control {
        name: "id-not-named",
        invariant: 9,
        without: "an ID that the rule does not name is let in",
        edits: &[Edit {
            file: RULE,
            text: "            (Callers::Ids(_), Some(_)) => Err(Reason::NotAllowed),",
            replacement: "            (Callers::Ids(_), Some(_)) => Ok(()),",
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
            text: "        if patterns.is_empty() && problems.is_empty() {",
            replacement: "        if false {",
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
            text: "            .map_err(|why| refuse_not_canonical(&request, why));",
            replacement: r"            .map_err(|why| refuse_not_canonical(&request, why))
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
            text: "    check_authority(request.uri(), request.headers())",
            replacement: "    check_authority(request.uri(), request.headers()).or(Ok(()))",
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
        without: "a route calls its handler before it decides",
        edits: &[Edit {
            file: GUARDED,
            text: "            answer: Answer::new(decision, || self.inner.call(request, state)),",
            replacement: r"            answer: {
                let future = self.inner.call(request, state);
                Answer::new(decision, || future)
            },",
        }],
        test: of_crate("spiffe-authz", "router", NO_INNER_CALL),
    },
    Control {
        name: "mount-calls-first",
        invariant: 10,
        without: "a mounted service is called before it is decided",
        edits: &[Edit {
            file: GUARDED,
            text: "        ServiceFuture::new(Answer::new(decision, || self.inner.call(request)))",
            replacement: r"        let future = self.inner.call(request);
        ServiceFuture::new(Answer::new(decision, || future))",
        }],
        test: of_crate("spiffe-authz", "router", NO_INNER_CALL),
    },
    Control {
        name: "rpc-calls-first",
        invariant: 10,
        without: "an RPC is called before it is decided",
        edits: &[Edit {
            file: RPCS,
            text: r"        ServiceFuture::new(Answer::new(decision, || {
            self.inner.call(request.map(tonic::body::Body::new))
        }))",
            replacement: r"        let future = self.inner.call(request.map(tonic::body::Body::new));
        ServiceFuture::new(Answer::new(decision, || future))",
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
            file: "crates/spiffe-authz/src/axum/build.rs",
            text: "        rest.unwrap_or_else(|| routing::any(NoRule::new(route)))",
            replacement: "        rest.unwrap_or_else(|| MethodRouter::new().fallback(NoRule::new(route)))",
        }],
        test: of_crate(
            "spiffe-authz",
            "router",
            "invariant_12_the_answer_depends_on_the_status_alone",
        ),
    },
];
