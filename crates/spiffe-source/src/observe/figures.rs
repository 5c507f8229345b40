//! The figures, through the `metrics` facade. Their names are those of the crate's documentation.

use std::time::{Duration, SystemTime};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::change::Change;
use crate::snapshot::Snapshot;
use crate::status::State;

/// Names every figure, and begins every counter at zero: an alert on an increase sees no first event
/// of a counter that begins with it.
pub(super) fn begin() {
    describe_gauge!(
        "spiffe_svid_expiry_timestamp_seconds",
        Unit::Seconds,
        "When the own SVID ends; 0 without one"
    );
    describe_gauge!(
        "spiffe_bundle_expiry_timestamp_seconds",
        Unit::Seconds,
        "When the last authority of a trust domain ends; 0 where it has none"
    );
    describe_gauge!("spiffe_source_state", "1 for the state that holds");
    describe_counter!(
        "spiffe_svid_updates_total",
        "Updates by what became of them"
    );
    describe_counter!(
        "spiffe_svid_rotations_total",
        "How often one own SVID has followed another"
    );
    describe_counter!(
        "spiffe_source_reconnects_total",
        "Further attempts to get news"
    );
    describe_counter!(
        "spiffe_source_withdrawals_total",
        "How often the identity was taken back"
    );
    describe_histogram!(
        "spiffe_svid_update_duration_seconds",
        Unit::Seconds,
        "Verifying and applying an update"
    );
    describe_histogram!(
        "spiffe_workload_api_answer_seconds",
        Unit::Seconds,
        "The first answer on a stream of the agent"
    );
    describe_counter!(
        "spiffe_jwt_svid_fetches_total",
        "Questions for a JWT-SVID by what became of them"
    );
    for result in ["applied", "partial", "refused", "unchanged"] {
        counter!("spiffe_svid_updates_total", "result" => result).increment(0);
    }
    counter!("spiffe_svid_rotations_total").increment(0);
    counter!("spiffe_source_reconnects_total").increment(0);
    counter!("spiffe_source_withdrawals_total").increment(0);
    gauge!("spiffe_svid_expiry_timestamp_seconds").set(0.0);
}

/// A trust domain that is named, until there is a bundle of it.
pub(super) fn named(trust_domain: String) {
    gauge!("spiffe_bundle_expiry_timestamp_seconds", "trust_domain" => trust_domain).set(0.0);
}

pub(super) fn update(result: &'static str, took: Duration) {
    counter!("spiffe_svid_updates_total", "result" => result).increment(1);
    histogram!("spiffe_svid_update_duration_seconds").record(took.as_secs_f64());
}

pub(super) fn answered(after: Duration) {
    histogram!("spiffe_workload_api_answer_seconds").record(after.as_secs_f64());
}

pub(super) fn reconnect() {
    counter!("spiffe_source_reconnects_total").increment(1);
}

pub(super) fn withdrawal() {
    counter!("spiffe_source_withdrawals_total").increment(1);
}

pub(super) fn state(state: State) {
    for each in State::ALL {
        let holds = if each == state { 1.0 } else { 0.0 };
        gauge!("spiffe_source_state", "state" => each.as_str()).set(holds);
    }
}

/// The label is a trust domain that the operator has named, so that there are no more of them than
/// are configured. A domain that is no longer trusted shows zero.
pub(super) fn revision(change: &Change, before: &Snapshot, snapshot: &Snapshot) {
    if change.is_rotation() && change.before().is_some() && change.after().is_some() {
        counter!("spiffe_svid_rotations_total").increment(1);
    }
    // Of what is in force now, since two changes may be told at once.
    gauge!("spiffe_svid_expiry_timestamp_seconds").set(timestamp(snapshot.not_after()));
    for bundle in before.bundles().chain(snapshot.bundles()) {
        let domain = bundle.trust_domain();
        let end = snapshot.bundle(domain).map(|bundle| bundle.not_after());
        gauge!("spiffe_bundle_expiry_timestamp_seconds", "trust_domain" => domain.to_string())
            .set(timestamp(end));
    }
}

pub(super) fn jwt_svid(result: &'static str) {
    counter!("spiffe_jwt_svid_fetches_total", "result" => result).increment(1);
}

pub(super) fn jwt_svids_held(count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    gauge!("spiffe_jwt_svids_held").set(count);
}

pub(super) fn deny_list(entries: usize, file_is_stale: Option<bool>) {
    gauge!("spiffe_deny_list_entries").set(u32::try_from(entries).unwrap_or(u32::MAX));
    if let Some(is_stale) = file_is_stale {
        gauge!("spiffe_deny_file_stale").set(if is_stale { 1.0 } else { 0.0 });
    }
}

fn timestamp(time: Option<SystemTime>) -> f64 {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0.0, |since| since.as_secs_f64())
}
