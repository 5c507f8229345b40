use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::list::DenyList;
use super::text;
use crate::bounded_file;

/// How long a change of the file may go unseen.
const POLL: Duration = Duration::from_millis(500);

/// How long a disk may take to give the file.
const PATIENCE: Duration = Duration::from_secs(10);

const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A deny-list in a file that is read again and again. What counts is what the file holds, not when
/// it was written or by which links it is reached.
#[derive(Debug)]
pub(crate) struct DenyFile {
    path: Arc<Path>,
    /// What it held when it was read last.
    seen: Option<Arc<[u8]>>,
    problem: Option<String>,
}

/// What a look at the file shows; none where it holds what was seen before.
type Look = Result<Option<(Arc<[u8]>, Result<DenyList, String>)>, String>;

impl DenyFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// Why there is no list in it: its path and the line.
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, DenyList), String> {
        let mut file = Self {
            path: path.into(),
            seen: None,
            problem: None,
        };
        let looked = timeout(PATIENCE, file.look()).await;
        let look = looked.map_or_else(|_| Err(file.too_slow()), finished);
        let (seen, list) = look?.ok_or_else(|| file.too_slow())?;
        file.seen = Some(seen);
        Ok((file, list?))
    }

    /// Reads the file for ever, and tells each new list and each new problem.
    pub(crate) async fn watch(mut self, tell: impl Fn(Result<DenyList, String>)) {
        loop {
            sleep(POLL).await;
            let mut looking = self.look();
            let look = match timeout(PATIENCE, &mut looking).await {
                Ok(looked) => finished(looked),
                Err(_) => {
                    self.refuse(self.too_slow(), &tell);
                    // One reader that hangs is enough.
                    let _ = looking.await;
                    continue;
                }
            };
            match look {
                Ok(None) => {}
                Ok(Some((seen, Ok(list)))) => {
                    self.seen = Some(seen);
                    self.problem = None;
                    let (path, entries) = (self.path.display(), list.len());
                    tracing::info!(target: "spiffe_source", %path, entries, "the deny-list was read");
                    tell(Ok(list));
                }
                Ok(Some((seen, Err(problem)))) => {
                    self.refuse(problem, &tell);
                    self.seen = Some(seen);
                }
                Err(problem) => self.refuse(problem, &tell),
            }
        }
    }

    fn look(&self) -> JoinHandle<Look> {
        let (path, seen) = (self.path.clone(), self.seen.clone());
        spawn_blocking(move || look(&path, seen.as_deref()))
    }

    /// Tells a problem once. Whatever the file holds afterwards is news.
    fn refuse(&mut self, problem: String, tell: impl Fn(Result<DenyList, String>)) {
        self.seen = None;
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(target: "spiffe_source", problem, "the deny-list cannot be read: the last good one stays in force");
            self.problem = Some(problem.clone());
            tell(Err(problem));
        }
    }

    fn too_slow(&self) -> String {
        let path = self.path.display();
        format!("the deny-list {path} has not been read within {PATIENCE:?}")
    }
}

fn look(path: &Path, seen: Option<&[u8]>) -> Look {
    let problem = |why: String| format!("the deny-list {why}");
    let bytes = bounded_file::read(path, MAX_BYTES).map_err(problem)?.bytes;
    if seen == Some(&*bytes) {
        return Ok(None);
    }
    let list = text::parse(&bytes).map_err(|why| problem(format!("{}, {why}", path.display())));
    Ok(Some((bytes.into(), list)))
}

fn finished(looked: Result<Look, JoinError>) -> Look {
    looked.unwrap_or_else(|error| Err(io::Error::from(error).to_string()))
}
