use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::feed::Sink;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How soon an SVID that is overdue is asked for again, at the earliest.
const SOONEST: Duration = Duration::from_secs(10);

/// Notices that a stream which looks alive has not brought what it should have: an SVID is rotated
/// at about half of its life, so after two thirds of it something is wrong. To ask anew is right
/// then, since every request is answered with the full set (SPIFFE Workload API, section 4.3).
#[derive(Default)]
pub(super) struct Overdue {
    serial: Option<String>,
    due: Option<SystemTime>,
}

impl Overdue {
    /// The agent has answered: says when to ask anew.
    pub(super) fn answered(&mut self, sink: &Sink) {
        let now = sink.keeper().now();
        let snapshot = sink.keeper().snapshots().borrow().clone();
        let svid = snapshot.svid().map(|svid| svid.verified());
        let serial = svid.map(|svid| svid.serial().to_owned());
        let (start, end) = svid.map_or((now, now), |svid| (svid.not_before(), svid.not_after()));
        let life = end.duration_since(start).unwrap_or_default();
        let left = end.duration_since(now).unwrap_or_default();
        let is_new = serial.is_some() && serial != self.serial;
        let due = if is_new {
            start + life / 3 * 2
        } else {
            now + left / 2
        };
        self.due = Some(due.max(now + SOONEST));
        self.serial = serial;
    }

    /// Waits until it is time to ask anew.
    pub(super) async fn passed(&self, sink: &Sink) {
        while self.due.is_none_or(|due| sink.keeper().now() < due) {
            sleep(TICK).await;
        }
    }
}
