//! The JWT bundles, which may come by themselves.

use std::collections::BTreeMap;

use spiffe_peer::TrustDomain;

use super::held::Held;
use super::{Keeper, lock};
use crate::change::Cause;

/// The JWK Sets that a feed has, by trust domain, and why one that should be here is not.
pub(crate) struct JwtMaterial {
    pub(crate) bundles: BTreeMap<TrustDomain, Vec<u8>>,
    pub(crate) problem: Option<String>,
}

impl Keeper {
    /// Applies the full set of JWT bundles.
    pub(crate) fn update_jwt_bundles(&self, raw: BTreeMap<TrustDomain, Vec<u8>>) -> bool {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        held.jwt_raw = raw;
        held.jwt_feed_problem = None;
        let problems = self.read_jwt_bundles(&mut held);
        let news = self.publish(held, Cause::Update, now);
        self.jwt_heard.send_replace(true);
        for problem in &problems {
            tracing::warn!(target: "spiffe_source", problem, "a part of an update cannot be used");
        }
        self.outlet.tell(news);
        problems.is_empty()
    }

    pub(super) fn read_jwt_bundles(&self, held: &mut Held) -> Vec<String> {
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

    /// Notes a problem that the own SVIDs outlive.
    pub(crate) fn mention(&self, problem: String) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        let is_told = held.jwt_feed_problem.as_ref() == Some(&problem);
        held.jwt_feed_problem = Some(problem.clone());
        let news = self.publish(held, self.by_the_clock(), now);
        self.jwt_heard.send_replace(true);
        if is_told {
            tracing::debug!(target: "spiffe_source", problem, "still no news of JWT bundles");
        } else {
            tracing::warn!(target: "spiffe_source", problem, "no news of JWT bundles");
        }
        self.outlet.tell(news);
    }

    /// Waits for the first word on the JWT bundles.
    pub(crate) async fn jwt_heard(&self) {
        // The sender lives as long as this does.
        let _ = self.jwt_heard.subscribe().wait_for(|heard| *heard).await;
    }
}
