//! Errors name the place of what is wrong.

use super::*;

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
