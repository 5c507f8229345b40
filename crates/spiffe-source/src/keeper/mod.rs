//! Holds what the feed has brought, and says what of it is in force at the moment.

mod deny;
mod held;
mod jwt;
mod outlet;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use tokio::sync::{broadcast, watch};

use self::held::Held;
pub(crate) use self::jwt::JwtMaterial;
use self::outlet::{News, Outlet};
pub(crate) use self::reader::Reader;
use crate::change::{Cause, Change};
use crate::clock::Clock;
use crate::deny::DenyLists;
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
    outlet: Outlet,
    failure: watch::Sender<Option<Failure>>,
    /// Whether there was a first word on the JWT bundles, good or bad.
    jwt_heard: watch::Sender<bool>,
}

impl Keeper {
    pub(crate) fn new(reader: Reader, clock: Clock, origin: String, deny: DenyLists) -> Self {
        let nothing = Snapshot::nothing(0, deny.both().clone());
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
            outlet: Outlet::new(nothing, Status::starting(origin)),
            failure: watch::Sender::new(None),
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
        self.outlet.current()
    }

    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.outlet.snapshots()
    }

    pub(crate) fn status(&self) -> Status {
        self.outlet.status()
    }

    pub(crate) fn statuses(&self) -> watch::Receiver<Status> {
        self.outlet.statuses()
    }

    pub(crate) fn failures(&self) -> watch::Receiver<Option<Failure>> {
        self.failure.subscribe()
    }

    /// The changes from now on; a closed source has none.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.outlet.changes()
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
        let domain_before = held.own.trust_domain().cloned();
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
        held.other_problem = problems.first().cloned();
        let is_other_domain = held.own.trust_domain() != domain_before.as_ref();
        if let Some(jwt) = jwt {
            held.jwt_raw = jwt.bundles;
            held.jwt_feed_problem = jwt.problem;
            problems.extend(held.jwt_feed_problem.clone());
            problems.extend(self.read_jwt_bundles(&mut held));
        } else if is_other_domain {
            // Which JWT bundles count depends on whose identity this is.
            problems.extend(self.read_jwt_bundles(&mut held));
        }
        let own_problem = held.own_problem.clone();
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
        let news = self.publish(held, cause, now);
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
        observe::update(outcome, news.is_revision(), started.elapsed());
        self.outlet.tell(news);
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
        let news = self.publish(held, cause, now);
        if is_told {
            tracing::debug!(target: "spiffe_source", error = text, "still no news of SVIDs and bundles");
        } else {
            tracing::warn!(target: "spiffe_source", error = text, "no news of SVIDs and bundles");
        }
        if is_withdrawal {
            observe::withdrawal();
        }
        self.outlet.tell(news);
    }

    /// Why there would be a new revision although nothing was brought.
    fn by_the_clock(&self) -> Cause {
        if self.current().svid().is_some() {
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

    /// Counts a further attempt to get news.
    pub(crate) fn retries(&self) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.reconnects = held.reconnects.saturating_add(1);
        let news = self.publish(held, self.by_the_clock(), now);
        observe::reconnect();
        self.outlet.tell(news);
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
        // It is looked at each second, and with each question for the status.
        if held.timely(now) == held.timely {
            return;
        }
        let news = self.publish(held, self.by_the_clock(), now);
        self.outlet.tell(news);
    }

    /// Takes everything back for good, and lets go of it.
    pub(crate) fn close(&self) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.close();
        let news = self.publish(held, Cause::Closed, now);
        self.outlet.end();
        self.outlet.tell(news);
    }

    /// Hands out what is in force now.
    fn publish(&self, mut held: MutexGuard<'_, Held>, cause: Cause, now: SystemTime) -> News {
        held.timely = held.timely(now);
        self.outlet
            .publish(held.in_force(now), cause, |shown, next| {
                held.status(shown, next, self.reader.named(), now)
            })
    }
}

/// A panic while the lock was held is no reason to stop: what is held is replaced part by part, and
/// each part has been verified by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
