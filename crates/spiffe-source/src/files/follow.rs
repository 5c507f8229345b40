//! When what the files hold is given to the sink.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::set::{Brought, Lacks, Layout, Seen};
use crate::feed::Sink;

/// How long a broken set may be the trace of a writer who is not done.
const GRACE: Duration = Duration::from_secs(2);

/// How long reading the files may take before that is a problem of its own.
const HUNG_AFTER: Duration = Duration::from_secs(10);

const CHANGING: &str = "the files change all the time";
const HUNG: &str = "reading the files does not come to an end";

/// Looks at the files, round by round, and gives the sink what has come to rest.
pub(super) struct Follower {
    layout: Arc<Layout>,
    pub(super) hung_after: Duration,
    /// What the last round saw.
    last: Option<Seen>,
    given: Given,
    /// Since when the files hold something else than what was given.
    pub(super) differs_since: Option<Instant>,
    has_brought: bool,
    warned_of: Option<String>,
}

/// What the sink was given last, and what it was told of it.
#[derive(Default)]
struct Given {
    seen: Option<Seen>,
    problem: Option<String>,
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
    seen: Seen,
    /// What was seen, where the last round saw the same and it may have to be given.
    brought: Option<Brought>,
}

impl Follower {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            hung_after: HUNG_AFTER,
            last: None,
            given: Given::default(),
            differs_since: None,
            has_brought: false,
            warned_of: None,
        }
    }

    /// Looks once. What differs from before has to be seen in two rounds alike, so that a set that is
    /// just being written is not taken for one; what cannot be put in force in full has to stay so
    /// for a while. The first set is given at once, since there is nothing that it could harm.
    pub(super) async fn round(&mut self, sink: &Sink) -> Next {
        let Look { seen, brought } = self.look(sink).await;
        self.last = Some(seen.clone());
        if self.given.is_good(&seen) {
            self.differs_since = None;
            return Next::Later;
        }
        let Some(brought) = brought else {
            if self.is_overdue() {
                self.tell(sink, CHANGING);
            }
            return Next::Soon;
        };
        let problem = problem(&brought, sink);
        let is_known = self.given.seen.as_ref() == Some(&seen);
        if is_known && self.given.problem == problem {
            self.differs_since = None;
            return Next::Later;
        }
        let is_first = self.given.seen.is_none();
        if problem.is_some() && !is_first && !is_known && !self.is_overdue() {
            return Next::Soon;
        }
        self.give(brought, sink);
        self.given = Given {
            seen: Some(seen),
            problem,
        };
        self.differs_since = None;
        Next::Later
    }

    fn is_overdue(&mut self) -> bool {
        let since = self.differs_since.get_or_insert_with(Instant::now);
        since.elapsed() >= GRACE
    }

    async fn look(&mut self, sink: &Sink) -> Look {
        let layout = self.layout.clone();
        let is_good = |seen: &Seen| self.given.is_good(seen);
        let wanted = self.last.clone().filter(|seen| !is_good(seen));
        let mut look = spawn_blocking(move || {
            let set = layout.read();
            let seen = set.seen();
            let brought = (wanted.as_ref() == Some(&seen)).then(|| layout.bring(set));
            Look { seen, brought }
        });
        if let Ok(look) = timeout(self.hung_after, finished(&mut look)).await {
            return look;
        }
        // There is never a second one beside it: threads that hang must not pile up.
        self.tell(sink, HUNG);
        finished(&mut look).await
    }

    /// Says once why there is no news. The next set that can be had is given, though it be the old.
    fn tell(&mut self, sink: &Sink, problem: &str) {
        if self.given.problem.as_deref() != Some(problem) {
            self.given.problem = Some(problem.to_owned());
            sink.failed(problem);
        }
    }

    fn give(&mut self, brought: Brought, sink: &Sink) {
        if brought.warning.is_some() && brought.warning != self.warned_of {
            self.warned_of = brought.warning;
            tracing::warn!(target: "spiffe_source", problem = self.warned_of, "the private key is not well kept");
        }
        match brought.lacks {
            Lacks::Everything(problem) => return sink.failed(problem),
            Lacks::Own(problem) if !self.has_brought => return sink.failed(problem),
            _ => self.has_brought = true,
        }
        if !self.layout.jwt.is_empty() {
            sink.update_jwt_bundles(brought.jwt_bundles);
            if let Some(problem) = brought.jwt_problem {
                sink.mention(problem);
            }
        }
        sink.update(&brought.material);
    }
}

impl Given {
    fn is_good(&self, seen: &Seen) -> bool {
        self.problem.is_none() && self.seen.as_ref() == Some(seen)
    }
}

/// Why not all of this can be put in force.
fn problem(brought: &Brought, sink: &Sink) -> Option<String> {
    match &brought.lacks {
        Lacks::Everything(problem) => Some(problem.clone()),
        _ => sink
            .problem_with(&brought.material)
            .or_else(|| brought.jwt_problem.clone()),
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
