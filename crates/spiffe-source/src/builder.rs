use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use spiffe_peer::{TrustDomain, parse};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::change::{Change, Changes};
use crate::clock::Clock;
use crate::deny::{DenyFile, DenyList, DenyLists};
use crate::error::{ConnectError, Failure};
use crate::feed::Feed;
use crate::keeper::{Keeper, Reader};
use crate::picker::Picker;
use crate::snapshot::{Snapshot, Svid};
use crate::source::Source;
use crate::status::State;

const FIRST_UPDATE: Duration = Duration::from_secs(30);

/// How long the JWT bundles may take that an agent gives beside the SVIDs.
const JWT_BUNDLES: Duration = Duration::from_secs(1);

/// How a source is opened: from which feed `F`, whom beside the own trust domain it trusts, and
/// which of several own SVIDs it uses.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_source::ConnectError> {
/// let source = spiffe_source::Source::workload_api()
///     .endpoint("unix:///run/spire/sockets/agent.sock")
///     .trust("partner.example")
///     .pick_hint("internal")
///     .connect()
///     .await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `connect` is awaited"]
pub struct Builder<F> {
    pub(crate) feed: F,
    trust: Vec<String>,
    pick: Pick,
    deny: DenyList,
    /// From the root on: where the process is may change.
    deny_file: Option<Result<PathBuf, String>>,
    first_update: Duration,
    provider: Option<Arc<CryptoProvider>>,
    clock: Clock,
    on_change: Vec<Callback>,
}

type Callback = Box<dyn FnMut(&Change) + Send>;

/// A picker as it was asked for; an ID has yet to be parsed.
enum Pick {
    Id(String),
    Other(Picker),
}

impl<F: Feed> Builder<F> {
    pub(crate) fn new(feed: F) -> Self {
        Self {
            feed,
            trust: Vec::new(),
            pick: Pick::Other(Picker::First),
            deny: DenyList::default(),
            deny_file: None,
            first_update: FIRST_UPDATE,
            provider: None,
            clock: Clock::default(),
            on_change: Vec::new(),
        }
    }

    /// Trusts the workloads of a further trust domain, as far as the feed has its bundle. Without
    /// this, only peers of the own trust domain are trusted.
    pub fn trust(mut self, trust_domain: impl Into<String>) -> Self {
        self.trust.push(trust_domain.into());
        self
    }

    /// Uses the own SVID with this ID, where the feed gives several. Without a picker the first is
    /// used (SPIFFE Workload API, section 8).
    pub fn pick_id(mut self, spiffe_id: impl Into<String>) -> Self {
        self.pick = Pick::Id(spiffe_id.into());
        self
    }

    /// Uses the own SVID with this hint.
    pub fn pick_hint(mut self, hint: impl Into<String>) -> Self {
        self.pick = Pick::Other(Picker::Hint(hint.into()));
        self
    }

    /// Uses the own SVID whose place among the usable ones `picker` answers. Where it answers none,
    /// or panics, the update's own part is not put in force. It is asked while an update is being
    /// applied: it must not give the sink another.
    pub fn pick(
        mut self,
        picker: impl Fn(&[Arc<Svid>]) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        self.pick = Pick::Other(Picker::Choice(Arc::new(picker)));
        self
    }

    /// Refuses whom this list names, although its SVID is valid. Replace it while running with
    /// [`Source::deny`]. Where it names the own SVID, the source has no identity.
    pub fn deny(mut self, list: DenyList) -> Self {
        self.deny = list;
        self
    }

    /// Refuses also whom this file names; what its lines look like, [`DenyList`] shows. The file is
    /// read again about twice a second, and what it says is in force within about a second, once two
    /// looks in a row have shown the same. A path that is not absolute is one of the directory in
    /// which the process is now.
    ///
    /// Write a new file beside it and rename it: a file that is overwritten in place is, for as long
    /// as that takes, the beginning of one list and the rest of another, and stays so where the
    /// writer dies. With a digest in its last line such a mixture is never taken for a list:
    ///
    /// ```sh
    /// { cat entries && echo "end sha256:$(sha256sum <entries | cut -c 1-64)"; } >denied.new && mv denied.new denied
    /// ```
    ///
    /// The last line has to be `end`, with a digest or without one, so that a file that was cut off
    /// never counts as a shorter list. A file that is absent or malformed, or that everybody may
    /// write (mode `o+w`), does not let [`connect`](Self::connect) succeed; when it becomes so later,
    /// the last good list stays in force, and [`Status::last_error`](crate::Status::last_error) says
    /// so until the file is mended. It has at most 16 MiB, and has to be there for a tenth of a
    /// second before `connect` goes on.
    pub fn deny_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let absolute = std::path::absolute(&path);
        self.deny_file = Some(absolute.map_err(|error| {
            let path = path.display();
            format!("the deny-list `{path}` cannot be found from here: {error}")
        }));
        self
    }

    /// Calls this with each change, in order, on a thread for blocking work: a slow or panicking
    /// callback holds nothing up but later calls of its own. One that falls behind by more than 64
    /// changes misses the oldest, and [`Change::missed`] tells how many.
    pub fn on_change(mut self, callback: impl FnMut(&Change) + Send + 'static) -> Self {
        self.on_change.push(Box::new(callback));
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

    /// The clock that says whether material is valid; the system's by default. For tests of what
    /// happens at an expiry or when a clock jumps.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Starts the feed and waits for the first own SVID, and up to a second more for the JWT bundles
    /// where the feed has such. From then on the source follows the feed
    /// until it is closed or the last clone of it is dropped.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] at once where the settings are wrong, and otherwise when the deadline has
    /// passed; for the Workload API it tells an absent socket, a hung agent, a missing entry and a
    /// bad answer apart.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the feed; nothing is left behind.
    pub async fn connect(mut self) -> Result<Source, ConnectError> {
        let first_update = self.first_update;
        let deny_file = match self.deny_file.take() {
            Some(path) => {
                let path = path.map_err(Failure::Settings)?;
                Some(DenyFile::open(path).await.map_err(Failure::Settings)?)
            }
            None => None,
        };
        let (source, origin, failures) = self.start(deny_file)?;
        let mut snapshots = source.keeper().snapshots();
        let first = first_svid(&mut snapshots, failures.clone());
        let failure = match timeout(first_update, first).await {
            Ok(Ok(())) => {
                if source.jwt().is_some() {
                    // They come on a stream of their own: whoever validates tokens at once should
                    // not refuse the first. Nobody else has to wait for them.
                    let _ = timeout(JWT_BUNDLES, source.keeper().jwt_heard()).await;
                }
                return Ok(source);
            }
            Ok(Err(failure)) => failure,
            Err(_) => match failures.borrow().clone() {
                None if source.status().state() == State::Denied => {
                    let why = source.status().last_error().unwrap_or_default().to_owned();
                    Failure::Settings(why)
                }
                None | Some(Failure::Hung(_)) => Failure::Hung(first_update),
                Some(failure) => failure,
            },
        };
        Err(ConnectError::new(origin, failure))
    }

    fn start(
        mut self,
        deny_file: Option<(DenyFile, DenyList)>,
    ) -> Result<(Source, String, watch::Receiver<Option<Failure>>), ConnectError> {
        let federated = self
            .trust
            .iter()
            .map(|name| parse::trust_domain(name))
            .collect::<Result<BTreeSet<TrustDomain>, _>>()
            .map_err(Failure::InvalidId)?;
        let picker = match self.pick {
            Pick::Id(id) => Picker::Id(parse::workload_id(&id).map_err(Failure::InvalidId)?),
            Pick::Other(picker) => picker,
        };
        let provider = match self.provider {
            Some(provider) => provider,
            None => spiffe_verify::default_provider().map_err(Failure::NoProvider)?,
        };
        let origin = self.feed.prepare()?;
        let (deny_file, on_file) = deny_file.unzip();
        let names_anybody = !self.deny.is_empty();
        let keeper = Arc::new(Keeper::new(
            Reader::new(provider, federated, picker),
            self.clock,
            origin.clone(),
            DenyLists::new(self.deny, on_file),
        ));
        if names_anybody || deny_file.is_some() {
            keeper.tell_deny_list();
        }
        let failures = keeper.failures();
        for callback in self.on_change {
            tokio::spawn(call_back(Changes(keeper.changes()), callback));
        }
        let source = Source::start(keeper, self.feed);
        if let Some(deny_file) = deny_file {
            let (preparing, telling) = (source.keeper().clone(), source.keeper().clone());
            source.run_beside(deny_file.watch(
                move |list| preparing.with_deny_file(list),
                move |read| telling.deny_file(read),
            ));
        }
        Ok((source, origin, failures))
    }
}

impl<F: fmt::Debug> fmt::Debug for Builder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("feed", &self.feed)
            .field("trust", &self.trust)
            .field("first_update_within", &self.first_update)
            .finish_non_exhaustive()
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

async fn call_back(mut changes: Changes, mut callback: Callback) {
    while let Ok(change) = changes.next().await {
        // It may take as long as it likes.
        let called = spawn_blocking(move || {
            if catch_unwind(AssertUnwindSafe(|| callback(&change))).is_err() {
                tracing::error!(target: "spiffe_source", revision = change.revision(), "a callback has panicked");
            }
            callback
        });
        match called.await {
            Ok(returned) => callback = returned,
            // The runtime is ending.
            Err(_) => return,
        }
    }
}
