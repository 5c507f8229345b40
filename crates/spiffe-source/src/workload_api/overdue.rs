use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::feed::Sink;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How soon the agent is asked anew, at the earliest; sooner only where an SVID lives but a minute.
const SOONEST: Duration = Duration::from_secs(10);

/// Notices that a stream which looks alive has not brought what it should have: an SVID is rotated
/// at about half of its life, so after two thirds of it something is wrong. The same where an answer
/// could not be used: perhaps the clock of this host was wrong just then. To ask anew is right in
/// both cases, since every request is answered with the full set (SPIFFE Workload API, section 4.3).
#[derive(Default)]
pub(super) struct Overdue {
    unusable: u32,
    due: Option<Due>,
}

/// A moment by both clocks: the one may jump, the other may stand still while the host sleeps.
#[derive(Clone, Copy)]
struct Due(SystemTime, Instant);

impl Overdue {
    /// The agent has answered, usably or not: says when to ask anew.
    pub(super) fn answered(&mut self, sink: &Sink, is_usable: bool) {
        let now = sink.keeper().now();
        let wait = if is_usable {
            self.unusable = 0;
            self.until_overdue(sink, now)
        } else {
            self.unusable = self.unusable.saturating_add(1);
            SOONEST * (1 << self.unusable.min(5))
        };
        self.due = Some(Due(now + wait, Instant::now() + wait));
    }

    /// How long until the SVID in force is overdue; where it is already, half of what is left.
    fn until_overdue(&self, sink: &Sink, now: SystemTime) -> Duration {
        let snapshot = sink.keeper().current();
        let Some(svid) = snapshot.svid().map(|svid| svid.verified()) else {
            return SOONEST;
        };
        let (start, end) = (svid.not_before(), svid.not_after());
        let life = end.duration_since(start).unwrap_or_default();
        let from_now = |moment: SystemTime| moment.duration_since(now).unwrap_or_default();
        let overdue = from_now(start + life / 3 * 2);
        overdue.max(from_now(end) / 2).max(SOONEST.min(life / 6))
    }

    /// Waits until it is time to ask anew.
    pub(super) async fn passed(&self, sink: &Sink) {
        while self
            .due
            .is_none_or(|Due(wall, steady)| sink.keeper().now() < wall && Instant::now() < steady)
        {
            sleep(TICK).await;
        }
    }
}
