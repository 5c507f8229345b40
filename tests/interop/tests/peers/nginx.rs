//! nginx, with OpenSSL, before and behind what is ours.

use std::process::Command;
use std::time::Instant;

use interop::{Agent, Certificates, Nginx, PATIENCE, Running, Server};
use spiffe_connector::PeerIdentity;

use crate::tap::{Place, Tap};
use crate::{CALLER, SERVER, connector, get};

/// A `server` that takes clients with an SVID of a bundle, and says whether it has.
fn tls_server(listen: &str, own: &Certificates, trusted: &Certificates) -> String {
    format!(
        "server {{ listen {listen}; \
         ssl_certificate {svid}; ssl_certificate_key {key}; \
         ssl_client_certificate {bundle}; ssl_verify_client on; \
         location / {{ return 200 \"client certificate: $ssl_client_verify\"; }} }}\n",
        svid = own.svid().display(),
        key = own.key().display(),
        bundle = trusted.bundle().display(),
    )
}

/// A `server` that passes requests on to ours.
fn proxy(name: &str, to: &Server, trusted: &Certificates, own: Option<&Certificates>) -> String {
    let own = own.map(|own| {
        let (svid, key) = (own.svid(), own.key());
        let (svid, key) = (svid.display(), key.display());
        format!("proxy_ssl_certificate {svid}; proxy_ssl_certificate_key {key};")
    });
    format!(
        // The sessions of one upstream are shared, whosever certificate they began with.
        "server {{ listen unix:{name}; location / {{ proxy_ssl_session_reuse off; \
         proxy_pass https://{address}; proxy_http_version 1.1; {own} \
         proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_server_name on; \
         proxy_ssl_trusted_certificate {bundle}; }} }}\n",
        address = to.address(),
        own = own.unwrap_or_default(),
        bundle = trusted.bundle().display(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_serves_our_client_if_both_are_whom_the_other_expects() {
    let agent = Agent::start();
    let own = Certificates::write(&agent, "server");
    let foreign = Certificates::write(&agent, "foreigner");
    let servers = [
        tls_server("unix:h1.sock ssl", &own, &own),
        tls_server("unix:h2.sock ssl http2", &own, &own),
        tls_server("unix:other.sock ssl http2", &own, &foreign),
    ];
    let Some(nginx) = Nginx::start(&servers.concat()) else {
        return;
    };
    for (socket, version) in [("h1.sock", "HTTP/1.1"), ("h2.sock", "HTTP/2.0")] {
        let mut tap = Tap::before(Place::Socket(nginx.socket(socket))).await;
        let client = connector(&agent, SERVER).await.http_client();
        let (said, peer) = get(&client, tap.port).await.expect("it is served");
        assert_eq!(said, format!("{version} 200 client certificate: SUCCESS"));
        assert_eq!(peer.as_str(), SERVER);
        drop(client);
        assert!(tap.client_went_on().await, "control");

        let elsewhere = connector(&agent, CALLER).await.http_client();
        let refused = get(&elsewhere, tap.port).await.unwrap_err();
        assert!(refused.is_refused_by_client(), "{refused}");
        assert!(!tap.client_went_on().await);
    }

    // nginx lets everybody in and says to whom it has not listened.
    let tap = Tap::before(Place::Socket(nginx.socket("other.sock"))).await;
    let client = connector(&agent, SERVER).await.http_client();
    let (said, _) = get(&client, tap.port).await.expect("nginx answers");
    assert!(said.starts_with("HTTP/2.0 400"), "{said}");
    assert!(said.contains("SSL certificate error"), "{said}");
}

#[test]
fn nginx_passes_requests_on_to_our_server_with_its_svid_alone() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let foreign = Certificates::write(&agent, "foreigner");
    let servers = [
        proxy("right.sock", &server, &own, Some(&own)),
        proxy("nobody.sock", &server, &own, None),
        proxy("foreigner.sock", &server, &own, Some(&foreign)),
        proxy("elsewhere.sock", &server, &foreign, Some(&own)),
    ];
    let Some(nginx) = Nginx::start(&servers.concat()) else {
        return;
    };
    let ask = |name: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--unix-socket",
        ])
        .arg(nginx.socket(name))
        .args(["--write-out", "%{http_code}", "http://localhost/api/hello"]);
        Running::start(&mut curl).finish().success()
    };
    let served = format!("hello, {CALLER}\n200");
    assert_eq!(ask("right.sock"), served);
    for name in ["nobody.sock", "foreigner.sock", "elsewhere.sock"] {
        let said = ask(name);
        assert!(
            said.ends_with("502") && !said.contains("hello"),
            "{name}: {said}"
        );
    }
    assert_eq!(ask("right.sock"), served, "control");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_takes_up_an_svid_that_is_replaced_while_our_clients_go_on() {
    let agent = Agent::start();
    let own = Certificates::write(&agent, "server");
    let servers = tls_server("unix:tls.sock ssl http2", &own, &own);
    let Some(nginx) = Nginx::start(&servers) else {
        return;
    };
    let tap = Tap::before(Place::Socket(nginx.socket("tls.sock"))).await;
    let connector = connector(&agent, SERVER).await;
    let client = connector.http_client();
    let (_, before) = get(&client, tap.port).await.expect("it is served");

    agent.tell("rotate svids");
    own.write_again(&agent, "server");
    nginx.reload();
    let moved = |now: &PeerIdentity| now.fingerprint() != before.fingerprint();
    let began = Instant::now();
    loop {
        let (_, known) = get(&client, tap.port).await.expect("the old client");
        let newcomer = connector.http_client();
        let (_, new) = get(&newcomer, tap.port).await.expect("a newcomer");
        if moved(&known) && moved(&new) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nginx keeps the old SVID");
    }
}
