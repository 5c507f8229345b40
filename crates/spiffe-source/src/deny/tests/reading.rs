//! The file that is watched, with the clock of tokio paused: each poll follows at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

type Told = Result<DenyList, String>;

/// A file under watch, and what it has told.
struct Watched {
    _directory: tempfile::TempDir,
    path: PathBuf,
    told: mpsc::UnboundedReceiver<Told>,
    watching: JoinHandle<()>,
}

impl Watched {
    async fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deny");
        fs::write(&path, text).unwrap();
        let (file, first) = DenyFile::open(path.clone()).await.unwrap();
        assert_eq!(first, text.parse().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        let watching = tokio::spawn(file.watch(move |read| {
            let _ = tell.send(read);
        }));
        Self {
            _directory: directory,
            path,
            told,
            watching,
        }
    }

    async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(Duration::from_secs(60), self.told.recv());
        next.await.expect("the file tells nothing").unwrap()
    }

    async fn problem(&mut self) -> String {
        self.next().await.expect_err("this is no list")
    }

    /// Lets the file be read a few times, and demands that it tells nothing.
    async fn tells_nothing(&mut self) {
        let silence = tokio::time::timeout(Duration::from_secs(2), self.told.recv());
        assert!(silence.await.is_err(), "nothing is new");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// At once: nobody can read half of it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_list_is_told_once() {
    let mut watched = Watched::start("serial:0a\nend\n").await;
    watched.tells_nothing().await;
    replace(&watched.path, "serial:0a\nserial:0b\nend\n");
    assert_eq!(
        watched.next().await,
        Ok(list("serial:0a\nserial:0b").unwrap())
    );
    watched.tells_nothing().await;
    replace(&watched.path, "end\n");
    assert_eq!(watched.next().await, Ok(DenyList::new()));
    watched.tells_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_points_elsewhere_is_a_new_list() {
    let mut watched = Watched::start("serial:0a\nend\n").await;
    let directory = watched.path.parent().unwrap();
    let (other, link) = (directory.join("other"), directory.join("link"));
    fs::write(&other, "serial:0b\nend\n").unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    fs::rename(&link, &watched.path).unwrap();
    assert_eq!(watched.next().await, Ok(list("serial:0b").unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_told_once_with_file_and_line_and_its_end_too() {
    let mut watched = Watched::start("serial:0a\nend\n").await;
    let path = watched.path.display().to_string();
    replace(&watched.path, "serial:0a\nserial:");
    let problem = watched.problem().await;
    assert!(problem.contains(&format!("{path}, line 2:")), "{problem}");
    watched.tells_nothing().await;
    replace(&watched.path, "serial:0a\n");
    let problem = watched.problem().await;
    assert!(problem.contains("`end`"), "another problem: {problem}");

    fs::remove_file(&watched.path).unwrap();
    let problem = watched.problem().await;
    assert!(problem.contains(&path), "{problem}");
    watched.tells_nothing().await;
    fs::create_dir(&watched.path).unwrap();
    let problem = watched.problem().await;
    assert!(problem.contains("not a regular file"), "{problem}");
    fs::remove_dir(&watched.path).unwrap();
    watched.problem().await;

    replace(&watched.path, "serial:0a\nend\n");
    assert_eq!(
        watched.next().await,
        Ok(list("serial:0a").unwrap()),
        "the very list that was there before is told, since it ends the problem"
    );
    watched.tells_nothing().await;
}

#[tokio::test]
async fn what_is_no_list_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    let refused = async |why: &str| {
        let problem = DenyFile::open(path.clone()).await.expect_err(why);
        assert!(
            problem.contains(&path.display().to_string()) && problem.contains(why),
            "{problem}"
        );
    };
    refused("No such file").await;
    fs::create_dir(&path).unwrap();
    refused("not a regular file").await;
    fs::remove_dir(&path).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(fifo.unwrap().success());
    refused("not a regular file").await;
    fs::remove_file(&path).unwrap();
    fs::write(&path, format!("#{}\nend", "x".repeat(4 * 1024 * 1024))).unwrap();
    refused("more than 4194304 bytes").await;
    for (bytes, why) in [
        (b"".as_slice(), "line 1: the last line has to be `end`"),
        (b"serial:0a\n\xff\nend\n", "line 2: it is not UTF-8"),
        (b"serial:0a\nserial:x\nend\n", "line 2: `x` is no serial"),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(why).await;
    }
    fs::write(&path, "serial:0a\nend\n").unwrap();
    assert_eq!(
        DenyFile::open(path.clone()).await.unwrap().1.len(),
        1,
        "control"
    );
}
