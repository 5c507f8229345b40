//! Values that are good, and not beside each other.

use super::*;

#[test]
fn what_contradicts_itself_is_told_with_both_sides() {
    let agent = || yaml(AGENT);
    for (config, message) in [
        (
            agent().files("/run/spiffe"),
            "spire.files: the SVID comes from files or from an agent, and spire.socket_path (line 1, column 22) names an agent; leave one out",
        ),
        (
            agent()
                .environment(environment(&[("ALLOWED_CLIENT_ID", ORDERS)]))
                .unwrap(),
            "ALLOWED_CLIENT_ID (http.authentication.allowed_id): http.authentication.policy is `trust-domain` by default, \
             which does not look at this; write `one-of` there, or leave this out",
        ),
        (
            agent().policy(PeerPolicy::Any).allowed_ids([ORDERS]),
            "http.authentication.allowed_id: http.authentication.policy is `any` (set in code), \
             which does not look at this; write `one-of` there, or leave this out",
        ),
        (
            agent()
                .policy(PeerPolicy::Any)
                .peer_trust_domain("example.org"),
            "http.authentication.trust_domain: http.authentication.policy is `any` (set in code), \
             which does not look at this; write `trust-domain` there, or leave this out",
        ),
        (
            agent()
                .environment(environment(&[("AUTH_POLICY", "specific-id")]))
                .unwrap(),
            "http.authentication.allowed_id: the policy is `specific-id` (AUTH_POLICY), and nobody is named; \
             write an ID, such as `spiffe://example.org/service/orders`",
        ),
        (
            agent().policy(PeerPolicy::OneOf),
            "http.authentication.allowed_id: the policy is `one-of` (set in code), and nobody is named; \
             write an ID, such as `spiffe://example.org/service/orders`",
        ),
        (
            agent()
                .policy(PeerPolicy::SpecificId)
                .allowed_ids([ORDERS, "spiffe://example.org/b"]),
            "http.authentication.allowed_id: `specific-id` takes one ID, and here are 2; leave one, or write the policy `one-of`",
        ),
        (
            agent()
                .policy(PeerPolicy::SpecificId)
                .allowed_ids(["spiffe://example.org/**"]),
            "http.authentication.allowed_id: `spiffe://example.org/**` is a pattern, and `specific-id` takes one ID; \
             write the ID out, or the policy `one-of`",
        ),
        (
            agent()
                .policy(PeerPolicy::SpecificId)
                .allowed_ids([ORDERS])
                .peer_trust_domain("other.test"),
            "http.authentication.allowed_id: `spiffe://example.org/service/orders` is not of `other.test`, which \
             http.authentication.trust_domain (set in code) demands, and would never get in; change one of them",
        ),
        (
            agent()
                .trust_domain("own.test")
                .peer_trust_domain("other.test"),
            "http.authentication.trust_domain: nobody of `other.test` is trusted, for the own trust domain is `own.test`; \
             add it to spire.trusted_domains, or name another",
        ),
        (
            agent()
                .trust_domain("own.test")
                .policy(PeerPolicy::OneOf)
                .allowed_ids(["spiffe://own.test/a", ORDERS]),
            "http.authentication.allowed_id: nobody of `example.org` is trusted, for the own trust domain is `own.test`; \
             add it to spire.trusted_domains, or name another",
        ),
        (
            agent().address("127.0.0.1:9090").probes_address(":9090"),
            "http.probes_address: `127.0.0.1:9090` is taken by http.address (`127.0.0.1:9090`); write another port, such as `:9090`",
        ),
        (
            agent().address(":9000").probes_address(":9000"),
            "http.probes_address: `127.0.0.1:9000` is taken by http.address (`:9000`); write another port, such as `:9090`",
        ),
    ] {
        assert_eq!(contradiction(&config), message);
    }
    for config in [
        agent()
            .policy(PeerPolicy::SpecificId)
            .allowed_ids([ORDERS])
            .peer_trust_domain("example.org"),
        agent()
            .trust_domain("own.test")
            .trusted_domains(["other.test"])
            .peer_trust_domain("other.test"),
        agent().policy(PeerPolicy::Any),
        agent().address(":0").probes_address(":0"),
        agent().address("127.0.0.1:1").probes_address("127.0.0.2:1"),
    ] {
        config.validate().unwrap();
    }
}
