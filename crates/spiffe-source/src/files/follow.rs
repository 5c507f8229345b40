//! Looks at the files, and gives the sink what counts of them.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::content::{Content, Judged, gather};
use super::part::Part;
use super::set::{Layout, Mark};
use crate::feed::Sink;

/// How long reading the files may take before that is a problem of its own.
const HUNG_AFTER: Duration = Duration::from_secs(10);

/// How long the clock may take to mend an own part that is known to be unusable before it is noticed.
const JUDGED_EVERY: Duration = Duration::from_secs(5);

const HUNG: &str = "reading the files does not come to an end";

/// Looks at the files, round by round, and gives the sink what has come to rest.
pub(super) struct Follower {
    layout: Arc<Layout>,
    pub(super) hung_after: Duration,
    /// In the order of [`Layout::places`]: the own part is the first.
    parts: Vec<Part>,
    /// Why there is no news, where the sink was told so last.
    told: Option<String>,
    has_brought: bool,
    warned_of: Vec<String>,
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// In a moment: something is going on.
    Soon,
    /// When it is time to, or when somebody asks for it.
    Later,
}

struct Look {
    parts: Vec<(Mark, Option<Judged>)>,
    /// What is wrong with the own part that counts, where that was judged again.
    own_problem: Option<Option<String>>,
    warnings: Vec<String>,
    unreadable: Option<String>,
}

impl Follower {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        let parts = layout.places().map(Judged::restless).map(Part::new);
        Self {
            parts: parts.collect(),
            layout,
            hung_after: HUNG_AFTER,
            told: None,
            has_brought: false,
            warned_of: Vec::new(),
        }
    }

    /// Looks once, and gives what has come to count by it.
    pub(super) async fn round(&mut self, sink: &Sink) -> Next {
        let look = self.look(sink).await;
        self.warn(look.warnings);
        let now = Instant::now();
        for (part, (mark, judged)) in self.parts.iter_mut().zip(look.parts) {
            part.see(mark, judged, now);
        }
        if let Some(problem) = look.unreadable {
            return self.keep_everything(&problem, now, sink);
        }
        let mut is_new = false;
        for part in &mut self.parts {
            is_new |= part.settle(now);
        }
        if let (Some(own), Some(problem)) = (self.parts.first_mut(), look.own_problem) {
            is_new |= own.judge_again(problem, now);
        }
        let is_at_rest = self.parts.iter().all(Part::is_at_rest);
        if is_new || (is_at_rest && self.told.is_some()) {
            self.give(sink);
        }
        if is_at_rest { Next::Later } else { Next::Soon }
    }

    /// Where no file can be read at all nothing changes but the status.
    fn keep_everything(&mut self, problem: &str, now: Instant, sink: &Sink) -> Next {
        let is_first = self.parts.iter().all(|part| part.counted().is_none());
        let is_meant = |part: &Part| {
            part.is_restless(now) || (part.is_settled() && (is_first || part.has_lasted(now)))
        };
        if !self.parts.iter().all(is_meant) {
            return Next::Soon;
        }
        self.parts.iter_mut().for_each(Part::forget_changes);
        self.tell(problem, sink);
        Next::Later
    }

    /// Reads the files, parses what has changed and verifies it, all where that may take its time.
    async fn look(&mut self, sink: &Sink) -> Look {
        let unjudged: Vec<_> = self.parts.iter().map(Part::unjudged).collect();
        let broken_own = self.broken_own();
        let (layout, judge) = (self.layout.clone(), sink.clone());
        let mut look = spawn_blocking(move || {
            let set = layout.read();
            let parts = layout.places().zip(set.parts).zip(unjudged);
            let parts = parts.map(|((place, raw), unjudged)| {
                let mark = raw.mark();
                let judged = (unjudged.as_ref() == Some(&mark))
                    .then(|| Judged::new(mark.clone(), Content::of(place, raw), &judge));
                (mark, judged)
            });
            Look {
                parts: parts.collect(),
                own_problem: broken_own.map(|own| own.problem(&judge)),
                warnings: set.warnings,
                unreadable: set.unreadable,
            }
        });
        if let Ok(look) = timeout(self.hung_after, finished(&mut look)).await {
            return look;
        }
        // There is never a second one beside it: threads that hang must not pile up.
        self.tell(HUNG, sink);
        finished(&mut look).await
    }

    /// An own part that counts and is unusable, when it is time to judge it again.
    fn broken_own(&self) -> Option<Arc<Content>> {
        let own = self.parts.first()?.counted()?;
        let is_due = own.problem.is_some() && own.at.elapsed() >= JUDGED_EVERY;
        is_due.then(|| own.content.clone())
    }

    /// Says once why there is no news. What counts is given again when there can be some.
    fn tell(&mut self, problem: &str, sink: &Sink) {
        if self.told.as_deref() != Some(problem) {
            self.told = Some(problem.to_owned());
            sink.failed(problem);
        }
    }

    fn warn(&mut self, warnings: Vec<String>) {
        for problem in &warnings {
            if !self.warned_of.contains(problem) {
                tracing::warn!(target: "spiffe_source", problem, "a file is not well kept");
            }
        }
        self.warned_of = warnings;
    }

    /// Gives all that counts, as soon as something of each part does.
    fn give(&mut self, sink: &Sink) {
        let counted: Option<Vec<_>> = self.parts.iter().map(Part::counted).collect();
        let Some(counted) = counted else {
            return;
        };
        self.told = None;
        let unread = counted.first().and_then(|own| own.mark.problem());
        if let Some(problem) = unread.filter(|_| !self.has_brought) {
            return sink.failed(problem);
        }
        self.has_brought = true;
        let (material, jwt) = gather(counted.iter().map(|judged| &*judged.content));
        if self.layout.jwt.is_empty() {
            sink.update(&material);
        } else {
            sink.update_all(&material, jwt);
        }
    }
}

async fn finished(look: &mut JoinHandle<Look>) -> Look {
    match look.await.map_err(JoinError::try_into_panic) {
        Ok(look) => look,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime is ending, and this future with it.
        Err(Err(_)) => pending().await,
    }
}
