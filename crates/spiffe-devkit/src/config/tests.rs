use std::path::PathBuf;

use super::*;
use crate::builder::Address;

/// Three lines before the entries.
const HEAD: &str = "\
trust_domains: [{name: example.org}]
listeners: [{name: orders}, {name: tcp, tcp: 127.0.0.1:0}]
entries:
";

fn told(text: &str) -> String {
    match AgentBuilder::from_yaml(text, "agent.yaml") {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, message) in [
        (
            "",
            "1:1: the file is empty; declare `trust_domains` and `listeners`",
        ),
        (
            "{}",
            "1:1: `trust_domains` is missing; add `trust_domains:`",
        ),
        (
            "trust_domains: []\n",
            "1:1: `listeners` is missing; add `listeners:`",
        ),
        ("a", "1:1: a block of `field: value` lines belongs here"),
        (
            "trust_domains:\n  - nmae: x\n",
            "2:5: there is no `nmae` here; write one of `name`, `federates_with`, `authority_ttl`",
        ),
        (
            "trust_domains: 5\n",
            "1:16: a list, each line of which begins with `- `, belongs here",
        ),
        (
            "trust_domains: [{name: }]\n",
            "1:22: a text belongs here, and nothing is written",
        ),
        (
            "trust_domains: [{name: x, name: y}]\n",
            "1:27: `name` stands here twice; leave one out",
        ),
        ("trust_domains: [\n", "1:16: unclosed bracket '['"),
        (
            "<<: {a: b}\n",
            "1:1: merge keys are not read; write the fields out",
        ),
        (
            "trust_domains: []\nlisteners: []\n",
            "2:12: no listener is declared; declare one, so that somebody can ask",
        ),
    ] {
        assert_eq!(told(text), format!("agent.yaml:{message}"), "{text}");
    }
}

#[test]
fn an_entry_that_makes_no_sense_is_told_with_its_place() {
    for (entry, message) in [
        ("uid: 7", "4:5: `id` is missing; add `id:`"),
        (
            "id: spiffe://example.org/a\n    uid: root",
            "5:10: a whole number belongs here, such as `1000`",
        ),
        (
            "id: spiffe://example.org/a\n    over_tcp: yes",
            "5:15: it is neither true nor false; write `true` or `false`",
        ),
        (
            "id: spiffe://example.org/a\n    on: orders",
            "5:9: a list, each line of which begins with `- `, belongs here",
        ),
        (
            "id: example.org/a",
            "4:9: `example.org/a` is no SPIFFE ID: it does not begin with `spiffe://`; write `spiffe://example.org/a`",
        ),
        (
            "id: spiffe://Example.org/a",
            "4:9: `spiffe://Example.org/a` is no SPIFFE ID: a trust domain is written in lower case; \
             write `spiffe://example.org/a`",
        ),
        (
            "id: spiffe://partner.test/a",
            "4:9: the trust domain `partner.test` is not declared; declare it, or use one that is: `example.org`",
        ),
        (
            "id: spiffe://example.org/a\n    ttl: 48h",
            "5:10: an SVID lives from 1 second to 24 hours; write `1h`",
        ),
        (
            "id: spiffe://example.org/a\n    ttl: 0s",
            "5:10: an SVID lives from 1 second to 24 hours; write `1h`",
        ),
        (
            "id: spiffe://example.org/a\n    ttl: soon",
            "5:10: `soon` is no duration; write a number with `s`, `m`, `h` or `d`, such as `30s`",
        ),
        (
            "id: spiffe://example.org/a\n    on: [orders, ordres]",
            "5:18: no listener `ordres` is declared; there is `orders`, `tcp`",
        ),
        (
            "id: spiffe://example.org/a\n    on: [tcp]",
            "5:10: `tcp` is a TCP listener, where whoever reaches it gets the ID; say `over_tcp` if that is meant",
        ),
        (
            "id: spiffe://example.org/a\n    on: [tcp]\n    over_tcp: true\n    uid: 7",
            "4:5: TCP tells no uid, gid or executable, so nobody would ever get this ID; leave the selectors out",
        ),
        (
            "id: spiffe://example.org/a\n    dns: ['*!']",
            "5:11: `*!` is no DNS name",
        ),
        (
            "id: spiffe://example.org/a\n    executable: orders",
            "5:17: an executable is named by its absolute path, which the system tells of a caller",
        ),
        (
            "id: spiffe://example.org/a\n    hint: x\n  - id: spiffe://example.org/b\n    hint: x",
            "7:11: the hint `x` is that of `spiffe://example.org/a` too, and one caller can get both; choose another",
        ),
    ] {
        assert_eq!(
            told(&format!("{HEAD}  - {entry}\n")),
            format!("agent.yaml:{message}"),
            "{entry}"
        );
    }
}

#[test]
fn a_trust_domain_or_listener_that_makes_no_sense_is_told_with_its_place() {
    for (head, message) in [
        (
            "trust_domains: [{name: a}, {name: a}]\nlisteners: [{name: x}]",
            "1:35: the trust domain `a` is declared twice",
        ),
        (
            "trust_domains: [{name: spiffe://a}]\nlisteners: [{name: x}]",
            "1:24: `spiffe://a` is no SPIFFE ID: the name of a trust domain has no scheme; write `a`",
        ),
        (
            "trust_domains: [{name: a, federates_with: [b]}]\nlisteners: [{name: x}]",
            "1:44: the trust domain `b` is not declared; declare it, or use one that is: `a`",
        ),
        (
            "trust_domains: [{name: a, federates_with: [a]}]\nlisteners: [{name: x}]",
            "1:44: `a` cannot federate with itself",
        ),
        (
            "trust_domains: [{name: a, authority_ttl: 0s}]\nlisteners: [{name: x}]",
            "1:42: an authority lives from 1 second to 10 years",
        ),
        (
            "trust_domains: []\nlisteners: [{name: x}, {name: x}]",
            "2:31: the listener `x` is declared twice",
        ),
        (
            "trust_domains: []\nlisteners: [{name: control}]",
            "2:20: `control` is the agent's own socket; choose another name",
        ),
        (
            "trust_domains: []\nlisteners: [{name: ../x}]",
            "2:20: `../x` is no listener name; write up to 32 of a-z, 0-9, `-` and `_`",
        ),
        (
            "trust_domains: []\nlisteners: [{name: x, tcp: 0.0.0.0:80}]",
            "2:28: `0.0.0.0:80` is no loopback address, and TCP tells nothing of a caller; write `127.0.0.1:80`",
        ),
        (
            "trust_domains: []\nlisteners: [{name: x, tcp: localhost:80}]",
            "2:28: `localhost:80` is no address with a port; write `127.0.0.1:0` for any free port",
        ),
        (
            "trust_domains: []\nlisteners: [{name: x, unix: a.sock, tcp: 127.0.0.1:0}]",
            "2:42: a listener has one address; declare another listener for the second",
        ),
        (
            "trust_domains: []\nlisteners: [{name: x, unix: a b}]",
            "2:29: the path a b cannot be written as a `unix://` address; leave out spaces, `?`, `#` and `%`",
        ),
    ] {
        assert_eq!(told(head), format!("agent.yaml:{message}"), "{head}");
    }
}

#[test]
fn paths_start_at_the_directory_of_the_file() {
    let text = "directory: run\ntrust_domains: []\nlisteners: [{name: a, unix: x/a.sock}, {name: b, unix: /b.sock}]\n";
    let builder = AgentBuilder::from_yaml(text, "/etc/spiffe/agent.yaml").unwrap();
    assert_eq!(builder.directory, Some(PathBuf::from("/etc/spiffe/run")));
    let paths: Vec<_> = builder
        .listeners
        .iter()
        .map(|listener| &listener.address)
        .collect();
    let [Address::Unix(relative), Address::Unix(absolute)] = paths[..] else {
        panic!("{paths:?}")
    };
    assert_eq!(relative, "/etc/spiffe/x/a.sock");
    assert_eq!(absolute, "/b.sock");
}

#[test]
fn durations_are_whole_and_bounded() {
    for (text, seconds) in [
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("0s", 0),
    ] {
        assert_eq!(
            parse_duration(text),
            Some(Duration::from_secs(seconds)),
            "{text}"
        );
    }
    for text in [
        "",
        "s",
        "30",
        "-1s",
        "+1s",
        "1.5h",
        "1 h",
        "1h30m",
        "ü",
        "1ü",
        "99999999999999999999s",
        "18446744073709551615m",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn a_file_that_is_none_is_told() {
    let told = |path: &Path| {
        AgentBuilder::from_file(path)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(told(Path::new("/")), "/: is no regular file");
    assert!(told(Path::new("/dev/zero")).ends_with("is no regular file"));
    assert!(told(Path::new("no/such.yaml")).starts_with("no/such.yaml: cannot be read: "));
}

#[tokio::test]
async fn the_example_starts() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/dev-agent.yaml");
    let agent = AgentBuilder::from_file(example)
        .unwrap()
        .start()
        .await
        .unwrap();
    let names: Vec<_> = agent.endpoints().map(|(name, _)| name).collect();
    assert_eq!(names, ["container", "orders", "payments", "stock"]);
    agent.shutdown().await;
}
