//! The file that is watched, with the clock of tokio paused: each poll follows at once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
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
        let watching = tokio::spawn(file.watch(
            |list| list,
            move |read| {
                let _ = tell.send(read);
            },
        ));
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

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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
    fs::write(&path, format!("#{}\nend", "x".repeat(16 * 1024 * 1024))).unwrap();
    refused("more than 16777216 bytes").await;
    for (bytes, why) in [
        (b"".as_slice(), "line 1: the last line has to be `end`"),
        (b"serial:0a\n\xff\nend\n", "line 2: it is not UTF-8"),
        (b"serial:0a\nserial:x\nend\n", "line 2: `x` is no serial"),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(why).await;
    }
    fs::write(&path, "serial:0a\nend\n").unwrap();
    set_mode(&path, 0o646);
    refused("can be written by everybody (mode 0646)").await;
    set_mode(&path, 0o664);
    assert_eq!(
        DenyFile::open(path.clone()).await.unwrap().1.len(),
        1,
        "control"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_there_for_one_look_only_is_not_believed() {
    let whole = "serial:0a\nserial:0b\nserial:0c\nend\n";
    let torn = "serial:0a\nserial:0c\nend\n";
    let mut watched = Watched::start(whole).await;
    tokio::time::sleep(Duration::from_millis(450)).await;
    replace(&watched.path, torn);
    tokio::time::sleep(Duration::from_millis(100)).await;
    replace(&watched.path, whole);
    watched.tells_nothing().await;

    let longer = "serial:0a\nserial:0b\nserial:0c\nserial:0d\nend\n";
    for text in ["", torn, "serial:0", longer] {
        replace(&watched.path, text);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert_eq!(watched.next().await, Ok(longer.parse().unwrap()));
    watched.tells_nothing().await;
    replace(&watched.path, torn);
    assert_eq!(
        watched.next().await,
        Ok(torn.parse().unwrap()),
        "control: what stays is believed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_all_the_time_is_a_problem_and_no_list() {
    let mut watched = Watched::start("serial:0a\nend\n").await;
    let path = watched.path.clone();
    let writing = tokio::spawn(async move {
        for number in 1.. {
            replace(&path, &format!("serial:{number:x}\nend\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let problem = watched.problem().await;
    assert!(problem.contains("changes all the time"), "{problem}");
    watched.tells_nothing().await;
    writing.abort();
    assert!(writing.await.is_err());
    replace(&watched.path, "serial:0a\nend\n");
    assert_eq!(
        watched.next().await,
        Ok(list("serial:0a").unwrap()),
        "the list in force ends the problem"
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_begins_with_what_two_looks_show() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    let write = |number: u32| replace(&path, &format!("serial:{number:x}\nend\n"));
    write(0);
    let opening = tokio::spawn(DenyFile::open(path.clone()));
    for number in 1..=5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        write(number);
    }
    let (_, first) = opening.await.unwrap().unwrap();
    assert_eq!(first, list("serial:5").unwrap());

    let mut opening = tokio::spawn(DenyFile::open(path.clone()));
    let endless = async {
        for number in 6.. {
            write(number);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let problem = tokio::select! {
        opened = &mut opening => opened.unwrap().unwrap_err(),
        () = endless => unreachable!("it has no end"),
    };
    assert!(problem.contains("changes all the time"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_everybody_may_write_is_not_believed() {
    let mut watched = Watched::start("serial:0a\nend\n").await;
    set_mode(&watched.path, 0o666);
    let problem = watched.problem().await;
    assert!(problem.contains("by everybody (mode 0666)"), "{problem}");
    fs::write(&watched.path, "end\n").unwrap();
    watched.tells_nothing().await;
    set_mode(&watched.path, 0o644);
    assert_eq!(watched.next().await, Ok(DenyList::new()));
}

#[tokio::test(start_paused = true)]
async fn what_panics_when_it_is_told_does_not_end_the_watch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    fs::write(&path, "end\n").unwrap();
    let (file, _) = DenyFile::open(path.clone()).await.unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let calls = AtomicUsize::new(0);
    let watching = tokio::spawn(file.watch(
        |list| list,
        move |read: Told| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            assert!(call % 2 == 1, "a recorder's own fault");
            let _ = tell.send(read);
        },
    ));
    replace(&path, "serial:0a\nend\n");
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(60), told.recv());
        next.await.expect("it is not told again").unwrap()
    };
    assert_eq!(next().await, Ok(list("serial:0a").unwrap()));
    fs::remove_file(&path).unwrap();
    assert!(next().await.unwrap_err().contains("No such file"));
    watching.abort();
}

#[tokio::test]
async fn the_longest_list_fits_into_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    let entries: String = (0..MAX_ENTRIES)
        .map(|number| format!("key-sha256:{number:064x}\n"))
        .collect();
    fs::write(&path, with_digest(&entries)).unwrap();
    let (_, list) = DenyFile::open(path).await.unwrap();
    assert_eq!(list.len(), MAX_ENTRIES);
}

/// The line that the documentation gives.
#[tokio::test]
async fn a_shell_writes_a_file_with_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("entries"), "serial:0a\n").unwrap();
    let documented = include_str!("../../builder.rs");
    let line = documented
        .lines()
        .find_map(|line| line.trim().strip_prefix("/// { cat entries"));
    let written = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{{ cat entries{}", line.unwrap()))
        .current_dir(directory.path())
        .status();
    assert!(written.unwrap().success());
    let path = directory.path().join("denied");
    assert!(fs::read_to_string(&path).unwrap().contains("\nend sha256:"));
    let (_, read) = DenyFile::open(path).await.unwrap();
    assert_eq!(read, list("serial:0a").unwrap());
}
