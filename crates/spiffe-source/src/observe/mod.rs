//! What is told to the outside when something happens: events for `tracing` and, with the feature
//! `metrics`, figures.

use std::time::{Duration, SystemTime};

use spiffe_peer::{SpiffeId, TrustDomain};

use crate::change::Change;
use crate::jwt::JwtSvidError;
use crate::snapshot::Snapshot;
use crate::status::State;

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it is in force.
    Applied,
    /// The own part is in force, some other part cannot be used.
    Partial,
    /// The own part cannot be used.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Partial => "partial",
            Self::Refused => "refused",
        }
    }
}

/// A source begins, which trusts these domains beside its own.
pub(crate) fn begin<'a>(_named: impl Iterator<Item = &'a TrustDomain>) {
    #[cfg(feature = "metrics")]
    {
        figures::begin();
        _named.for_each(|domain| figures::named(domain.to_string()));
        figures::state(State::Starting);
    }
}

/// An update has been verified and applied, which took this long.
pub(crate) fn update(outcome: Outcome, is_new: bool, took: Duration) {
    let result = match (outcome, is_new) {
        (Outcome::Applied, false) => "unchanged",
        (outcome, _) => outcome.as_str(),
    };
    tracing::debug!(target: "spiffe_source", result, ?took, "update");
    #[cfg(feature = "metrics")]
    figures::update(result, took);
}

pub(crate) fn revision(change: &Change, before: &Snapshot, snapshot: &Snapshot) {
    #[cfg(not(feature = "metrics"))]
    let _ = before;
    tracing::info!(
        target: "spiffe_source",
        revision = change.revision(),
        cause = change.cause().as_str(),
        spiffe_id = change.after().map(|svid| svid.spiffe_id()),
        old_serial = change.before().map(|svid| svid.serial()),
        new_serial = change.after().map(|svid| svid.serial()),
        not_after = change
            .after()
            .map(|svid| humantime::format_rfc3339_seconds(svid.not_after()).to_string()),
        trust_domains = snapshot.bundles().len(),
        "new revision"
    );
    #[cfg(feature = "metrics")]
    figures::revision(change, before, snapshot);
}

pub(crate) fn state(state: State) {
    tracing::info!(target: "spiffe_source", %state, "state");
    #[cfg(feature = "metrics")]
    figures::state(state);
}

/// How many entries are in force, and whether the file says something else; none without a file.
pub(crate) fn deny_list(_entries: usize, _file_is_stale: Option<bool>) {
    #[cfg(feature = "metrics")]
    figures::deny_list(_entries, _file_is_stale);
}

pub(crate) fn reconnect() {
    #[cfg(feature = "metrics")]
    figures::reconnect();
}

pub(crate) fn withdrawal() {
    #[cfg(feature = "metrics")]
    figures::withdrawal();
}

/// The time from asking for SVIDs to the first answer.
pub(crate) fn answered(_after: Duration) {
    #[cfg(feature = "metrics")]
    figures::answered(_after);
}

pub(crate) fn jwt_svid_fetched(id: &SpiffeId, until: SystemTime) {
    tracing::debug!(target: "spiffe_source", spiffe_id = %id, ?until, "a JWT-SVID was fetched");
    #[cfg(feature = "metrics")]
    figures::jwt_svid("fetched");
}

/// The result is one of a few words.
pub(crate) fn jwt_svid_missing(id: &SpiffeId, result: &'static str, error: &JwtSvidError) {
    tracing::warn!(target: "spiffe_source", spiffe_id = %id, result, %error, "no JWT-SVID was fetched");
    #[cfg(feature = "metrics")]
    figures::jwt_svid(result);
}

/// Counting is left to those who want to know.
pub(crate) fn jwt_svids_held(_count: impl FnOnce() -> usize) {
    #[cfg(feature = "metrics")]
    figures::jwt_svids_held(_count());
}

#[cfg(feature = "metrics")]
mod figures;
