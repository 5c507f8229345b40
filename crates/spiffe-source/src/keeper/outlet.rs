//! What everybody else sees of a source: each thing published whole, and each before it is told.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, watch};

use super::lock;
use crate::change::{Cause, Change, KEPT_CHANGES, SvidSummary};
use crate::observe;
use crate::snapshot::Snapshot;
use crate::status::Status;

/// Readers of it never wait for whoever publishes, and the other way round.
pub(super) struct Outlet {
    /// The snapshot in force for those who only read it; the other for those who wait for the next.
    current: ArcSwap<Snapshot>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Status>,
    changes: Mutex<Option<broadcast::Sender<Change>>>,
}

/// What is new, and yet to be told to logs and metrics.
pub(super) struct News {
    has_other_state: bool,
    /// The change, and the snapshot before it.
    change: Option<(Change, Arc<Snapshot>)>,
}

impl News {
    pub(super) fn is_revision(&self) -> bool {
        self.change.is_some()
    }
}

impl Outlet {
    pub(super) fn new(nothing: Snapshot, status: Status) -> Self {
        let nothing = Arc::new(nothing);
        Self {
            current: ArcSwap::new(nothing.clone()),
            snapshot: watch::Sender::new(nothing),
            status: watch::Sender::new(status),
            changes: Mutex::new(Some(broadcast::Sender::new(KEPT_CHANGES))),
        }
    }

    /// The snapshot in force. Takes no lock.
    pub(super) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn statuses(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The changes from now on; a closed source has none.
    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        lock(&self.changes)
            .as_ref()
            .map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe)
    }

    /// There are no changes any more.
    pub(super) fn end(&self) {
        lock(&self.changes).take();
    }

    /// Publishes what is in force from now on, if it says something new, and how things are then. The
    /// snapshot comes first: whoever sees a status finds what it speaks of.
    pub(super) fn publish(
        &self,
        in_force: Snapshot,
        cause: Cause,
        status: impl FnOnce(&Status, &Snapshot) -> Status,
    ) -> News {
        let before = self.current();
        let next = before.followed_by(in_force).map(Arc::new);
        let shown = self.status();
        let status = status(&shown, next.as_ref().unwrap_or(&before));
        if let Some(next) = &next {
            self.current.store(next.clone());
        }
        let has_other_state = status.state != shown.state;
        if status != shown {
            self.status.send_replace(status);
        }
        let change = next.map(|next| {
            let summary = |snapshot: &Snapshot| snapshot.svid().map(|svid| SvidSummary::of(svid));
            let change = Change {
                revision: next.revision(),
                cause,
                before: summary(&before),
                after: summary(&next),
                missed: 0,
            };
            self.snapshot.send_replace(next);
            if let Some(changes) = lock(&self.changes).as_ref() {
                // Nobody has to listen.
                let _ = changes.send(change.clone());
            }
            (change, before)
        });
        News {
            has_other_state,
            change,
        }
    }

    /// Tells logs and metrics, which may be slow: never while a lock is held, and never before what
    /// they are told is in force.
    pub(super) fn tell(&self, news: News) {
        if news.has_other_state {
            observe::state(self.status.borrow().state);
        }
        if let Some((change, before)) = news.change {
            observe::revision(&change, &before, &self.current());
        }
    }
}
