use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;

use super::backoff::Backoff;
use super::client::fetch_x509_svid;
use super::messages::X509SvidResponse;
use super::update::Reader;
use crate::endpoint::Endpoint;
use crate::error::Failure;
use crate::snapshot::Snapshot;
use crate::status::{State, Status};

/// How long an agent that has accepted the stream may take for the answer that the specification
/// wants at once (SPIFFE Workload API, section 4.3).
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Keeps one stream to the agent open and publishes what it says.
pub(super) struct Worker {
    pub(super) endpoint: Endpoint,
    pub(super) reader: Reader,
    pub(super) backoff: Backoff,
    pub(super) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(super) status: watch::Sender<Status>,
    pub(super) failure: watch::Sender<Option<Failure>>,
}

impl Worker {
    pub(super) async fn run(mut self) {
        loop {
            let failure = self.follow().await;
            self.report(failure);
            tokio::time::sleep(self.backoff.next()).await;
            self.status.send_modify(|status| status.reconnects += 1);
        }
    }

    /// Follows one stream to its end, which is always a failure.
    async fn follow(&mut self) -> Failure {
        let opening = async {
            let mut stream = fetch_x509_svid(&self.endpoint).await?;
            let first = stream.message().await;
            first
                .map(|first| (stream, first))
                .map_err(|status| Failure::from_status(&status))
        };
        let (mut stream, mut message) = match timeout(FIRST_ANSWER, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(failure)) => return failure,
            Err(_) => return Failure::Hung(FIRST_ANSWER),
        };
        while let Some(update) = message {
            self.apply(&update);
            message = match stream.message().await {
                Ok(message) => message,
                Err(status) => return Failure::from_status(&status),
            };
        }
        Failure::Ended
    }

    fn apply(&mut self, update: &X509SvidResponse) {
        let before = self.snapshot.borrow().clone();
        let outcome = self.reader.apply(&before, update, SystemTime::now());
        for problem in &outcome.problems {
            tracing::warn!(target: "spiffe_source", endpoint = %self.endpoint, problem, "a part of an update cannot be used");
        }
        if outcome.own_is_fresh {
            self.backoff.reset();
            self.failure.send_replace(None);
        } else {
            let problem = outcome.problems.first().cloned().unwrap_or_default();
            self.failure.send_replace(Some(Failure::BadAnswer(problem)));
        }
        let last_error = outcome.problems.into_iter().next();
        self.publish(&before, outcome.snapshot, State::Live, last_error);
    }

    fn report(&self, failure: Failure) {
        tracing::warn!(target: "spiffe_source", endpoint = %self.endpoint, error = %failure, "the stream of SVIDs is broken");
        let last_error = Some(failure.to_string());
        let before = self.snapshot.borrow().clone();
        if failure.is_denied() {
            // The agent speaks, and says that this process has no identity: everything that it
            // said before is taken back (SPIFFE Workload API, section 4.4).
            let withdrawn = Snapshot::nothing(before.revision() + 1);
            self.publish(&before, withdrawn, State::Denied, last_error);
        } else {
            let state = if before.svid().is_some() {
                State::Stale
            } else {
                State::Starting
            };
            self.status.send_modify(|status| {
                // A denial holds until the agent says otherwise.
                if status.state != State::Denied {
                    status.state = state;
                }
                status.last_error = last_error;
            });
        }
        self.failure.send_replace(Some(failure));
    }

    /// Hands a snapshot out if it says something new, and says how things are.
    fn publish(&self, before: &Snapshot, next: Snapshot, state: State, last_error: Option<String>) {
        self.status.send_modify(|status| {
            status.state = state;
            status.spiffe_id = next.svid().map(|svid| svid.spiffe_id().to_string());
            status.not_after = next.svid().map(|svid| svid.verified().not_after());
            status.last_error = last_error;
        });
        if next.says_the_same_as(before) {
            return;
        }
        let serial = |snapshot: &Snapshot| {
            snapshot
                .svid()
                .map(|svid| svid.verified().serial().to_owned())
        };
        tracing::info!(
            target: "spiffe_source",
            revision = next.revision(),
            spiffe_id = next.svid().map(|svid| svid.spiffe_id().to_string()),
            old_serial = serial(before),
            new_serial = serial(&next),
            trust_domains = next.bundles().len(),
            "new revision"
        );
        self.snapshot.send_replace(Arc::new(next));
    }
}
