use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::builder::Builder;
use crate::change::Changes;
use crate::deny::DenyList;
use crate::error::{Closed, NotReady};
use crate::feed::{Feed, Sink};
use crate::files::Files;
use crate::fixed::Fixed;
use crate::jwt;
use crate::keeper::Keeper;
use crate::material::Material;
use crate::snapshot::Snapshot;
use crate::status::{State, Status, Statuses};
use crate::workload_api::WorkloadApi;

/// How often the clock is looked at: no expiry, and no jump of the clock, goes unnoticed longer.
const TICK: Duration = Duration::from_secs(1);

/// How long a feed that has panicked rests.
const REST_AFTER_PANIC: Duration = Duration::from_secs(1);

/// A live source of SVIDs and bundles. Clones share one feed; it ends with the last of them.
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
    keeper: Arc<Keeper>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
    jwt: Option<Arc<jwt::Cache>>,
    _running: Arc<DropGuard>,
}

impl Source {
    /// A source that follows an agent over the SPIFFE Workload API.
    pub fn workload_api() -> Builder<WorkloadApi> {
        Builder::new(WorkloadApi::default())
    }

    /// A source that follows files of this directory, which another program keeps fresh; by default
    /// those of SPIFFE Helper: `svid.pem`, `svid_key.pem`, `bundle.pem`. See [`Files`].
    pub fn files(directory: impl Into<PathBuf>) -> Builder<Files> {
        Builder::new(Files::new(directory.into()))
    }

    /// A source that never changes by itself: for tests, and for material that somebody else
    /// replaces by a restart. Its SVID still expires.
    pub fn fixed(material: Material) -> Builder<Fixed> {
        Builder::new(Fixed::new(material))
    }

    /// A source that takes its material from a feed of another kind.
    pub fn from_feed<F: Feed>(feed: F) -> Builder<F> {
        Builder::new(feed)
    }

    /// Starts a feed. It runs on the current tokio runtime until the source ends.
    pub(crate) fn start<F: Feed>(keeper: Arc<Keeper>, feed: F) -> Self {
        let stop = CancellationToken::new();
        let jwt = feed
            .jwt_authority()
            .map(|authority| jwt::Cache::start(&keeper, authority, &stop));
        let source = Self {
            snapshots: keeper.snapshots(),
            keeper: keeper.clone(),
            stop: stop.clone(),
            jwt,
            _running: Arc::new(stop.clone().drop_guard()),
        };
        // Beside the feed, so that one which blocks does not stop the clock.
        let clock = keeper.clone();
        source.run_beside(async move { watch_the_clock(&clock).await });
        let end = End { keeper, stop };
        tokio::spawn(async move {
            let sink = Sink::new(end.keeper.clone());
            end.stop.run_until_cancelled(follow(feed, sink)).await;
            // What the feed has brought stays when it has no more to bring.
            end.stop.cancelled().await;
        });
        source
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub(crate) fn jwt(&self) -> Option<&Arc<jwt::Cache>> {
        self.jwt.as_ref()
    }

    /// Runs something beside the feed, until the source ends.
    pub(crate) fn run_beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work));
    }

    /// What holds now. Takes no lock, and is cheap enough to ask for each time.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.current()
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
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Closed),
            changed = self.snapshots.changed() => {
                changed.map_err(|_| Closed)?;
                Ok(self.snapshots.borrow_and_update().clone())
            }
        }
    }

    /// The changes from now on, each with the old and the new SVID and its cause.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.keeper.changes())
    }

    /// The statuses from now on.
    #[must_use]
    pub fn statuses(&self) -> Statuses {
        Statuses {
            statuses: self.keeper.statuses(),
            stop: self.stop.clone(),
        }
    }

    /// How the source is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.keeper.tick();
        self.keeper.status()
    }

    /// Waits until a handshake would work.
    ///
    /// # Errors
    ///
    /// [`NotReady`] with the status when the deadline has passed, or at once when the source has
    /// been closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn ready(&self, deadline: Duration) -> Result<(), NotReady> {
        self.keeper.tick();
        let mut statuses = self.keeper.statuses();
        let settled =
            statuses.wait_for(|status| status.is_ready() || status.state() == State::Closed);
        let _ = timeout(deadline, settled).await;
        let status = self.status();
        if status.is_ready() {
            Ok(())
        } else {
            Err(NotReady(Box::new(status)))
        }
    }

    /// Replaces the deny-list that came from code; what the file of [`Builder::deny_file`] names
    /// stays denied. It makes a revision: as soon as that is in use, whom either names is refused
    /// in handshakes and loses its open connections, and whom neither names any more is accepted
    /// again. Nobody else notices.
    pub fn deny(&self, list: DenyList) {
        self.keeper.deny(list);
    }

    /// Ends the source for every clone: its stream is closed, everything is withdrawn, and waiting
    /// for a change answers [`Closed`].
    pub fn close(&self) {
        self.keeper.close();
        self.stop.cancel();
    }

    /// The cryptography that this source, and what is built on it, uses.
    #[must_use]
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        self.keeper.provider()
    }
}

/// Closes the source with the task that holds this, also where the runtime goes under it: whoever
/// still has the source must not take for true what nobody keeps true any more.
struct End {
    keeper: Arc<Keeper>,
    stop: CancellationToken,
}

impl Drop for End {
    fn drop(&mut self) {
        self.keeper.close();
        self.stop.cancel();
    }
}

/// Runs a feed. A panic in it, or in what it calls, does not end the source.
async fn follow<F: Feed>(mut feed: F, sink: Sink) {
    // The call is inside, too: it may panic before there is a future.
    while AssertUnwindSafe(async { feed.run(sink.clone()).await })
        .catch_unwind()
        .await
        .is_err()
    {
        sink.failed("the feed has panicked, and is started again");
        sleep(REST_AFTER_PANIC).await;
        sink.retries();
    }
}

async fn watch_the_clock(keeper: &Keeper) {
    loop {
        sleep(TICK).await;
        keeper.tick();
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("status", &self.keeper.status())
            .field("snapshot", &self.snapshot())
            .finish()
    }
}
