//! What a configuration gives: a source with the right trust, and an acceptor with the right policy,
//! shown by handshakes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use integration::{ALLOWED, FOREIGN, OTHER, SERVER, agent, source};
use spiffe_acceptor::config::{Config, PeerPolicy};
use spiffe_connector::Connector;
use spiffe_devkit::Agent;
use spiffe_peer::PeerIdentity;
use spiffe_source::Snapshot;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Shorter than the time for which a source waits for its first SVID.
const AT_ONCE: Duration = Duration::from_secs(20);

fn config(agent: &Agent) -> Config {
    Config::new()
        .socket_path(agent.endpoint("server").unwrap())
        .address("127.0.0.1:0")
}

/// A server as the configuration says; it ends when dropped.
struct Server {
    port: u16,
    task: AbortHandle,
}

impl Server {
    async fn start(config: &Config) -> Self {
        let source = config.source().await.unwrap();
        let listener = config.listen(&source).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new().route("/", get(async |peer: PeerIdentity| peer.to_string()));
        let task = tokio::spawn(config.serve(listener, app).into_future()).abort_handle();
        Self { port, task }
    }

    /// Who of the agent's callers gets in.
    async fn admits(&self, agent: &Agent) -> Vec<&'static str> {
        let mut admitted = Vec::new();
        for (socket, id) in [("allowed", ALLOWED), ("other", OTHER), ("foreign", FOREIGN)] {
            let source = source(agent, socket, &["example.org"]).await;
            let connector = Connector::new(source, SERVER).unwrap();
            let client = connector.http_client::<Full<Bytes>>();
            let uri = format!("https://127.0.0.1:{}/", self.port);
            if client.get(uri.parse().unwrap()).await.is_ok() {
                admitted.push(id);
            }
        }
        admitted
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn each_policy_lets_in_whom_it_names() {
    let agent = agent().start().await.unwrap();
    let config = || config(&agent);
    let federated = || config().trusted_domains(["partner.test"]);
    let cases: [(Config, &[&str]); 8] = [
        (config(), &[ALLOWED, OTHER]),
        // To trust is not to let in.
        (federated(), &[ALLOWED, OTHER]),
        (federated().peer_trust_domain("partner.test"), &[FOREIGN]),
        // Whom nobody trusts, no policy lets in.
        (config().policy(PeerPolicy::Any), &[ALLOWED, OTHER]),
        (
            federated().policy(PeerPolicy::Any),
            &[ALLOWED, OTHER, FOREIGN],
        ),
        (
            config()
                .policy(PeerPolicy::SpecificId)
                .allowed_ids([ALLOWED]),
            &[ALLOWED],
        ),
        (
            federated()
                .policy(PeerPolicy::OneOf)
                .allowed_ids([OTHER, FOREIGN]),
            &[OTHER, FOREIGN],
        ),
        (
            federated()
                .policy(PeerPolicy::OneOf)
                .allowed_ids(["spiffe://example.org/service/*"]),
            &[ALLOWED, OTHER],
        ),
    ];
    for (config, expected) in cases {
        let server = Server::start(&config).await;
        assert_eq!(server.admits(&agent).await, expected, "{config:?}");
    }
}

#[tokio::test]
async fn an_own_svid_of_another_trust_domain_is_told_at_once() {
    let agent = agent().start().await.unwrap();
    let config = config(&agent);
    config
        .clone()
        .trust_domain("example.org")
        .source()
        .await
        .unwrap();
    let mistaken = config.trust_domain("partner.test");
    let error = timeout(AT_ONCE, mistaken.source())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "spire.trust_domain: the own SVID is to be of `partner.test`, and is `spiffe://example.org/service/orders`; \
         write `example.org`, or have this workload registered there"
    );
}

#[tokio::test]
async fn a_policy_that_nobody_can_meet_is_told_once_the_own_trust_domain_is_known() {
    let agent = agent().start().await.unwrap();
    let config = config(&agent).peer_trust_domain("partner.test");
    config.validate().unwrap();
    let source = config.source().await.unwrap();
    let error = config.listen(&source).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "http.authentication.trust_domain: nobody of `partner.test` is trusted, for the own trust domain is \
         `example.org`; add it to spire.trusted_domains, or name another"
    );
    let config = config.policy(PeerPolicy::OneOf).allowed_ids([FOREIGN]);
    assert_eq!(
        config.admission(&source).unwrap_err().key(),
        Some("http.authentication.trust_domain")
    );
}

#[tokio::test]
async fn a_contradiction_is_told_before_anybody_is_asked() {
    let config = Config::new()
        .socket_path("unix:///nowhere/agent.sock")
        .policy(PeerPolicy::OneOf);
    let error = timeout(AT_ONCE, config.source())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.key(), Some("http.authentication.allowed_id"));
}

#[tokio::test]
async fn a_directory_instead_of_an_agent() {
    let agent = agent().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let held = source(&agent, "server", &["partner.test"]).await.snapshot();
    write(directory.path(), &held);
    fs::write(
        directory.path().join("server.yaml"),
        "http: {address: '127.0.0.1:0', authentication: {trust_domain: partner.test}}\n\
         spire: {files: ., trust_domain: example.org, trusted_domains: partner.test}\n",
    )
    .unwrap();
    let config = Config::from_file(directory.path().join("server.yaml")).unwrap();
    let server = Server::start(&config).await;
    assert_eq!(server.admits(&agent).await, [FOREIGN]);
}

fn write(directory: &Path, held: &Snapshot) {
    let put = |name: &str, label: &str, ders: Vec<&[u8]>| {
        let pem: String = ders
            .into_iter()
            .map(|der| {
                let text = STANDARD.encode(der);
                format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
            })
            .collect();
        let path = directory.join(name);
        fs::write(&path, pem).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    let svid = held.svid().unwrap();
    put("svid.pem", "CERTIFICATE", svid.chain().collect());
    put("svid_key.pem", "PRIVATE KEY", vec![svid.expose_key()]);
    for bundle in held.bundles() {
        let name = match bundle.trust_domain().as_str() {
            "example.org" => "bundle.pem".to_owned(),
            other => format!("{other}.pem"),
        };
        put(&name, "CERTIFICATE", bundle.authorities().collect());
    }
}

#[tokio::test]
async fn a_port_alone_is_every_address() {
    let agent = agent().start().await.unwrap();
    let config = config(&agent).address(":0");
    let source = config.source().await.unwrap();
    let listener = config.listen(&source).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(address.ip().is_unspecified(), "{address}");
    tokio::net::TcpStream::connect(("127.0.0.1", address.port()))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_with_its_line() {
    let agent = agent().start().await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!(
        "http:\n  address: {address}\nspire:\n  socket_path: {}\n",
        agent.endpoint("server").unwrap()
    );
    let config = Config::from_yaml(&text).unwrap();
    let source = config.source().await.unwrap();
    let error = config.listen(&source).await.unwrap_err();
    let expected = format!("line 2, column 12: http.address: cannot listen on `{address}`: ");
    assert!(error.to_string().starts_with(&expected), "{error}");

    let probes = config
        .address("127.0.0.1:0")
        .probes_address(address.to_string());
    let error = probes.probes().await.unwrap_err();
    assert_eq!(error.key(), Some("http.probes_address"));
    assert!(
        Config::new().probes().await.unwrap().is_none(),
        "off unless told"
    );
}
