//! What has been brought, and what of it is in force at a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use spiffe_peer::TrustDomain;
use spiffe_verify::X509Bundle;

use super::reader::{JwtBundles, Own, X509Bundles};
use crate::change::SvidSummary;
use crate::deny::DenyLists;
use crate::snapshot::{Snapshot, Svid};
use crate::status::{BundleStatus, State, Status};

/// What has been brought and verified, whether or not it is in force now.
#[derive(Default)]
pub(super) struct Held {
    pub(super) own: Own,
    pub(super) foreign: X509Bundles,
    pub(super) jwt: JwtBundles,
    pub(super) jwt_raw: BTreeMap<TrustDomain, Vec<u8>>,
    pub(super) deny: DenyLists,
    pub(super) withdrawn: bool,
    pub(super) closed: bool,
    pub(super) own_problem: Option<String>,
    pub(super) other_problem: Option<String>,
    pub(super) jwt_problem: Option<String>,
    pub(super) jwt_feed_problem: Option<String>,
    /// Why no news can be had, and since when.
    pub(super) feed_problem: Option<(String, SystemTime)>,
    pub(super) last_update: Option<SystemTime>,
    pub(super) reconnects: u64,
    /// What depended on the time when it was looked at last.
    pub(super) timely: Timely,
}

/// What can change by the clock alone: how many of the own SVIDs have not ended, and what speaks
/// against the one in use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timely {
    svids: usize,
    unusable: Option<String>,
}

impl Held {
    /// Takes everything back that was brought, until a usable own part comes.
    pub(super) fn withdraw(&mut self, reason: String, now: SystemTime) {
        self.withdrawn = true;
        self.own = Own::default();
        self.foreign.clear();
        self.own_problem = None;
        self.other_problem = None;
        self.feed_problem = Some((reason, now));
    }

    /// Takes everything back for good: keys are wiped with the last snapshot that holds them.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.own = Own::default();
        self.foreign.clear();
        self.jwt.clear();
        self.jwt_raw.clear();
    }

    pub(super) fn timely(&self, now: SystemTime) -> Timely {
        let svids = self.own.svids.iter();
        Timely {
            svids: svids.filter(|svid| has_not_ended(svid, now)).count(),
            unusable: self.unusable(now),
        }
    }

    /// What of this is in force at a moment.
    pub(super) fn in_force(&self, now: SystemTime) -> Snapshot {
        // Without an identity there is no trust either.
        if self.closed || self.withdrawn || self.own.svids.is_empty() {
            return Snapshot::nothing(0, self.deny.both().clone());
        }
        let is_in_force = |svid: &Arc<Svid>| {
            has_not_ended(svid, now) && self.deny.both().denies(svid.verified()).is_none()
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

    pub(super) fn status<'a>(
        &self,
        before: &Status,
        next: &'a Snapshot,
        named: impl Iterator<Item = &'a TrustDomain>,
        now: SystemTime,
    ) -> Status {
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
            bundles: BundleStatus::of(next, named),
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

/// A clock that went back does not make an SVID invalid that was valid later on.
fn has_not_ended(svid: &Svid, now: SystemTime) -> bool {
    now < svid.verified().not_after()
}
