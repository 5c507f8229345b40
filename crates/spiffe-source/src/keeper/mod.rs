//! Holds what the feed has brought, and says what of it is in force at the moment.

mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use spiffe_peer::TrustDomain;
use spiffe_verify::X509Bundle;
use tokio::sync::{broadcast, watch};

pub(crate) use self::reader::Reader;
use self::reader::{JwtBundles, Own, X509Bundles};
use crate::change::{Cause, Change, KEPT_CHANGES, SvidSummary};
use crate::clock::Clock;
use crate::deny::{DenyList, DenyLists};
use crate::error::Failure;
use crate::material::Material;
use crate::observe::{self, Outcome};
use crate::snapshot::{Snapshot, Svid};
use crate::status::{BundleStatus, State, Status};

/// The one place where material becomes a revision. Writers take turns; readers never wait for
/// them, since what they read is published whole.
pub(crate) struct Keeper {
    reader: Reader,
    clock: Clock,
    held: Mutex<Held>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Status>,
    failure: watch::Sender<Option<Failure>>,
    changes: Mutex<Option<broadcast::Sender<Change>>>,
}

/// What has been brought and verified, whether or not it is in force now.
#[derive(Default)]
struct Held {
    own: Own,
    foreign: X509Bundles,
    jwt: JwtBundles,
    jwt_raw: BTreeMap<TrustDomain, Vec<u8>>,
    deny: DenyLists,
    withdrawn: bool,
    closed: bool,
    own_problem: Option<String>,
    other_problem: Option<String>,
    jwt_problem: Option<String>,
    jwt_feed_problem: Option<String>,
    /// Why no news can be had, and since when.
    feed_problem: Option<(String, SystemTime)>,
    last_update: Option<SystemTime>,
    reconnects: u64,
}

impl Keeper {
    pub(crate) fn new(reader: Reader, clock: Clock, origin: String, deny: DenyLists) -> Self {
        let nothing = Snapshot::nothing(0, deny.both().clone());
        let held = Held {
            deny,
            ..Held::default()
        };
        Self {
            reader,
            clock,
            held: Mutex::new(held),
            snapshot: watch::Sender::new(Arc::new(nothing)),
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
        if self.snapshot.borrow().svid().is_some() {
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
        let before = self.snapshot.borrow().clone();
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
        self.snapshot.send_replace(next);
        if let Some(changes) = lock(&self.changes).as_ref() {
            // Nobody has to listen.
            let _ = changes.send(change);
        }
        true
    }
}

impl Held {
    /// What of this is in force at a moment.
    fn in_force(&self, now: SystemTime) -> Snapshot {
        if self.closed || self.withdrawn {
            return Snapshot::nothing(0, self.deny.both().clone());
        }
        // A clock that went back does not make an SVID invalid that was valid later on.
        let is_in_force = |svid: &Arc<Svid>| {
            now < svid.verified().not_after() && self.deny.both().denies(svid.verified()).is_none()
        };
        let in_use = self.own.svids.first();
        let svids = if in_use.is_some_and(is_in_force) {
            let all = self.own.svids.iter();
            all.filter(|svid| is_in_force(svid)).cloned().collect()
        } else {
            // No other identity takes the place of the one in use.
            Vec::new()
        };
        let mut bundles = self.foreign.clone();
        if let Some(own) = &self.own.bundle {
            bundles.insert(own.trust_domain().clone(), own.clone());
        }
        let denied = self.deny.both().clone();
        Snapshot::new(0, svids, bundles, self.jwt.clone(), denied)
    }

    fn status(&self, before: &Status, next: &Snapshot, now: SystemTime) -> Status {
        let in_use = self.own.svids.first().map(|svid| svid.verified());
        let own_entry = in_use.and_then(|svid| self.deny.both().denies(svid));
        let denied = in_use.zip(own_entry).map(|(svid, entry)| {
            let serial = svid.serial();
            format!("the own SVID, serial {serial}, is on the deny-list ({entry})")
        });
        let own_problem = self.own_problem.clone().or_else(|| self.unusable(now));
        let feed_problem = self.feed_problem.as_ref().map(|(problem, _)| problem);
        let state = match (next.svid(), in_use) {
            _ if self.closed => State::Closed,
            _ if self.withdrawn => State::Denied,
            (Some(_), _) if feed_problem.is_none() && own_problem.is_none() => State::Ready,
            (Some(_), _) => State::Stale,
            (None, Some(_)) if denied.is_some() => State::Denied,
            (None, Some(_)) => State::Expired,
            (None, None) => State::Starting,
        };
        let stale_since = (state == State::Stale).then(|| {
            let since = self.feed_problem.as_ref().map(|(_, since)| *since);
            before.stale_since.or(since).unwrap_or(now)
        });
        Status {
            state,
            ready: next.svid().is_some() && self.unusable(now).is_none(),
            origin: before.origin.clone(),
            revision: next.revision(),
            svid: self.own.svids.first().map(|svid| SvidSummary::of(svid)),
            bundles: BundleStatus::of(next),
            last_update: self.last_update,
            last_error: self.deny.and_file_problem(
                own_problem
                    .or(denied)
                    .or(feed_problem.cloned())
                    .or_else(|| self.other_problem.clone())
                    .or_else(|| self.jwt_problem.clone())
                    .or_else(|| self.jwt_feed_problem.clone()),
            ),
            stale_since,
            reconnects: self.reconnects,
        }
    }

    /// Why a peer would not accept the own SVID at this moment, although it was verified once.
    fn unusable(&self, now: SystemTime) -> Option<String> {
        let svid = self.own.svids.first()?.verified();
        if now >= svid.not_after() {
            return Some(format!(
                "the own SVID, serial {}, has expired",
                svid.serial()
            ));
        }
        if now < svid.not_before() {
            return Some(format!(
                "the own SVID, serial {}, is not valid yet: has the clock gone back?",
                svid.serial()
            ));
        }
        let vouches = |bundle: &Arc<X509Bundle>| bundle.still_anchors(svid);
        (!self.own.bundle.as_ref().is_some_and(vouches))
            .then(|| "the own bundle does not vouch for the own SVID any more".to_owned())
    }
}

/// A panic while the lock was held is no reason to stop: what is held is replaced part by part, and
/// each part has been verified by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
