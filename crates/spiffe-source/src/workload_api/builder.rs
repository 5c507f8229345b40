use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use spiffe_peer::{TrustDomain, parse};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::update::Reader;
use super::worker::Worker;
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, Failure};
use crate::snapshot::Snapshot;
use crate::source::Source;
use crate::status::{State, Status};

const FIRST_UPDATE: Duration = Duration::from_secs(30);

/// How a source reaches a Workload API, and whom beside the own trust domain it trusts.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_source::ConnectError> {
/// let source = spiffe_source::Source::workload_api()
///     .endpoint("unix:///run/spire/sockets/agent.sock")
///     .trust("partner.example")
///     .connect()
///     .await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `connect` is awaited"]
pub struct WorkloadApiBuilder {
    endpoint: Option<String>,
    trust: Vec<String>,
    first_update: Duration,
    provider: Option<Arc<CryptoProvider>>,
}

impl WorkloadApiBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: None,
            trust: Vec::new(),
            first_update: FIRST_UPDATE,
            provider: None,
        }
    }

    /// Where the agent is; without this, what `SPIFFE_ENDPOINT_SOCKET` or else
    /// `SPIRE_AGENT_SOCKET` says.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Trusts the workloads of a further trust domain, as far as the agent has its bundle. Without
    /// this, only peers of the own trust domain are trusted.
    pub fn trust(mut self, trust_domain: impl Into<String>) -> Self {
        self.trust.push(trust_domain.into());
        self
    }

    /// How long [`connect`](Self::connect) waits for the first usable update; 30 s by default.
    pub fn first_update_within(mut self, deadline: Duration) -> Self {
        self.first_update = deadline;
        self
    }

    /// The cryptography to use; by default that of the enabled feature. The process-wide default
    /// of rustls is neither read nor installed.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Opens the stream and waits for the first SVID. From then on the source follows the agent
    /// until the last clone of it is dropped.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] at once where the settings are wrong, and otherwise when the deadline has
    /// passed; it tells an absent socket, a hung agent, a missing entry and a bad answer apart.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream; nothing is left behind.
    pub async fn connect(self) -> Result<Source, ConnectError> {
        let endpoint = match &self.endpoint {
            Some(text) => text.parse(),
            None => Endpoint::from_env(),
        };
        let endpoint = endpoint.map_err(Failure::Endpoint)?;
        let federated = self
            .trust
            .iter()
            .map(|name| parse::trust_domain(name))
            .collect::<Result<BTreeSet<TrustDomain>, _>>();
        let federated = federated.map_err(Failure::TrustDomain)?;
        let provider = match self.provider {
            Some(provider) => provider,
            None => spiffe_verify::default_provider().map_err(Failure::NoProvider)?,
        };

        let status = Status {
            state: State::Starting,
            endpoint: endpoint.to_string(),
            spiffe_id: None,
            not_after: None,
            last_error: None,
            reconnects: 0,
        };
        let (snapshot, mut snapshots) = watch::channel(Arc::new(Snapshot::nothing(0)));
        let (status, statuses) = watch::channel(status);
        let (failure, failures) = watch::channel(None);
        let worker = Worker {
            endpoint: endpoint.clone(),
            reader: Reader::new(provider.clone(), federated),
            backoff: Backoff::new(provider.clone()),
            snapshot,
            status,
            failure,
        };
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        tokio::spawn(async move { stop.run_until_cancelled(worker.run()).await });

        match timeout(
            self.first_update,
            first_svid(&mut snapshots, failures.clone()),
        )
        .await
        {
            Ok(Ok(())) => Ok(Source::new(snapshots, statuses, provider, guard)),
            Ok(Err(failure)) => Err(ConnectError::new(&endpoint, failure)),
            Err(_) => {
                let failure = match failures.borrow().clone() {
                    None | Some(Failure::Hung(_)) => Failure::Hung(self.first_update),
                    Some(failure) => failure,
                };
                Err(ConnectError::new(&endpoint, failure))
            }
        }
    }
}

/// Waits for an SVID, or for a failure that no waiting mends.
async fn first_svid(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    mut failures: watch::Receiver<Option<Failure>>,
) -> Result<(), Failure> {
    tokio::select! {
        arrived = snapshots.wait_for(|snapshot| snapshot.svid().is_some()) => arrived.map(|_| ()).map_err(|_| Failure::Ended),
        failed = failures.wait_for(|failure| failure.as_ref().is_some_and(Failure::is_final)) => {
            Err(failed.ok().and_then(|failure| failure.clone()).unwrap_or(Failure::Ended))
        }
    }
}
