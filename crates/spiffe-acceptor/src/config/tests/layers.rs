//! What the file, the environment and code say, and which of them holds.

use super::*;

#[test]
fn every_key_of_a_file() {
    let config = yaml(
        "http:
  address: :8443
  timeout: 1m30s
  probes_address: :9090
  authentication:
    policy: one-of
    allowed_id:
      - spiffe://example.org/service/orders
      - spiffe://partner.test/ns/shop/sa/*
spire:
  socket_path: unix:///run/spire/agent.sock
  trust_domain: example.org
  trusted_domains: [partner.test, other.test]
",
    );
    assert_eq!(value(&config.address), Address::Every(8443));
    assert_eq!(config.header_timeout(), Duration::from_secs(90));
    assert_eq!(value(&config.probes_address).to_string(), "127.0.0.1:9090");
    assert_eq!(value(&config.policy), PeerPolicy::OneOf);
    assert_eq!(ids(&config), [ORDERS, "spiffe://partner.test/ns/shop/sa/*"]);
    assert_eq!(
        value(&config.socket).to_string(),
        "unix:///run/spire/agent.sock"
    );
    assert_eq!(value(&config.own).to_string(), "example.org");
    assert_eq!(domains(&config), ["partner.test", "other.test"]);
    config.validate().unwrap();

    let config = yaml("http: {authentication: {trust_domain: a.test}}\nspire: {files: /run/x}\n");
    assert_eq!(value(&config.peer_trust_domain).to_string(), "a.test");
    assert_eq!(value(&config.files), Path::new("/run/x"));
}

#[test]
fn every_variable() {
    let config = env(&[
        ("HTTP_ADDRESS", "0.0.0.0:443"),
        ("HTTP_PROBES_ADDRESS", "0.0.0.0:9090"),
        ("AUTH_POLICY", "one-of"),
        (
            "ALLOWED_CLIENT_ID",
            "spiffe://example.org/a, spiffe://example.org/b",
        ),
        ("AUTH_TRUST_DOMAIN", "example.org"),
        ("SPIFFE_FILES", "/run/spiffe"),
        ("SPIRE_TRUST_DOMAIN", "example.org"),
        ("SPIFFE_TRUSTED_DOMAINS", "partner.test"),
    ]);
    assert_eq!(value(&config.address).to_string(), "0.0.0.0:443");
    assert_eq!(value(&config.probes_address).to_string(), "0.0.0.0:9090");
    assert_eq!(value(&config.policy), PeerPolicy::OneOf);
    assert_eq!(
        ids(&config),
        ["spiffe://example.org/a", "spiffe://example.org/b"]
    );
    assert_eq!(value(&config.peer_trust_domain).to_string(), "example.org");
    assert_eq!(value(&config.files), Path::new("/run/spiffe"));
    assert_eq!(value(&config.own).to_string(), "example.org");
    assert_eq!(domains(&config), ["partner.test"]);
    config.validate().unwrap();
}

#[test]
fn what_nobody_says_has_a_default() {
    let config = Config::new();
    assert_eq!(Address::DEFAULT.to_string(), "127.0.0.1:8443");
    assert_eq!(config.header_timeout(), Duration::from_secs(30));
    assert_eq!(config.peer_policy(), PeerPolicy::TrustDomain);
    assert!(config.probes_address.is_none() && config.trusted.is_none());
    assert_eq!(
        contradiction(&config),
        "spire.socket_path: no agent is named; write its socket, such as \
         `unix:///run/spire/sockets/agent.sock`, here or into SPIFFE_ENDPOINT_SOCKET"
    );
    yaml(AGENT).validate().unwrap();
    for text in [
        "",
        "# later\n",
        "{}",
        "http:\n  # later\n",
        "http: {authentication: }\nspire:\n",
    ] {
        yaml(text).socket_path("unix:///a").validate().unwrap();
    }
}

#[test]
fn code_holds_over_the_environment_and_that_over_the_file() {
    let file = "http: {address: '127.0.0.1:1', timeout: 1s, authentication: {policy: any}}\n\
                spire: {trust_domain: file.test, trusted_domains: [file.test]}\n";
    let variables = [
        ("HTTP_ADDRESS", "127.0.0.1:2"),
        ("AUTH_POLICY", "trust-domain"),
        ("SPIFFE_TRUSTED_DOMAINS", "env.test"),
    ];
    let late = yaml(file)
        .environment(environment(&variables))
        .unwrap()
        .address("127.0.0.1:3");
    let early = yaml(file)
        .address("127.0.0.1:3")
        .environment(environment(&variables))
        .unwrap();
    for config in [late, early] {
        assert_eq!(value(&config.address).to_string(), "127.0.0.1:3");
        assert_eq!(value(&config.policy), PeerPolicy::TrustDomain);
        assert_eq!(domains(&config), ["env.test"], "a list replaces a list");
        assert_eq!(config.header_timeout(), Duration::from_secs(1));
        assert_eq!(value(&config.own).to_string(), "file.test");
    }
}

#[test]
fn the_platform_s_socket_counts_where_nothing_else_is_named() {
    let platform = [
        ("SPIRE_AGENT_SOCKET", "unix:///second"),
        ("SPIFFE_ENDPOINT_SOCKET", "unix:///first"),
    ];
    let socket = |config: &Config| match config.feed() {
        Ok(Feed::Agent(endpoint, _)) => endpoint.to_string(),
        Ok(Feed::Files(path, _)) => path.display().to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(socket(&env(&platform)), "unix:///first");
    assert_eq!(socket(&env(&platform[..1])), "unix:///second");
    let empty = [platform[0], ("SPIFFE_ENDPOINT_SOCKET", "")];
    assert_eq!(socket(&env(&empty)), "unix:///second");

    let file = yaml(AGENT).environment(environment(&platform)).unwrap();
    assert_eq!(socket(&file), "unix:///agent.sock");
    let files = [platform[1], ("SPIFFE_FILES", "/run/spiffe")];
    assert_eq!(socket(&env(&files)), "/run/spiffe");
    assert_eq!(
        socket(&env(&[("SPIFFE_ENDPOINT_SOCKET", "unix://first")])),
        "SPIFFE_ENDPOINT_SOCKET (spire.socket_path): `unix://first` is no Workload API endpoint: \
         after two slashes comes a host, which a Unix socket has none of; write `unix:///first`"
    );
}

#[test]
fn a_value_is_checked_even_where_another_overrides_it() {
    let wrong = Config::new()
        .address("127.0.0.1:1")
        .environment(environment(&[("HTTP_ADDRESS", "x")]));
    assert!(wrong.is_err());
}
