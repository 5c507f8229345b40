use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::list::DenyList;
use super::text;
use crate::bounded_file::{self, Contents};

/// How long a change of the file may go unseen.
const POLL: Duration = Duration::from_millis(500);

/// How long after a look that shows something new the next one follows: as long as somebody who
/// writes the file in place may take a rest.
const GAP: Duration = Duration::from_millis(100);

/// How long the file may show something else at each look.
const RESTLESS: Duration = Duration::from_secs(2);

/// How long a disk may take to give the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Room for the most entries that a list has, each a digest with colons and a comment.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The permission to write for everybody.
const WRITABLE_BY_ALL: u32 = 0o002;

/// A deny-list in a file that is read again and again. What counts is what the file holds, not when
/// it was written or by which links it is reached. It is believed once two looks in a row show the
/// same, so that nobody takes a file that is just being written for a list.
pub(crate) struct DenyFile {
    path: Arc<Path>,
    /// What was believed last; none where that was not all there is to tell.
    known: Option<Look>,
    problem: Option<String>,
}

/// What a look at the file shows.
type Look = Result<Arc<Contents>, String>;

/// A list as it was prepared.
struct Read<P> {
    list: P,
    entries: usize,
}

impl DenyFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// Why there is no list in it: its path and the line.
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, DenyList), String> {
        let mut file = Self {
            path: path.into(),
            known: None,
            problem: None,
        };
        let opened = async {
            let look = file.first_look().await;
            let read = file.read(&look, |list| list).await;
            (look, read)
        };
        let opened = timeout(PATIENCE, opened).await;
        let (look, read) = opened.map_err(|_| file.too_slow())?;
        file.known = Some(look);
        read.map(|Read { list, .. }| (file, list))
    }

    async fn first_look(&self) -> Look {
        let begun = Instant::now();
        let mut last = finished(self.look().await);
        while begun.elapsed() < RESTLESS {
            sleep(GAP).await;
            let look = finished(self.look().await);
            if are_alike(&last, &look) {
                return look;
            }
            last = look;
        }
        Err(self.too_restless())
    }

    /// Reads the file for ever, and tells each new list and each new problem. A list is prepared
    /// beside the runtime's workers, since it may be long. What panics when it is told is told again.
    pub(crate) async fn watch<P: Send + 'static>(
        mut self,
        prepare: impl Fn(DenyList) -> P + Clone + Send + 'static,
        tell: impl Fn(Result<P, String>),
    ) {
        loop {
            let following = AssertUnwindSafe(self.follow(&prepare, &tell));
            let Err(_) = following.catch_unwind().await;
            // What writes logs may be what has panicked.
            let _ = catch_unwind(|| {
                tracing::error!(target: "spiffe_source", "what a change of the deny-list calls has panicked, and is called again");
            });
        }
    }

    async fn follow<P: Send + 'static>(
        &mut self,
        prepare: &(impl Fn(DenyList) -> P + Clone + Send + 'static),
        tell: &impl Fn(Result<P, String>),
    ) -> Infallible {
        let mut last: Option<Look> = None;
        let mut restless_since = None;
        let mut pause = POLL;
        loop {
            sleep(pause).await;
            let look = self.look_patiently(tell).await;
            let is = |other: &Option<Look>| other.as_ref().is_some_and(|it| are_alike(it, &look));
            let is_known = is(&self.known);
            if is_known || is(&last) {
                if !is_known {
                    let read = self.read(&look, prepare.clone()).await;
                    self.believe(look, read, tell);
                }
                (last, restless_since, pause) = (None, None, POLL);
                continue;
            }
            (last, pause) = (Some(look), GAP);
            if restless_since.get_or_insert_with(Instant::now).elapsed() >= RESTLESS {
                self.refuse(self.too_restless(), tell);
            }
        }
    }

    fn look(&self) -> JoinHandle<Look> {
        let path = self.path.clone();
        spawn_blocking(move || {
            let contents = bounded_file::read(&path, MAX_BYTES);
            contents.map(Arc::new).map_err(problem)
        })
    }

    async fn look_patiently<P>(&mut self, tell: &impl Fn(Result<P, String>)) -> Look {
        let mut looking = self.look();
        match timeout(PATIENCE, &mut looking).await {
            Ok(looked) => finished(looked),
            Err(_) => {
                self.refuse(self.too_slow(), tell);
                // One reader that hangs is enough.
                finished(looking.await)
            }
        }
    }

    async fn read<P: Send + 'static>(
        &self,
        look: &Look,
        prepare: impl FnOnce(DenyList) -> P + Send + 'static,
    ) -> Result<Read<P>, String> {
        let contents = look.clone()?;
        let path = self.path.clone();
        let reading = spawn_blocking(move || {
            let path = path.display();
            if contents.mode & WRITABLE_BY_ALL != 0 {
                let mode = contents.mode;
                return Err(format!(
                    "{path} can be written by everybody (mode {mode:04o}): anybody could lift a denial"
                ));
            }
            let list = text::parse(&contents.bytes).map_err(|why| format!("{path}, {why}"))?;
            let entries = list.len();
            let list = prepare(list);
            Ok(Read { list, entries })
        });
        let read = reading.await;
        read.unwrap_or_else(|error| Err(io::Error::from(error).to_string()))
            .map_err(problem)
    }

    fn believe<P>(
        &mut self,
        look: Look,
        read: Result<Read<P>, String>,
        tell: impl Fn(Result<P, String>),
    ) {
        match read {
            Ok(Read { list, entries }) => {
                tell(Ok(list));
                self.problem = None;
                self.known = Some(look);
                tracing::info!(target: "spiffe_source", path = %self.path.display(), entries, "the deny-list was read");
            }
            Err(problem) => {
                self.refuse(problem, tell);
                self.known = Some(look);
            }
        }
    }

    /// Tells a problem once. Whatever the file holds afterwards is news.
    fn refuse<P>(&mut self, problem: String, tell: impl Fn(Result<P, String>)) {
        self.known = None;
        if self.problem.as_ref() != Some(&problem) {
            tell(Err(problem.clone()));
            self.problem = Some(problem);
            tracing::warn!(target: "spiffe_source", problem = self.problem, "the deny-list cannot be read: the last good one stays in force");
        }
    }

    fn too_slow(&self) -> String {
        let path = self.path.display();
        format!("the deny-list {path} has not been read within {PATIENCE:?}")
    }

    fn too_restless(&self) -> String {
        let path = self.path.display();
        format!(
            "the deny-list {path} changes all the time: write a new one beside it and rename it"
        )
    }
}

impl fmt::Debug for DenyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenyFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whether two looks show the same.
fn are_alike(one: &Look, other: &Look) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.mode == other.mode && *one.bytes == *other.bytes,
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

fn problem(why: String) -> String {
    format!("the deny-list {why}")
}

fn finished(looked: Result<Look, JoinError>) -> Look {
    looked.unwrap_or_else(|error| Err(problem(io::Error::from(error).to_string())))
}
