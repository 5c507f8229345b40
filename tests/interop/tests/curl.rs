//! curl, with OpenSSL, as a client of a server of ours.

use std::path::Path;
use std::process::Command;

use interop::{Agent, Certificates, Finished, Running, Server};
use serde_json::Value;

/// curl with the server's name held to its address, writing the body and then the status.
fn curl(server: &Server, path: &str, authorities: &Path) -> Command {
    let port = server.port();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "30",
        "--noproxy",
        "*",
    ]);
    curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(authorities);
    curl.args([
        "--write-out",
        "\n%{http_code} %{http_version}",
        &format!("https://localhost:{port}{path}"),
    ]);
    curl
}

fn with_svid<'c>(curl: &'c mut Command, certificates: &Certificates) -> &'c mut Command {
    curl.arg("--cert")
        .arg(certificates.svid())
        .arg("--key")
        .arg(certificates.key())
}

fn run(curl: &mut Command) -> Finished {
    Running::start(curl).finish()
}

#[test]
fn a_workload_with_its_svid_in_files_is_served() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");

    let mut http1 = curl(&server, "/api/hello", &own.bundle());
    let said = run(with_svid(http1.arg("--http1.1"), &own)).success();
    assert!(
        said.contains("spiffe://example.org/service/caller") && said.ends_with("\n200 1.1"),
        "{said}"
    );

    let mut http2 = curl(&server, "/api/hello", &own.bundle());
    let said = run(with_svid(http2.arg("--http2"), &own)).success();
    assert!(
        said.contains("spiffe://example.org/service/caller") && said.ends_with("\n200 2"),
        "{said}"
    );

    let mut echo = curl(&server, "/api/echo", &own.bundle());
    let said = run(with_svid(echo.args(["--data", "as it was sent"]), &own)).success();
    assert_eq!(said, "as it was sent\n200 2");
}

#[test]
fn the_server_knows_who_calls() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let mut identity = curl(&server, "/api/identity", &own.bundle());
    let said = run(with_svid(&mut identity, &own)).success();
    let json = said.split_once("\n200").expect("the status is 200").0;
    let identity: Value = serde_json::from_str(json).expect("the answer is JSON");
    assert_eq!(identity["spiffe_id"], "spiffe://example.org/service/caller");
    assert_eq!(identity["trust_domain"], "example.org");
    assert_eq!(
        identity["segments"],
        serde_json::json!(["service", "caller"])
    );
    assert_eq!(identity["method"], "mtls-x509-svid");
    assert!(identity["not_after"].is_number(), "{identity}");
}

#[test]
fn without_an_svid_of_the_trust_domain_no_answer_is_given() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let foreign = Certificates::write(&agent, "foreigner");

    for path in ["/api/hello", "/health", "/nowhere"] {
        for version in ["--http1.1", "--http2"] {
            let anonymous = run(curl(&server, path, &own.bundle()).arg(version));
            assert!(!anonymous.status.success(), "{anonymous:?}");
            assert!(anonymous.stdout.starts_with("\n000"), "{anonymous:?}");

            let foreigner = run(with_svid(
                curl(&server, path, &own.bundle()).arg(version),
                &foreign,
            ));
            assert!(!foreigner.status.success(), "{foreigner:?}");
            assert!(foreigner.stdout.starts_with("\n000"), "{foreigner:?}");
        }
    }
    let mut served = curl(&server, "/api/hello", &own.bundle());
    assert!(
        run(with_svid(&mut served, &own))
            .success()
            .contains("\n200")
    );
}

#[test]
fn curl_refuses_a_server_whose_authority_it_does_not_know() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let foreign = Certificates::write(&agent, "foreigner");
    let mut curl = curl(&server, "/api/hello", &foreign.bundle());
    let refused = run(with_svid(&mut curl, &own));
    // "Peer certificate cannot be authenticated with known CA certificates."
    assert_eq!(refused.status.code(), Some(60), "{refused:?}");
}

#[test]
fn the_files_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;

    let agent = Agent::start();
    let own = Certificates::write(&agent, "caller");
    let mode = std::fs::metadata(own.key())
        .expect("the key is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");

    // The names lead through one link, so that all three change at once.
    let files = std::fs::read_dir(own.directory()).expect("the directory can be read");
    let links = files
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().is_symlink()))
        .count();
    assert!(
        links >= 4,
        "the three files and the directory that they are in are links: {links}"
    );

    let openssl = Command::new("openssl")
        .args(["verify", "-x509_strict", "-CAfile"])
        .arg(own.bundle())
        .arg("-untrusted")
        .arg(own.svid())
        .arg(own.svid())
        .output();
    let openssl = openssl.expect("openssl runs");
    assert!(openssl.status.success(), "{openssl:?}");
}

#[test]
fn the_server_ends_when_it_is_told_to() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let ended = server.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
