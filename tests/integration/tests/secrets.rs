//! Invariant 13: no key, no token and no certificate body in logs or debug output. A process of its
//! own, since it collects what the whole process logs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration::{Caller, Server, agent};
use spiffe_source::{Material, Source, SvidMaterial};
use tracing_subscriber::filter::LevelFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The forms in which bytes get into a log by accident. A short stretch from the middle is enough to
/// tell: what surrounds it may be cut or wrapped.
fn forms(secret: &[u8]) -> Vec<String> {
    let middle = secret.get(secret.len() / 3..secret.len() / 3 + 18).unwrap();
    let hex = middle.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let list = middle
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    // Base64 of the whole, since the alignment of a stretch is not known.
    let base64 = STANDARD.encode(secret);
    let base64 = base64
        .get(base64.len() / 3..base64.len() / 3 + 24)
        .unwrap()
        .to_owned();
    // As `bytes` shows itself. Longer, since a short stretch may be a name that is no secret.
    let escaped = secret.get(secret.len() / 3..secret.len() / 3 + 40).unwrap();
    let escaped = format!("{:?}", bytes::Bytes::copy_from_slice(escaped));
    let escaped = escaped
        .trim_start_matches("b\"")
        .trim_end_matches('"')
        .to_owned();
    vec![hex.to_uppercase(), hex, list, base64, escaped]
}

#[tokio::test]
async fn invariant_13_no_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let allowed = Caller::new(&agent, "allowed", &[], &server).await;
    let other = Caller::new(&agent, "other", &[], &server).await;
    allowed.get("/").await.unwrap();
    other.get("/").await.unwrap();
    let refused = Caller::new(&agent, "foreign", &["example.org"], &server)
        .await
        .get("/")
        .await
        .unwrap_err();

    // The server logs a refusal once the client has gone.
    let logged = || String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    while !logged().contains("handshake failed") {
        tokio::task::yield_now().await;
    }
    let snapshot = server.source.snapshot();
    let svid = snapshot.svid().unwrap();
    tracing::info!(source = ?server.source, connector = ?allowed.connector, ?agent, ?snapshot, ?svid, ?refused, "everything that can be shown");
    for bundle in snapshot.bundles() {
        tracing::info!(?bundle, "a bundle");
    }

    let token = server.source.jwt_svid(["anybody"]).await.unwrap();
    let own = SvidMaterial::from_der(
        svid.chain().collect::<Vec<_>>().concat(),
        svid.expose_key(),
        snapshot
            .bundles()
            .next()
            .unwrap()
            .authorities()
            .collect::<Vec<_>>()
            .concat(),
    );
    let foreign = spiffe_peer::parse::trust_domain("partner.test").unwrap();
    let material = Material::new(own).foreign_bundle(&foreign, svid.chain().next().unwrap());
    tracing::info!(?token, ?material, "what the source was given and gives");
    let fixed = Source::fixed(material).jwt_bundle("example.org", svid.expose_key());
    tracing::info!(?fixed, "a source that is not open yet");

    let mut secrets = vec![
        token.expose_token().as_bytes().to_vec(),
        svid.expose_key().to_vec(),
        allowed
            .source
            .snapshot()
            .svid()
            .unwrap()
            .expose_key()
            .to_vec(),
    ];
    secrets.extend(svid.chain().map(<[u8]>::to_vec));
    secrets.extend(
        snapshot
            .bundles()
            .flat_map(|bundle| bundle.authorities().map(<[u8]>::to_vec).collect::<Vec<_>>()),
    );
    let logged = logged();
    for target in [
        "spiffe_source",
        "spiffe_acceptor",
        "spiffe_authz",
        "spiffe_devkit",
        "h2",
    ] {
        assert!(logged.contains(target), "control: {target} has logged");
    }
    for secret in &secrets {
        for form in forms(secret) {
            assert!(!logged.contains(&form), "a secret is in the log as {form}");
        }
    }
    let with_password = "https://user:hunter2@127.0.0.1:1/".parse().unwrap();
    let error = allowed.connector.connect(&with_password).await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    let leak = format!("{:?}", secrets.first().unwrap());
    assert!(!logged.contains(token.expose_token()));
    assert!(
        forms(secrets.first().unwrap())
            .iter()
            .any(|form| leak.contains(form)),
        "control: a leak would be found"
    );
}
