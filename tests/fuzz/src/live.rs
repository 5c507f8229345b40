//! A source whose feed is the fuzzer.

use std::sync::Arc;
use std::time::Duration;

use spiffe_peer::{TrustDomain, parse};
use spiffe_source::{Builder, ConnectError, Feed, Material, Sink, Snapshot, Source, SvidMaterial};
use tokio::sync::oneshot;

use crate::minted::{DOMAINS, NAMED, OWN, masked, masked_secrets, now};

/// Errors go to logs: whatever the input, this is enough for one. A hint may have 1 KiB, and six
/// times that where it is escaped.
const LONGEST_ERROR: usize = 8192;

/// The hint of the good SVID.
pub const HINT: &str = "internal";

/// A source that holds good material before each input.
pub struct Live {
    /// What reads the material.
    pub source: Source,
    /// Where an input goes.
    pub sink: Sink,
    good: Material,
    secrets: Vec<String>,
    _runtime: tokio::runtime::Runtime,
}

/// Gives its sink away, and leaves the rest to the fuzzer.
pub struct Handed {
    good: Material,
    sink: Option<oneshot::Sender<Sink>>,
}

impl Feed for Handed {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("the fuzzer".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        sink.update(&self.good);
        if let Some(waiting) = self.sink.take() {
            let _ = waiting.send(sink);
        }
        std::future::pending().await
    }
}

/// The good JWK Sets.
#[must_use]
pub fn good_jwks(id: &str) -> Vec<u8> {
    // The public key of a published example (RFC 7515, appendix A.3).
    format!(
        r#"{{"keys": [{{"kty": "EC", "use": "jwt-svid", "kid": "{id}", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}]}}"#
    )
    .into_bytes()
}

/// The trust domain of a name that is right.
#[must_use]
pub fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

impl Live {
    /// Opens a source that trusts the named domain.
    #[must_use]
    pub fn open(configure: impl FnOnce(Builder<Handed>) -> Builder<Handed>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let [own, named, _] = &*DOMAINS;
        let svid = SvidMaterial::from_der(own.chain(), &*own.leaf.key, &*own.root.der).hint(HINT);
        let good = Material::new(svid).foreign_bundle(&domain(NAMED), &*named.root.der);
        let (sink, waiting) = oneshot::channel();
        let feed = Handed {
            good: good.clone(),
            sink: Some(sink),
        };
        let builder = Source::from_feed(feed)
            .trust(NAMED)
            .clock(now)
            .first_update_within(Duration::from_secs(60));
        let (source, sink) = runtime.block_on(async {
            let source = configure(builder).connect().await.unwrap();
            (source, waiting.await.unwrap())
        });
        Self {
            source,
            sink,
            good,
            secrets: masked_secrets(),
            _runtime: runtime,
        }
    }

    /// Puts the good material in force, or takes everything back, and says what holds then.
    pub fn begin(&self, with_material: bool) -> Arc<Snapshot> {
        assert!(self.sink.update(&self.good));
        let jwt = [
            (domain(OWN), good_jwks("own")),
            (domain(NAMED), good_jwks("named")),
        ];
        assert!(self.sink.update_jwt_bundles(jwt));
        if !with_material {
            self.sink.withdraw("the fuzzer begins without material");
        }
        let snapshot = self.source.snapshot();
        assert_eq!(snapshot.svid().is_some(), with_material);
        assert_eq!(snapshot.bundles().len(), if with_material { 2 } else { 0 });
        snapshot
    }

    /// That what is shown to people is short and without secrets.
    pub fn check_what_is_shown(&self) {
        let status = self.source.status();
        let error = status.last_error().unwrap_or_default();
        let begin: String = error.chars().take(200).collect();
        assert!(
            error.len() < LONGEST_ERROR,
            "{} bytes: {begin}",
            error.len()
        );
        assert!(status.to_string().len() < 2 * LONGEST_ERROR);
        self.check_no_secret(&format!("{status} {:?}", self.source));
    }

    /// That no secret stands in a text.
    pub fn check_no_secret(&self, shown: &str) {
        let shown = masked(shown);
        for secret in &self.secrets {
            assert!(!shown.contains(secret), "a secret is shown");
        }
    }
}
