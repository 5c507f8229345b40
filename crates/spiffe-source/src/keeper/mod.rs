//! Holds what the feed has brought, and says what of it is in force at the moment.

mod held;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use spiffe_peer::TrustDomain;
use tokio::sync::{broadcast, watch};

use self::held::Held;
use self::reader::Own;
pub(crate) use self::reader::Reader;
use crate::change::{Cause, Change, KEPT_CHANGES, SvidSummary};
use crate::clock::Clock;
use crate::deny::{DenyList, DenyLists};
use crate::error::Failure;
use crate::material::Material;
use crate::observe::{self, Outcome};
use crate::snapshot::Snapshot;
use crate::status::Status;

/// The one place where material becomes a revision. Writers take turns; readers never wait for
/// them, since what they read is published whole.
pub(crate) struct Keeper {
    reader: Reader,
    clock: Clock,
    held: Mutex<Held>,
    /// The snapshot in force for those who only read it; the other for those who wait for the next.
    current: ArcSwap<Snapshot>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Status>,
    failure: watch::Sender<Option<Failure>>,
    changes: Mutex<Option<broadcast::Sender<Change>>>,
}

impl Keeper {
    pub(crate) fn new(reader: Reader, clock: Clock, origin: String, deny: DenyLists) -> Self {
        let nothing = Arc::new(Snapshot::nothing(0, deny.both().clone()));
        let held = Held {
            deny,
            ..Held::default()
        };
        Self {
            reader,
            clock,
            held: Mutex::new(held),
            current: ArcSwap::new(nothing.clone()),
            snapshot: watch::Sender::new(nothing),
            status: watch::Sender::new(Status::starting(origin)),
            failure: watch::Sender::new(None),
            changes: Mutex::new(Some(broadcast::Sender::new(KEPT_CHANGES))),
        }
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        self.reader.provider()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The snapshot in force. Takes no lock.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    pub(crate) fn statuses(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn failures(&self) -> watch::Receiver<Option<Failure>> {
        self.failure.subscribe()
    }

    /// The changes from now on; a closed source has none.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        lock(&self.changes)
            .as_ref()
            .map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe)
    }

    /// Applies the full set of X.509 material. A broken part breaks only what it touches: the own
    /// material in force stays where the own part is unusable, a foreign domain whose bundle is
    /// unusable is distrusted, and nothing that the update leaves out lives on.
    pub(crate) fn update(&self, material: &Material) -> bool {
        let started = std::time::Instant::now();
        let now = self.clock.now();
        let mut held = lock(&self.held);
        let mut problems = Vec::new();
        let own = self.reader.own(material, now, &mut problems);
        let is_fresh = own.is_ok();
        held.own_problem = own
            .as_ref()
            .err()
            .map(|problem| format!("own SVID: {problem}"));
        held.own = own.unwrap_or_else(|_| self.reader.kept(&held.own, material));
        let own_domain = held.own.bundle.as_ref().map(|bundle| bundle.trust_domain());
        held.foreign = self
            .reader
            .foreign(&held.foreign, material, own_domain, &mut problems);
        self.read_jwt_bundles(&mut held);
        held.withdrawn = false;
        held.feed_problem = None;
        for problem in held.own_problem.iter().chain(&problems) {
            tracing::warn!(target: "spiffe_source", problem, "a part of an update cannot be used");
        }
        held.other_problem = problems.into_iter().next();
        self.failure
            .send_replace(held.own_problem.clone().map(Failure::BadAnswer));
        let outcome = match (&held.own_problem, &held.other_problem) {
            (Some(_), _) => Outcome::Refused,
            (None, Some(_)) => Outcome::Partial,
            (None, None) => Outcome::Applied,
        };
        held.last_update = Some(now);
        let is_new = self.publish(&held, Cause::Update);
        observe::update(outcome, is_new, started.elapsed());
        is_fresh
    }

    /// Why not all of this material could be put in force now. Nothing of it is.
    pub(crate) fn problem_with(&self, material: &Material) -> Option<String> {
        let mut problems = Vec::new();
        let own = match self.reader.own(material, self.clock.now(), &mut problems) {
            Ok(own) => own,
            Err(problem) => return Some(problem),
        };
        let own_domain = own.bundle.as_ref().map(|bundle| bundle.trust_domain());
        self.reader
            .foreign(&BTreeMap::new(), material, own_domain, &mut problems);
        problems.into_iter().next()
    }

    /// Applies the full set of JWT bundles.
    pub(crate) fn update_jwt_bundles(&self, raw: BTreeMap<TrustDomain, Vec<u8>>) -> bool {
        let mut held = lock(&self.held);
        held.jwt_raw = raw;
        held.jwt_feed_problem = None;
        self.read_jwt_bundles(&mut held);
        self.publish(&held, Cause::Update);
        held.jwt_problem.is_none()
    }

    fn read_jwt_bundles(&self, held: &mut Held) {
        let mut problems = Vec::new();
        held.jwt = self
            .reader
            .jwt_bundles(&held.jwt, &held.jwt_raw, &held.own, &mut problems);
        // Until the own trust domain is known, any of them may be its bundle.
        if !held.own.svids.is_empty() {
            let own = &held.own;
            held.jwt_raw
                .retain(|domain, _| self.reader.trusts(domain, own));
        }
        for problem in &problems {
            tracing::warn!(target: "spiffe_source", problem, "a part of an update cannot be used");
        }
        held.jwt_problem = problems.into_iter().next();
    }

    /// Notes that no news can be had, or that everything is taken back.
    pub(crate) fn report(&self, failure: Failure) {
        let mut held = lock(&self.held);
        let text = failure.to_string();
        tracing::warn!(target: "spiffe_source", error = text, "no news of SVIDs and bundles");
        let since = held.feed_problem.take().map(|(_, since)| since);
        held.feed_problem = Some((text, since.unwrap_or_else(|| self.clock.now())));
        if failure.is_denied() && !held.withdrawn {
            // Whoever issues the material speaks, and says that this process has no identity: all
            // that was said before is taken back (SPIFFE Workload API, section 4.4).
            held.withdrawn = true;
            held.own = Own::default();
            held.foreign.clear();
            held.own_problem = None;
            held.other_problem = None;
            observe::withdrawal();
        }
        let cause = if failure.is_denied() {
            Cause::Withdrawal
        } else {
            self.by_the_clock()
        };
        self.failure.send_replace(Some(failure));
        self.publish(&held, cause);
    }

    /// Why there would be a new revision although nothing was brought.
    fn by_the_clock(&self) -> Cause {
        if self.current.load().svid().is_some() {
            Cause::Expiry
        } else {
            Cause::ClockChange
        }
    }

    /// Notes that no usable material will come any more.
    pub(crate) fn end(&self, reason: &str) {
        let problem = lock(&self.held).own_problem.clone().unwrap_or_default();
        let failure = Failure::Unusable(format!("{reason}: {problem}"));
        self.failure.send_replace(Some(failure));
    }

    /// Notes a problem that the own SVIDs outlive.
    pub(crate) fn mention(&self, problem: String) {
        let mut held = lock(&self.held);
        tracing::warn!(target: "spiffe_source", problem, "no news of JWT bundles");
        held.jwt_feed_problem = Some(problem);
        self.publish(&held, self.by_the_clock());
    }

    pub(crate) fn retries(&self) {
        observe::reconnect();
        let mut held = lock(&self.held);
        held.reconnects = held.reconnects.saturating_add(1);
        self.publish(&held, self.by_the_clock());
    }

    /// Replaces the part of the deny-list that comes from code.
    pub(crate) fn deny(&self, list: DenyList) {
        let mut held = lock(&self.held);
        held.deny.set_code(list);
        self.publish(&held, Cause::DenyList);
    }

    /// Replaces the part of the deny-list that comes from a file, or notes why that stays.
    pub(crate) fn deny_file(&self, read: Result<DenyList, String>) {
        let mut held = lock(&self.held);
        let cause = if read.is_ok() {
            Cause::DenyList
        } else {
            self.by_the_clock()
        };
        held.deny.set_file(read);
        self.publish(&held, cause);
    }

    /// Looks at the clock: what has reached its end is not in force any more. Where an update is
    /// just being applied, that looks at it.
    pub(crate) fn tick(&self) {
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.publish(&held, self.by_the_clock());
    }

    /// Takes everything back for good.
    pub(crate) fn close(&self) {
        let mut held = lock(&self.held);
        held.closed = true;
        self.publish(&held, Cause::Closed);
        lock(&self.changes).take();
    }

    /// Hands out what is in force now, if it says something new, and says how things are.
    fn publish(&self, held: &Held, cause: Cause) -> bool {
        let now = self.clock.now();
        let before = self.current();
        let next = before.followed_by(held.in_force(now)).map(Arc::new);
        let status = {
            let shown = self.status.borrow();
            held.status(&shown, next.as_ref().unwrap_or(&before), now)
        };
        if status.state != self.status.borrow().state {
            observe::state(status.state);
        }
        self.status.send_if_modified(|shown| {
            let differs = *shown != status;
            *shown = status;
            differs
        });
        let Some(next) = next else {
            return false;
        };
        let summary = |snapshot: &Snapshot| snapshot.svid().map(|svid| SvidSummary::of(svid));
        let change = Change {
            revision: next.revision(),
            cause,
            before: summary(&before),
            after: summary(&next),
            missed: 0,
        };
        observe::revision(&change, &before, &next);
        self.current.store(next.clone());
        self.snapshot.send_replace(next);
        if let Some(changes) = lock(&self.changes).as_ref() {
            // Nobody has to listen.
            let _ = changes.send(change);
        }
        true
    }
}

/// A panic while the lock was held is no reason to stop: what is held is replaced part by part, and
/// each part has been verified by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
