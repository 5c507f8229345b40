//! Node's modules `https` and `http2`.

use interop::{Agent, Certificates, Finished, Running, Server, node};

use crate::tap::{Place, Tap};
use crate::{CALLER, SERVER, connector, get};

const MODULES: [(&str, &str); 2] = [("https", "HTTP/1.1"), ("http2", "HTTP/2.0")];

struct Client<'a> {
    server: &'a Server,
    module: &'a str,
    expected: &'a str,
    trusted: &'a Certificates,
    own: Option<&'a Certificates>,
}

impl Client<'_> {
    /// `None` where there is no Node.
    fn ask(&self) -> Option<Finished> {
        let mut client = node("client.js")?;
        client
            .args([self.module, self.server.port(), "/api/hello", self.expected])
            .arg(self.trusted.directory());
        match self.own {
            Some(own) => client.arg(own.directory()),
            None => client.arg("none"),
        };
        Some(Running::start(&mut client).finish())
    }
}

#[test]
fn node_is_served_with_an_svid_of_the_trust_domain_alone() {
    if node("client.js").is_none() {
        return;
    }
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let foreign = Certificates::write(&agent, "foreigner");
    for (module, _) in MODULES {
        let client = Client {
            server: &server,
            module,
            expected: SERVER,
            trusted: &own,
            own: Some(&own),
        };
        let served = || client.ask().expect("there is Node").success();
        assert_eq!(served(), format!("200 hello, {CALLER}"));

        let elsewhere = format!("{SERVER} is not {CALLER}");
        for (shown, expected, trusted, why) in [
            (None, SERVER, &own, ""),
            (Some(&foreign), SERVER, &own, ""),
            (Some(&own), CALLER, &own, &elsewhere),
            (Some(&own), SERVER, &foreign, ""),
        ] {
            let client = Client {
                own: shown,
                expected,
                trusted,
                ..client
            };
            let failed = client.ask().expect("there is Node");
            assert_eq!(failed.status.code(), Some(1), "{failed:?}");
            assert!(failed.stdout.is_empty(), "{failed:?}");
            assert!(failed.stderr.contains(why), "{failed:?}");
        }
        assert_eq!(served(), format!("200 hello, {CALLER}"), "control");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_serves_our_client_if_both_are_whom_the_other_expects() {
    if node("server.js").is_none() {
        return;
    }
    let agent = Agent::start();
    let certificates = Certificates::write(&agent, "server");
    let foreign = Certificates::write(&agent, "foreigner");
    let start = |module: &str, trusted: &Certificates| {
        let mut server = node("server.js").expect("there is Node");
        server
            .arg(module)
            .arg(certificates.directory())
            .arg(trusted.directory());
        let mut server = Running::start(&mut server);
        let port = server.line("listening on ").parse::<u16>().expect("a port");
        (server, port)
    };
    for (module, version) in MODULES {
        let (server, port) = start(module, &certificates);
        let mut tap = Tap::before(Place::Port(port)).await;
        let client = connector(&agent, SERVER).await.http_client();
        let (said, peer) = get(&client, tap.port).await.expect("it is served");
        assert_eq!(said, format!("{version} 200 {version} {CALLER}"));
        assert_eq!(peer.as_str(), SERVER);
        drop(client);
        assert!(tap.client_went_on().await, "control");

        let elsewhere = connector(&agent, CALLER).await.http_client();
        let refused = get(&elsewhere, tap.port).await.unwrap_err();
        assert!(refused.is_refused_by_client(), "{refused}");
        assert!(!tap.client_went_on().await);
        let served = server.terminate().stdout;
        assert_eq!(served.matches("request").count(), 1, "{served}");

        let (server, port) = start(module, &foreign);
        let client = connector(&agent, SERVER).await.http_client();
        let refused = get(&client, port).await.unwrap_err();
        assert!(!refused.is_refused_by_client(), "{refused}");
        let served = server.terminate().stdout;
        assert!(!served.contains("request"), "{served}");
    }
}
