//! When what a part of the set holds counts.

use std::time::Duration;

use tokio::time::Instant;

use super::content::Judged;
use super::set::Mark;

/// How long something doubtful may be the trace of a writer who is not done.
const GRACE: Duration = Duration::from_secs(2);

/// After how long, and how many changes, a part is one that never comes to rest.
const RESTLESS_AFTER: Duration = Duration::from_secs(10);
const RESTLESS_CHANGES: u32 = 10;

/// What one part has held so far. The parts come to rest one by one: a foreign bundle that is being
/// written never keeps the own SVID from its rotation.
pub(super) struct Part {
    /// What counts in the place of a part that never comes to rest.
    restless: Judged,
    last: Option<Sighting>,
    counted: Option<Judged>,
    /// Since when it has held something else than what counts, and how often that changed.
    differs_since: Option<Instant>,
    changes: u32,
}

/// What the last look has shown.
struct Sighting {
    mark: Mark,
    /// When a look has shown it first.
    since: Instant,
    /// Whether a second look has shown the same.
    is_settled: bool,
    judged: Option<Judged>,
}

impl Part {
    pub(super) fn new(restless: Judged) -> Self {
        Self {
            restless,
            last: None,
            counted: None,
            differs_since: None,
            changes: 0,
        }
    }

    /// What has to be judged by the next look, should that show it again.
    pub(super) fn unjudged(&self) -> Option<Mark> {
        let last = self.last.as_ref().filter(|last| last.judged.is_none())?;
        (!self.is_at_rest()).then(|| last.mark.clone())
    }

    pub(super) fn see(&mut self, mark: Mark, judged: Option<Judged>, now: Instant) {
        match &mut self.last {
            Some(last) if last.mark == mark => {
                last.is_settled = true;
                last.judged = judged.or_else(|| last.judged.take());
            }
            last => {
                *last = Some(Sighting {
                    mark,
                    since: now,
                    is_settled: false,
                    judged: None,
                });
                self.changes = self.changes.saturating_add(1);
            }
        }
        if self.is_at_rest() {
            self.forget_changes();
        } else {
            self.differs_since.get_or_insert(now);
        }
    }

    /// Lets count what has come to rest, and answers whether that is something new. What is broken,
    /// or has lost an authority, may be a file of which the rest is still to be written: it has to
    /// stay so for a while, unless it never stays. The first that is there counts at once, since
    /// there is nothing that it could harm.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let is_restless = self.is_restless(now);
        let Some(last) = self.last.as_ref().filter(|_| !self.is_at_rest()) else {
            return false;
        };
        let next = match &last.judged {
            Some(judged) if last.is_settled => {
                if self.is_doubtful(judged) && !is_restless && !self.has_lasted(now) {
                    return false;
                }
                judged
            }
            _ if is_restless => &self.restless,
            _ => return false,
        };
        let is_new = self.counted.as_ref().map(|counted| &counted.mark) != Some(&next.mark);
        self.counted = Some(next.clone());
        self.forget_changes();
        is_new
    }

    fn is_doubtful(&self, judged: &Judged) -> bool {
        self.counted.as_ref().is_some_and(|counted| {
            judged.problem.is_some() || judged.loses_an_authority_of(counted)
        })
    }

    /// Whether it goes on changing.
    pub(super) fn is_restless(&self, now: Instant) -> bool {
        let has_lasted = |since| now.duration_since(since) >= RESTLESS_AFTER;
        self.changes >= RESTLESS_CHANGES && self.differs_since.is_some_and(has_lasted)
    }

    /// Whether what is there now has been there for long enough to be meant.
    pub(super) fn has_lasted(&self, now: Instant) -> bool {
        let has_lasted = |last: &Sighting| now.duration_since(last.since) >= GRACE;
        self.last.as_ref().is_some_and(has_lasted)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.is_settled)
    }

    /// Whether what is there is what counts.
    pub(super) fn is_at_rest(&self) -> bool {
        let mark = self.last.as_ref().map(|last| &last.mark);
        mark.is_some() && mark == self.counted.as_ref().map(|counted| &counted.mark)
    }

    pub(super) fn counted(&self) -> Option<&Judged> {
        self.counted.as_ref()
    }

    /// What counts was judged once more. Answers whether that is something new.
    pub(super) fn judge_again(&mut self, problem: Option<String>, now: Instant) -> bool {
        let Some(counted) = &mut self.counted else {
            return false;
        };
        counted.at = now;
        let is_new = counted.problem != problem;
        counted.problem = problem;
        is_new
    }

    pub(super) fn forget_changes(&mut self) {
        self.differs_since = None;
        self.changes = 0;
    }
}
