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
pub(crate) use self::reader::Reader;
use crate::change::{Cause, Change, KEPT_CHANGES, SvidSummary};
use crate::clock::Clock;
use crate::deny::{DenyList, DenyLists, DenyParts};
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
    /// Updates come in order, though they are verified before anything is locked.
    updating: Mutex<()>,
    held: Mutex<Held>,
    /// The snapshot in force for those who only read it; the other for those who wait for the next.
    current: ArcSwap<Snapshot>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Status>,
    failure: watch::Sender<Option<Failure>>,
    changes: Mutex<Option<broadcast::Sender<Change>>>,
    /// Whether there was a first word on the JWT bundles, good or bad.
    jwt_heard: watch::Sender<bool>,
}

/// The JWK Sets that a feed has, by trust domain, and why one that should be here is not.
pub(crate) struct JwtMaterial {
    pub(crate) bundles: BTreeMap<TrustDomain, Vec<u8>>,
    pub(crate) problem: Option<String>,
}

impl Keeper {
    pub(crate) fn new(reader: Reader, clock: Clock, origin: String, deny: DenyLists) -> Self {
        let nothing = Arc::new(Snapshot::nothing(0, deny.both().clone()));
        let held = Held {
            deny,
            ..Held::default()
        };
        observe::begin(reader.named());
        Self {
            reader,
            clock,
            updating: Mutex::new(()),
            held: Mutex::new(held),
            current: ArcSwap::new(nothing.clone()),
            snapshot: watch::Sender::new(nothing),
            status: watch::Sender::new(Status::starting(origin)),
            failure: watch::Sender::new(None),
            changes: Mutex::new(Some(broadcast::Sender::new(KEPT_CHANGES))),
            jwt_heard: watch::Sender::new(false),
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

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn statuses(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn failures(&self) -> watch::Receiver<Option<Failure>> {
        self.failure.subscribe()
    }

    /// Waits for the first word on the JWT bundles.
    pub(crate) async fn jwt_heard(&self) {
        // The sender lives as long as this does.
        let _ = self.jwt_heard.subscribe().wait_for(|heard| *heard).await;
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
        self.update_all(material, None)
    }

    /// As [`update`](Self::update), with the full set of JWT bundles in the same revision.
    pub(crate) fn update_all(&self, material: &Material, jwt: Option<JwtMaterial>) -> bool {
        let started = std::time::Instant::now();
        let _turn = lock(&self.updating);
        let now = self.clock.now();
        let mut problems = Vec::new();
        let own = self.reader.own(material, now, &mut problems);
        let mut held = lock(&self.held);
        if held.closed {
            return false;
        }
        let is_usable = own.is_ok();
        let mut withdrawn = None;
        match own {
            Ok(own) => {
                held.own = own;
                held.own_problem = None;
                held.withdrawn = false;
                held.feed_problem = None;
            }
            Err(unusable) => match self.reader.kept(&held.own, material, &unusable) {
                Some(own) => {
                    held.own = own;
                    held.own_problem = Some(format!("own SVID: {unusable}"));
                    if !held.withdrawn {
                        held.feed_problem = None;
                    }
                }
                None => withdrawn = Some(unusable.to_string()),
            },
        }
        if let Some(reason) = &withdrawn {
            held.withdraw(reason.clone(), now);
        }
        let own_domain = held.own.bundle.as_ref().map(|bundle| bundle.trust_domain());
        held.foreign = self
            .reader
            .foreign(&held.foreign, material, own_domain, &mut problems);
        if let Some(jwt) = jwt {
            held.jwt_raw = jwt.bundles;
            held.jwt_feed_problem = None;
            problems.extend(jwt.problem);
        }
        problems.extend(self.read_jwt_bundles(&mut held));
        let own_problem = held.own_problem.clone();
        held.other_problem = problems.first().cloned();
        held.last_update = Some(now);
        self.failure.send_replace(match (&withdrawn, &own_problem) {
            (Some(reason), _) => Some(Failure::TakenBack(reason.clone())),
            (None, problem) => problem.clone().map(Failure::BadAnswer),
        });
        let cause = if withdrawn.is_some() {
            Cause::Withdrawal
        } else {
            Cause::Update
        };
        let published = self.publish(held, cause, now);
        let is_in_force = is_usable && self.current().svid().is_some();
        for problem in withdrawn.iter().chain(&own_problem).chain(&problems) {
            tracing::warn!(target: "spiffe_source", problem, "a part of an update cannot be used");
        }
        if withdrawn.is_some() {
            observe::withdrawal();
        }
        let outcome = match (is_usable, problems.is_empty()) {
            (false, _) => Outcome::Refused,
            (true, false) => Outcome::Partial,
            (true, true) => Outcome::Applied,
        };
        observe::update(outcome, published.change.is_some(), started.elapsed());
        self.tell(published);
        is_in_force
    }

    /// Why not all of this material could be put in force now. Nothing of it is.
    pub(crate) fn problem_with(&self, material: &Material) -> Option<String> {
        let mut problems = Vec::new();
        let own = match self.reader.own(material, self.clock.now(), &mut problems) {
            Ok(own) => own,
            Err(unusable) => return Some(unusable.to_string()),
        };
        let own_domain = own.bundle.as_ref().map(|bundle| bundle.trust_domain());
        self.reader
            .foreign(&BTreeMap::new(), material, own_domain, &mut problems);
        problems.into_iter().next()
    }

    /// Applies the full set of JWT bundles.
    pub(crate) fn update_jwt_bundles(&self, raw: BTreeMap<TrustDomain, Vec<u8>>) -> bool {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.jwt_raw = raw;
        held.jwt_feed_problem = None;
        let problems = self.read_jwt_bundles(&mut held);
        let published = self.publish(held, Cause::Update, now);
        self.jwt_heard.send_replace(true);
        for problem in &problems {
            tracing::warn!(target: "spiffe_source", problem, "a part of an update cannot be used");
        }
        self.tell(published);
        problems.is_empty()
    }

    fn read_jwt_bundles(&self, held: &mut Held) -> Vec<String> {
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
        held.jwt_problem = problems.first().cloned();
        problems
    }

    /// Notes that no news can be had, or that everything is taken back.
    pub(crate) fn report(&self, failure: Failure) {
        let now = self.clock.now();
        let text = failure.to_string();
        let mut held = lock(&self.held);
        let is_told = held
            .feed_problem
            .as_ref()
            .is_some_and(|(known, _)| *known == text);
        let is_withdrawal = failure.is_denied() && !held.withdrawn;
        if is_withdrawal {
            // Whoever issues the material speaks, and says that this process has no identity: all
            // that was said before is taken back (SPIFFE Workload API, section 4.4).
            held.withdraw(text.clone(), now);
        } else {
            let since = held.feed_problem.take().map(|(_, since)| since);
            held.feed_problem = Some((text.clone(), since.unwrap_or(now)));
        }
        let cause = if failure.is_denied() {
            Cause::Withdrawal
        } else {
            self.by_the_clock()
        };
        self.failure.send_replace(Some(failure));
        let published = self.publish(held, cause, now);
        if is_told {
            tracing::debug!(target: "spiffe_source", error = text, "still no news of SVIDs and bundles");
        } else {
            tracing::warn!(target: "spiffe_source", error = text, "no news of SVIDs and bundles");
        }
        if is_withdrawal {
            observe::withdrawal();
        }
        self.tell(published);
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
        let problem = {
            let held = lock(&self.held);
            if !held.own.svids.is_empty() {
                // What is only denied comes in force when that is undone.
                return;
            }
            let feed_problem = held.feed_problem.as_ref().map(|(problem, _)| problem);
            let problem = held.own_problem.as_ref().or(feed_problem);
            problem.cloned().unwrap_or_default()
        };
        let failure = Failure::Unusable(format!("{reason}: {problem}"));
        self.failure.send_replace(Some(failure));
    }

    /// Notes a problem that the own SVIDs outlive.
    pub(crate) fn mention(&self, problem: String) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        let is_told = held.jwt_feed_problem.as_ref() == Some(&problem);
        held.jwt_feed_problem = Some(problem.clone());
        let published = self.publish(held, self.by_the_clock(), now);
        self.jwt_heard.send_replace(true);
        if is_told {
            tracing::debug!(target: "spiffe_source", problem, "still no news of JWT bundles");
        } else {
            tracing::warn!(target: "spiffe_source", problem, "no news of JWT bundles");
        }
        self.tell(published);
    }

    /// Counts a further attempt to get news.
    pub(crate) fn retries(&self) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.reconnects = held.reconnects.saturating_add(1);
        let published = self.publish(held, self.by_the_clock(), now);
        observe::reconnect();
        self.tell(published);
    }

    /// Replaces the part of the deny-list that comes from code.
    pub(crate) fn deny(&self, list: DenyList) {
        let now = self.clock.now();
        let parts = lock(&self.held).deny.parts().clone();
        let prepared = parts.with_code(list);
        let mut held = lock(&self.held);
        held.deny.set_code(prepared);
        let published = self.publish(held, Cause::DenyList, now);
        self.tell(published);
        self.tell_deny_list();
    }

    /// Puts together what [`deny_file`](Self::deny_file) takes. It is no work for a runtime's worker
    /// where the lists are long.
    pub(crate) fn with_deny_file(&self, list: DenyList) -> DenyParts {
        let parts = lock(&self.held).deny.parts().clone();
        parts.with_file(list)
    }

    /// Replaces the part of the deny-list that comes from a file, or notes why that stays.
    pub(crate) fn deny_file(&self, read: Result<DenyParts, String>) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        let cause = if read.is_ok() {
            Cause::DenyList
        } else {
            self.by_the_clock()
        };
        held.deny.set_file(read);
        let published = self.publish(held, cause, now);
        self.tell(published);
        self.tell_deny_list();
    }

    /// Says how the deny-list is to those who count.
    pub(crate) fn tell_deny_list(&self) {
        let (entries, file_is_stale) = {
            let held = lock(&self.held);
            (held.deny.both().len(), held.deny.file_is_stale())
        };
        observe::deny_list(entries, file_is_stale);
    }

    /// Looks at the clock: what has reached its end is not in force any more. Where something is
    /// just being changed, that looks at it.
    pub(crate) fn tick(&self) {
        let now = self.clock.now();
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let published = self.publish(held, self.by_the_clock(), now);
        self.tell(published);
    }

    /// Takes everything back for good, and lets go of it.
    pub(crate) fn close(&self) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.close();
        let published = self.publish(held, Cause::Closed, now);
        lock(&self.changes).take();
        self.tell(published);
    }

    /// Hands out what is in force now, if it says something new, and says how things are. The
    /// snapshot comes first: whoever sees a status finds what it speaks of.
    fn publish(&self, held: MutexGuard<'_, Held>, cause: Cause, now: SystemTime) -> Published {
        let before = self.current();
        let next = before.followed_by(held.in_force(now)).map(Arc::new);
        let shown = self.status.borrow().clone();
        let status = held.status(
            &shown,
            next.as_ref().unwrap_or(&before),
            self.reader.named(),
            now,
        );
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
        Published {
            has_other_state,
            change,
        }
    }

    /// Says what was published to logs and metrics, which may be slow: never while a lock is held,
    /// and never before it is in force.
    fn tell(&self, published: Published) {
        if published.has_other_state {
            observe::state(self.status.borrow().state);
        }
        if let Some((change, before)) = published.change {
            observe::revision(&change, &before, &self.current());
        }
    }
}

/// What is new after a change of what is held.
struct Published {
    has_other_state: bool,
    /// The change, and the snapshot before it.
    change: Option<(Change, Arc<Snapshot>)>,
}

/// A panic while the lock was held is no reason to stop: what is held is replaced part by part, and
/// each part has been verified by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
