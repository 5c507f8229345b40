//! Texts that stand for nothing, and what to write instead.

use super::*;

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
