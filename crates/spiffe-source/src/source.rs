use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::error::Closed;
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::workload_api::WorkloadApiBuilder;

/// A live source of SVIDs and bundles. Clones share one stream to the agent; it closes with the
/// last of them.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_source::Source;
///
/// let mut source = Source::workload_api().connect().await?; // SPIFFE_ENDPOINT_SOCKET
/// println!("{}", source.status());
/// loop {
///     let snapshot = source.changed().await?;
///     println!("revision {}", snapshot.revision());
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Source {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    statuses: watch::Receiver<Status>,
    provider: Arc<CryptoProvider>,
    _worker: Arc<DropGuard>,
}

impl Source {
    /// A source that follows an agent over the SPIFFE Workload API.
    pub fn workload_api() -> WorkloadApiBuilder {
        WorkloadApiBuilder::new()
    }

    pub(crate) fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        statuses: watch::Receiver<Status>,
        provider: Arc<CryptoProvider>,
        worker: DropGuard,
    ) -> Self {
        Self {
            snapshots,
            statuses,
            provider,
            _worker: Arc::new(worker),
        }
    }

    /// What holds now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Waits for a snapshot that this clone has not seen, and gives it. Several changes in quick
    /// succession may be seen as one.
    ///
    /// # Errors
    ///
    /// [`Closed`] when nothing can change any more.
    ///
    /// # Cancel safety
    ///
    /// No change is lost when the future is dropped: the next call gives it.
    pub async fn changed(&mut self) -> Result<Arc<Snapshot>, Closed> {
        self.snapshots.changed().await.map_err(|_| Closed)?;
        Ok(self.snapshots.borrow_and_update().clone())
    }

    /// How the source is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.statuses.borrow().clone()
    }

    /// The cryptography that this source, and what is built on it, uses.
    #[must_use]
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("status", &self.status())
            .field("snapshot", &self.snapshot())
            .finish()
    }
}
