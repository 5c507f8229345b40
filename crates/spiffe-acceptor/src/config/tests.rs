#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
use std::collections::HashMap;
use std::fs;

use super::check::Feed;
use super::*;

const AGENT: &str = "spire: {socket_path: 'unix:///agent.sock'}\n";
const ORDERS: &str = "spiffe://example.org/service/orders";

fn environment(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    let set: HashMap<_, _> = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect();
    move |name| set.get(name).cloned()
}

fn env(set: &[(&str, &str)]) -> Config {
    Config::new().environment(environment(set)).unwrap()
}

fn yaml(text: &str) -> Config {
    Config::from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn told(text: &str) -> String {
    match Config::from_yaml(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

fn contradiction(config: &Config) -> String {
    match config.validate() {
        Ok(()) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

/// So that one run tells all that differ.
fn differs(told: String, expected: &str) -> Option<String> {
    (told != expected).then(|| format!("told:     {told}\nexpected: {expected}"))
}

fn value<T: Clone>(given: &Option<Given<T>>) -> T {
    given.as_ref().expect("it is given").value.clone()
}

fn domains(config: &Config) -> Vec<String> {
    value(&config.trusted)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn ids(config: &Config) -> Vec<String> {
    value(&config.allowed)
        .iter()
        .map(|id| id.as_str().to_owned())
        .collect()
}

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
fn what_is_no_configuration_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (text, message) in [
        (
            "http:\n  adress: :8443\n",
            "line 2, column 3: there is no `adress` here; write one of `address`, `timeout`, `probes_address`, `authentication`",
        ),
        (
            "htpp: {}\n",
            "line 1, column 1: there is no `htpp` here; write one of `http`, `spire`",
        ),
        (
            "http:\n  enabled: true\n",
            "line 2, column 3: there is no `enabled`: a listener is there when the program binds it; leave it out",
        ),
        (
            "http:\n  timeout: 1s\n  timeout: 2s\n",
            "line 3, column 3: `timeout` stands here twice; leave one out",
        ),
        (
            "a: &a {timeout: 1s}\nhttp: {<<: *a}\n",
            "line 1, column 1: there is no `a` here; write one of `http`, `spire`",
        ),
        (
            "http: {<<: {timeout: 1s}}\n",
            "line 1, column 8: merge keys are not read; write the keys out",
        ),
        (
            "http: [a]\n",
            "line 1, column 7: a block of `key: value` lines belongs here",
        ),
        (
            "http:\n  timeout:\n",
            "line 2, column 10: nothing is written here, which does not mean the default; leave the key out, or write a value",
        ),
        (
            "http:\n  authentication:\n    policy: ~\n",
            "line 3, column 13: nothing is written here, which does not mean the default; leave the key out, or write a value",
        ),
    ] {
        wrong.extend(differs(told(text), message));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for text in [
        "http: {address: [\n",
        "http: {authentication: {allowed_id: {a: b}}}\n",
        "http: {authentication: {allowed_id: }}\n",
        "http: {authentication: {allowed_id: 7}}\n",
        "spire: {trusted_domains: ~}\n",
        "spire: {trusted_domains: [~]}\n",
        "spire: {trust_domain: {}}\n",
        "{}\n---\n{}\n",
        "http: *nowhere\n",
        "\u{0}",
    ] {
        assert!(told(text).starts_with("line "), "{}", told(text));
    }
}

#[test]
fn a_value_that_makes_no_sense_is_told_with_what_to_write() {
    let mut wrong = Vec::new();
    for (key, text, message) in [
        (
            "http.address",
            "8443",
            "`8443` is no address with a port; write `:8443` for every address, or `127.0.0.1:8443`",
        ),
        (
            "http.address",
            "0.0.0.0",
            "`0.0.0.0` is no address with a port: the port is missing; write `0.0.0.0:8443`",
        ),
        (
            "http.address",
            "'::'",
            "`::` is no address with a port: the port is missing; write `[::]:8443`",
        ),
        (
            "http.address",
            "https://0.0.0.0:8443",
            "`https://0.0.0.0:8443` is no address with a port: it has a scheme; write `127.0.0.1:8443`",
        ),
        (
            "http.address",
            "localhost:8444",
            "`localhost:8444` is no address with a port: names are not looked up; write the IP address, such as `127.0.0.1:8444`",
        ),
        (
            "http.address",
            ":65536",
            "`:65536` is no address with a port; write `127.0.0.1:8443`, or `:8443` for every address",
        ),
        (
            "http.address",
            ":+1",
            "`:+1` is no address with a port; write `127.0.0.1:8443`, or `:8443` for every address",
        ),
        (
            "http.probes_address",
            "9090",
            "`9090` is no address with a port; write `:9090` for the loopback address, or `127.0.0.1:9090`",
        ),
        (
            "http.timeout",
            "30",
            "`30` is no duration; write a number with its unit, such as `30s`",
        ),
        (
            "http.timeout",
            "0",
            "`0` is no duration; write a number with its unit, such as `30s`",
        ),
        (
            "http.timeout",
            "soon",
            "`soon` is no duration; write a number with its unit, such as `30s`",
        ),
        (
            "http.timeout",
            "-5s",
            "`-5s` is no duration; write a number with its unit, such as `30s`",
        ),
        (
            "http.timeout",
            "0s",
            "`0s` is no time to wait for a client; write one from `1ms` to `1h`, such as `30s`",
        ),
        (
            "http.timeout",
            "2h",
            "`2h` is no time to wait for a client; write one from `1ms` to `1h`, such as `30s`",
        ),
        (
            "http.authentication.policy",
            "Any",
            "there is no policy `Any`; write `trust-domain`, `specific-id`, `one-of` or `any`",
        ),
        (
            "http.authentication.policy",
            "''",
            "there is no policy ``; write `trust-domain`, `specific-id`, `one-of` or `any`",
        ),
        (
            "http.authentication.allowed_id",
            "[]",
            "nobody is named, and an empty list never means everybody; write an ID, or leave the key out",
        ),
        (
            "http.authentication.allowed_id",
            "example.org/a",
            "`example.org/a` is no SPIFFE ID: it does not begin with `spiffe://`; write `spiffe://example.org/a`",
        ),
        (
            "http.authentication.trust_domain",
            "spiffe://a.test",
            "`spiffe://a.test` is no SPIFFE ID: the name of a trust domain has no scheme; write `a.test`",
        ),
        (
            "spire.trust_domain",
            "Example.org",
            "`Example.org` is no SPIFFE ID: a trust domain is written in lower case; write `example.org`",
        ),
        (
            "spire.socket_path",
            "/run/agent.sock",
            "`/run/agent.sock` is no Workload API endpoint: the scheme is missing; write `unix:///run/agent.sock`",
        ),
        (
            "spire.files",
            "''",
            "no directory is named; write its path, such as `/run/spiffe`",
        ),
        (
            "spire.files",
            "unix:///agent.sock",
            "`unix:///agent.sock` is no directory; an agent's socket is written as `spire.socket_path`",
        ),
    ] {
        let parts: Vec<_> = key.split('.').collect();
        let (outer, last) = parts.split_at(parts.len() - 1);
        let yaml: String = outer
            .iter()
            .map(|part| format!("{part}: {{"))
            .collect::<String>()
            + &format!(
                "{last}: {}",
                if text.starts_with(['[', '\'']) {
                    text.to_owned()
                } else {
                    format!("'{text}'")
                },
                last = last[0]
            )
            + &"}".repeat(outer.len());
        let error = Config::from_yaml(&yaml).unwrap_err();
        assert_eq!(error.key(), Some(key));
        let place = format!("line 1, column {}: {key}: ", error.column().unwrap());
        wrong.extend(differs(error.to_string(), &format!("{place}{message}")));
        assert_eq!(error.line(), Some(1));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for text in [
        "spiffe://example.org",
        "spiffe://example.org/pay*",
        "spiffe://*/a",
        "",
        "*",
    ] {
        let error = told(&format!(
            "http: {{authentication: {{allowed_id: '{text}'}}}}"
        ));
        assert!(
            error.contains("http.authentication.allowed_id: "),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_item_of_a_list_is_told_with_its_own_place() {
    let text = "spire:\n  trusted_domains:\n    - partner.test\n    - Other.test\n";
    assert_eq!(
        told(text),
        "line 4, column 7: spire.trusted_domains: `Other.test` is no SPIFFE ID: \
         a trust domain is written in lower case; write `other.test`"
    );
    assert_eq!(
        domains(&yaml("spire: {trusted_domains: one.test}")),
        ["one.test"]
    );
    assert!(domains(&yaml("spire: {trusted_domains: []}")).is_empty());
}

#[test]
fn a_wrong_variable_is_told_with_its_name() {
    for (name, text, message) in [
        (
            "HTTP_ADDRESS",
            "localhost:1",
            "HTTP_ADDRESS (http.address): `localhost:1` is no address",
        ),
        (
            "HTTP_ADDRESS",
            "",
            "HTTP_ADDRESS (http.address): it is set to nothing, which does not mean the default; unset it, or write a value",
        ),
        (
            "AUTH_POLICY",
            " ",
            "AUTH_POLICY (http.authentication.policy): it is set to nothing",
        ),
        (
            "ALLOWED_CLIENT_ID",
            "",
            "ALLOWED_CLIENT_ID (http.authentication.allowed_id): it is set to nothing",
        ),
        (
            "ALLOWED_CLIENT_ID",
            "spiffe://a.test/a,,spiffe://a.test/b",
            "ALLOWED_CLIENT_ID (http.authentication.allowed_id): `spiffe://a.test/a,,spiffe://a.test/b` has a comma too many",
        ),
        (
            "SPIFFE_TRUSTED_DOMAINS",
            "a.test,",
            "SPIFFE_TRUSTED_DOMAINS (spire.trusted_domains): `a.test,` has a comma too many",
        ),
        (
            "SPIFFE_TRUSTED_DOMAINS",
            "a.test,b_?",
            "SPIFFE_TRUSTED_DOMAINS (spire.trusted_domains): `b_?` is no SPIFFE ID",
        ),
        (
            "SPIRE_TRUST_DOMAIN",
            "spiffe://a.test",
            "SPIRE_TRUST_DOMAIN (spire.trust_domain): ",
        ),
        (
            "AUTH_TRUST_DOMAIN",
            "A",
            "AUTH_TRUST_DOMAIN (http.authentication.trust_domain): ",
        ),
        ("SPIFFE_FILES", "unix:///a", "SPIFFE_FILES (spire.files): "),
        (
            "HTTP_PROBES_ADDRESS",
            "off",
            "HTTP_PROBES_ADDRESS (http.probes_address): `off` is no address",
        ),
    ] {
        let error = Config::new()
            .environment(environment(&[(name, text)]))
            .unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!((error.variable(), error.line()), (Some(name), None));
    }
}

#[test]
fn a_value_is_checked_even_where_another_overrides_it() {
    let wrong = Config::new()
        .address("127.0.0.1:1")
        .environment(environment(&[("HTTP_ADDRESS", "x")]));
    assert!(wrong.is_err());
}

#[test]
fn contradictions() {
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

#[test]
fn a_wrong_value_from_code_is_told_when_it_is_used() {
    let config = yaml(AGENT).address("nowhere").timeout(Duration::ZERO);
    assert_eq!(
        contradiction(&config),
        "http.address: `nowhere` is no address with a port; write `127.0.0.1:8443`, or `:8443` for every address"
    );
    let error = contradiction(&yaml(AGENT).timeout(Duration::ZERO));
    assert!(
        error.starts_with("http.timeout: `0s` is no time"),
        "{error}"
    );
    let error = contradiction(&yaml(AGENT).allowed_ids::<[&str; 0]>([]));
    assert!(
        error.contains("an empty list never means everybody"),
        "{error}"
    );
}

#[test]
fn an_error_stays_short_and_prints_no_control_characters() {
    let long = format!("http: {{address: \"\\e[31m{}\"}}", "x".repeat(60_000));
    let error = told(&long);
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
    let error = Config::new()
        .environment(environment(&[("AUTH_POLICY", &"\u{7}".repeat(60_000))]))
        .unwrap_err()
        .to_string();
    assert!(error.len() < 600 && !error.contains('\u{7}'), "{error}");
    let error = told(&format!(
        "http: {{authentication: {{allowed_id: 'spiffe://a.test/{}*'}}}}",
        "k".repeat(60_000)
    ));
    assert!(error.len() < 600, "{}", error.len());
    let error = told(&format!("http: {{{}: 1}}", "k".repeat(60_000)));
    assert!(error.len() < 400, "{}", error.len());
}

#[test]
fn a_file_is_bounded_and_regular() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    let told = |path: &Path| Config::from_file(path).map(drop).unwrap_err().to_string();
    let shown = file.display();

    assert!(
        told(&file).starts_with(&format!("{shown}: it cannot be read: ")),
        "{}",
        told(&file)
    );
    fs::write(&file, "http: {timeout: 7s}\n").unwrap();
    assert_eq!(
        Config::from_file(&file).unwrap().header_timeout(),
        Duration::from_secs(7)
    );
    fs::write(&file, "http:\n  timeout: 7\n").unwrap();
    assert!(told(&file).starts_with(&format!("{shown}:2:12: http.timeout: `7` is no duration")));
    fs::write(&file, "http:\n  adress: x\n").unwrap();
    assert!(told(&file).starts_with(&format!("{shown}:2:3: there is no `adress` here")));

    let comment = |bytes: usize| format!("{{}} #{}", "x".repeat(bytes - 4));
    fs::write(&file, comment(64 * 1024)).unwrap();
    assert!(Config::from_file(&file).is_ok());
    fs::write(&file, comment(64 * 1024 + 1)).unwrap();
    assert_eq!(
        told(&file),
        format!("{shown}: it has more than 64 KiB, which no configuration needs")
    );
    assert!(Config::from_yaml(&comment(64 * 1024 + 1)).is_err());
    fs::write(&file, b"http: {timeout: \"\xff\"}").unwrap();
    assert_eq!(told(&file), format!("{shown}: it is no text in UTF-8"));

    let directory = directory.path();
    assert_eq!(
        told(directory),
        format!(
            "{}: it is a directory; name a YAML file",
            directory.display()
        )
    );
    assert_eq!(
        told(Path::new("/dev/zero")),
        "/dev/zero: it is no regular file; name a YAML file"
    );
    let fifo = directory.join("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    assert!(told(&fifo).ends_with("it is no regular file; name a YAML file"));
}

#[test]
fn aliases_do_not_multiply() {
    let mut text = String::from("spire:\n  trusted_domains:\n    - &a [a.test, b.test]\n");
    for _ in 0..1000 {
        text.push_str("    - *a\n");
    }
    assert!(Config::from_yaml(&text).is_err());
}

#[test]
fn a_relative_directory_starts_at_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    fs::write(&file, "spire: {files: svids}\n").unwrap();
    let config = Config::from_file(&file).unwrap();
    assert_eq!(value(&config.files), directory.path().join("svids"));
    assert_eq!(
        value(&yaml("spire: {files: svids}").files),
        Path::new("svids")
    );
}
