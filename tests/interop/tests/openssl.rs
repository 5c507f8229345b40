//! OpenSSL as an outside witness of resumption: whether the server has resumed a session is what its client
//! says.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use interop::{Agent, Certificates, PATIENCE, Running, Server};
use tempfile::TempDir;

struct Client<'a> {
    server: &'a Server,
    own: &'a Certificates,
    kept: TempDir,
}

#[derive(Debug, PartialEq, Eq)]
struct Visit {
    resumed: bool,
    served: bool,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server, own: &'a Certificates) -> Self {
        let kept = tempfile::tempdir().expect("a temporary directory can be made");
        // OpenSSL takes the leaf alone from the one file, and all of the other.
        let chain = std::fs::read_to_string(own.svid()).expect("the SVID can be read");
        let (_leaf, issuers) = chain
            .split_once("-----END CERTIFICATE-----\n")
            .expect("a certificate in PEM");
        std::fs::write(kept.path().join("issuers.pem"), issuers).expect("it can be written");
        Self { server, own, kept }
    }

    fn session(&self) -> PathBuf {
        self.kept.path().join("session.pem")
    }

    /// Asks once, offers the session that is kept, and keeps the one that it is given.
    fn visit(&self) -> Visit {
        let (session, own) = (self.session(), self.own);
        let offer = if session.exists() {
            format!("-sess_in {}", session.display())
        } else {
            String::new()
        };
        let script = format!(
            "printf 'GET /api/hello HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' \
             | openssl s_client -connect 127.0.0.1:{port} -servername localhost -tls1_3 -ign_eof \
             -cert {svid} -cert_chain {issuers} -key {key} -CAfile {bundle} -sess_out {session} {offer} 2>&1",
            port = self.server.port(),
            svid = own.svid().display(),
            issuers = self.kept.path().join("issuers.pem").display(),
            key = own.key().display(),
            bundle = own.bundle().display(),
            session = session.display(),
        );
        let said = Running::start(Command::new("sh").args(["-c", &script])).finish();
        let said = said.stdout;
        let resumed = said.contains("Reused, TLSv1.3");
        assert!(resumed || said.contains("New, "), "{said}");
        Visit {
            resumed,
            served: said.contains("HTTP/1.1 200"),
        }
    }

    /// Comes again and again until it is served or not as is expected.
    fn visits_until(&self, what: impl Fn(&Visit) -> bool) {
        let began = Instant::now();
        while !what(&self.visit()) {
            assert!(began.elapsed() < PATIENCE, "it never comes to that");
        }
    }
}

#[test]
fn a_session_is_resumed_within_a_revision_and_dies_with_the_trust() {
    let agent = Agent::start();
    let server = Server::start(&agent, "server");
    let own = Certificates::write(&agent, "caller");
    let client = Client::new(&server, &own);
    let full = Visit {
        resumed: false,
        served: true,
    };
    assert_eq!(client.visit(), full);
    // Bundles of tokens come on a stream of their own and may make one more revision just then.
    client.visits_until(|visit| visit.resumed && visit.served);

    agent.tell("rotate svids");
    client.visits_until(|visit| !visit.resumed && visit.served);
    client.visits_until(|visit| visit.resumed && visit.served);

    // The caller's authority is gone, and its session with it.
    agent.tell("rotate authority example.org");
    agent.tell("retire authority example.org");
    client.visits_until(|visit| !visit.served);
    for _ in 0..5 {
        assert!(!client.visit().served, "gone is gone");
    }
}
