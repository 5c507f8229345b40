//! Keeps the streams to the agent open, and gives what they say to the sink.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use spiffe_peer::parse;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::backoff::Backoff;
use super::client::{Client, Updates};
use super::messages::{JwtBundlesResponse, X509SvidResponse};
use super::overdue::Overdue;
use crate::error::Failure;
use crate::feed::Sink;
use crate::material::{Material, SvidMaterial};
use crate::observe;

/// How long an agent that has accepted the stream may take for the answer that the specification
/// wants at once (SPIFFE Workload API, section 4.3). Twice as long with each attempt, up to eight
/// times: an agent may have to ask an orchestrator whose the connection is.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The shortest time from an answer to the next stream: an agent that answers and hangs up at once is
/// not asked in a loop.
const BETWEEN_STREAMS: Duration = Duration::from_millis(500);

/// Follows all that an agent says, until it is dropped.
pub(super) async fn follow(client: &Client, sink: &Sink) {
    let opened = watch::Sender::new(());
    tokio::join!(
        follow_x509(client, sink, &opened),
        follow_jwt_bundles(client, sink, opened.subscribe())
    );
}

/// Follows the own SVIDs and the X.509 bundles. Tells `opened` of every stream that is answered.
async fn follow_x509(client: &Client, sink: &Sink, opened: &watch::Sender<()>) {
    let mut pace = Pace::new(sink);
    let mut overdue = Overdue::default();
    loop {
        let Err(failure) = x509_stream(client, sink, &mut pace, &mut overdue, opened).await;
        if !matches!(failure, Failure::Overdue) {
            let wait = pace.next(&failure);
            sink.report(failure);
            sleep(wait).await;
        }
        sink.retries();
    }
}

async fn x509_stream(
    client: &Client,
    sink: &Sink,
    pace: &mut Pace,
    overdue: &mut Overdue,
    opened: &watch::Sender<()>,
) -> Result<Infallible, Failure> {
    let asked = Instant::now();
    let socket = client.socket_file();
    let (mut updates, mut update) = first(client.fetch_x509_svid(), pace.patience()).await?;
    observe::answered(asked.elapsed());
    opened.send_replace(());
    loop {
        let is_usable = sink.update(&update.into());
        pace.answered(is_usable);
        overdue.answered(sink, is_usable);
        update = tokio::select! {
            next = updates.next() => next?,
            () = overdue.passed(sink) => return Err(Failure::Overdue),
            () = client.replaced(socket) => return Err(Failure::Overdue),
        };
    }
}

/// Follows the JWT bundles. Whatever becomes of them, X.509 goes on; and whenever X.509 has begun
/// anew, so do they, since it may be with another agent.
async fn follow_jwt_bundles(client: &Client, sink: &Sink, mut begun: watch::Receiver<()>) {
    while begun.changed().await.is_ok() {
        let mut pace = Pace::new(sink);
        tokio::select! {
            () = jwt_streams(client, sink, &mut pace) => {}
            _ = begun.changed() => begun.mark_changed(),
        }
    }
}

/// One stream after the other, until the agent says that it has none.
async fn jwt_streams(client: &Client, sink: &Sink, pace: &mut Pace) {
    loop {
        let Err(failure) = jwt_stream(client, sink, pace).await;
        if failure.is_denied() {
            sink.update_jwt_bundles::<Vec<u8>>([]);
        }
        sink.mention(format!("JWT bundles: {failure}"));
        if failure.is_final() {
            // SPIFFE Workload Endpoint, appendix A.
            return;
        }
        sleep(pace.next(&failure)).await;
    }
}

async fn jwt_stream(client: &Client, sink: &Sink, pace: &mut Pace) -> Result<Infallible, Failure> {
    let (mut updates, mut update) = first(client.fetch_jwt_bundles(), pace.patience()).await?;
    loop {
        sink.update_jwt_bundles(jwt_bundles(&update));
        let nobody_s = |id: &&String| parse::trust_domain_id(id).is_err();
        if let Some(id) = update.bundles.keys().find(nobody_s) {
            let id: String = id.chars().take(80).flat_map(char::escape_debug).collect();
            sink.mention(format!(
                "the JWT bundle under `{id}` is ignored: that is not the ID of a trust domain"
            ));
        }
        pace.answered(true);
        update = updates.next().await?;
    }
}

/// How fast one stream follows another.
struct Pace {
    backoff: Backoff,
    answered: Option<Instant>,
    /// How many attempts in a row were not answered.
    hung: u32,
}

impl Pace {
    fn new(sink: &Sink) -> Self {
        Self {
            backoff: Backoff::new(sink.provider().clone()),
            answered: None,
            hung: 0,
        }
    }

    /// How long the next first answer may take.
    fn patience(&self) -> Duration {
        FIRST_ANSWER * (1 << self.hung.min(3))
    }

    /// The agent has answered, usably or not.
    fn answered(&mut self, is_usable: bool) {
        self.answered = Some(Instant::now());
        self.hung = 0;
        if is_usable {
            self.backoff.reset();
        }
    }

    fn next(&mut self, failure: &Failure) -> Duration {
        if matches!(failure, Failure::Hung(_)) {
            self.hung = self.hung.saturating_add(1);
        }
        let rest = self.answered.take().map_or(Duration::ZERO, |answered| {
            BETWEEN_STREAMS.saturating_sub(answered.elapsed())
        });
        self.backoff.next(failure).max(rest)
    }
}

/// Opens a stream and waits for its first message.
async fn first<M: prost::Message + Default + 'static>(
    opening: impl Future<Output = Result<Updates<M>, Failure>>,
    patience: Duration,
) -> Result<(Updates<M>, M), Failure> {
    let opening = async {
        let mut updates = opening.await?;
        let first = updates.next().await?;
        Ok((updates, first))
    };
    timeout(patience, opening)
        .await
        .unwrap_or(Err(Failure::Hung(patience)))
}

impl From<X509SvidResponse> for Material {
    fn from(update: X509SvidResponse) -> Self {
        let svids = update.svids.into_iter().map(|svid| SvidMaterial {
            claimed_id: Some(svid.spiffe_id),
            chain: svid.x509_svid,
            key: Zeroizing::new(svid.x509_svid_key.to_vec()),
            bundle: svid.bundle,
            hint: Some(svid.hint).filter(|hint| !hint.is_empty()),
            problem: None,
        });
        Self {
            svids: svids.collect(),
            foreign: update.federated_bundles.into_iter().collect(),
            problems: Vec::new(),
        }
    }
}

/// A key that is not the ID of a trust domain names none, and what stands there is nobody's.
fn jwt_bundles(
    update: &JwtBundlesResponse,
) -> impl Iterator<Item = (spiffe_peer::TrustDomain, Vec<u8>)> {
    update
        .bundles
        .iter()
        .filter_map(|(id, jwks)| Some((parse::trust_domain_id(id).ok()?, jwks.to_vec())))
}
