//! What is told of problems, and how often.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use super::super::FilePermissions;
use super::super::follow::Next;
use super::steps::Stepped;
use super::{Directory, HELPER, LONG, authority, issue, own};
use crate::clock::Clock;
use crate::{Source, State};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes the warnings of this thread, as long as the guard lives.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_max_level(tracing::Level::WARN)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_problem_is_logged_once_however_often_it_is_met() {
    let log = Log::default();
    let _guard = log.listen();
    let warnings = || {
        let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let authority = authority("example.org");
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    let key = directory.path("svid_key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    for _ in 0..20 {
        assert_eq!(stepped.look().await, Next::Later);
    }
    let said = warnings();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("mode 0644"), "{said:?}");
    assert_eq!(stepped.serial(), None);

    directory.remove("svid_key.pem");
    directory.put("svid_key.pem", b"torn");
    stepped.rest_for_long().await;
    for _ in 0..20 {
        stepped.look().await;
    }
    let said = warnings();
    assert_eq!(said.len(), 1, "{said:?}");

    directory.put_own(HELPER, &svid, &authority);
    stepped.rest().await;
    assert_eq!(warnings(), [""; 0], "control");
    assert_eq!(stepped.serial(), Some(svid.serial()));
}

#[tokio::test]
async fn a_key_that_everybody_can_read_is_warned_of_once_where_that_is_set() {
    let log = Log::default();
    let _guard = log.listen();
    let authority = authority("example.org");
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    let key = directory.path("svid_key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let source = Source::files(directory.0.path()).permissions(FilePermissions::Warn);
    let mut source = source.connect().await.unwrap();
    source.changed().await.unwrap();
    directory.put_own(HELPER, &issue(&authority), &authority);
    timeout(LONG, source.changed()).await.unwrap().unwrap();
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("WARN").count(), 1, "{said}");
    assert!(said.contains("mode 0644"), "{said}");
}

#[test]
fn reading_that_hangs_is_told_and_never_done_twice_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let authority = authority("example.org");
        let svid = issue(&authority);
        let directory = Directory::with(HELPER, &svid, &authority);
        let mut stepped = Stepped::new(&directory, &[], &[]);
        stepped.rest().await;

        let (release, held) = mpsc::channel::<()>();
        let disk = spawn_blocking(move || held.recv());
        stepped.follower.hung_after = Duration::from_millis(20);
        let mut statuses = stepped.keeper.statuses();
        let told = async {
            let hung = statuses.wait_for(|status| {
                let said = status.last_error().unwrap_or_default();
                said.contains("does not come to an end") && status.state() == State::Stale
            });
            timeout(LONG, hung).await.unwrap().unwrap();
            release.send(()).unwrap();
        };
        tokio::join!(stepped.look(), told);
        disk.await.unwrap().unwrap();
        assert_eq!(stepped.status().last_error(), None, "all is as it was");
        assert_eq!(stepped.serial(), Some(svid.serial()));
    });
}

#[tokio::test]
async fn files_that_everybody_can_write_are_warned_of_each_where_that_is_set() {
    let log = Log::default();
    let _guard = log.listen();
    let authority = authority("example.org");
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    for name in HELPER {
        let mode = fs::Permissions::from_mode(0o666);
        fs::set_permissions(directory.path(name), mode).unwrap();
    }
    let source = Source::files(directory.0.path()).permissions(FilePermissions::Warn);
    let mut source = source.connect().await.unwrap();
    source.changed().await.unwrap();
    directory.put_own(HELPER, &issue(&authority), &authority);
    timeout(LONG, source.changed()).await.unwrap().unwrap();
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("WARN").count(), HELPER.len(), "{said}");
    for name in HELPER {
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn one_set_is_one_revision_and_a_jwt_problem_is_told_once() {
    let log = Log::default();
    let _guard = log.listen();
    let warnings = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    let authority = authority("example.org");
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    directory.put("example.org.json", &authority.jwt_bundle());
    let mut stepped = Stepped::new(&directory, &[], &["example.org"]);
    stepped.rest().await;
    assert_eq!(stepped.snapshot().revision(), 1);
    assert!(stepped.trusts_tokens("example.org"));

    authority.rotate().unwrap();
    let next = issue(&authority);
    directory.put_own(HELPER, &next, &authority);
    directory.put("example.org.json", &authority.jwt_bundle());
    stepped.rest().await;
    assert_eq!(stepped.serial(), Some(next.serial()));
    assert_eq!(stepped.snapshot().revision(), 2);
    assert_eq!(warnings(), "");

    for broken in [Some(b"{"), None] {
        match broken {
            Some(broken) => directory.put("example.org.json", broken),
            None => directory.remove("example.org.json"),
        }
        stepped.rest_for_long().await;
        stepped.complains("JWT bundle of example.org");
        for _ in 0..20 {
            stepped.look().await;
        }
        let said = warnings();
        assert_eq!(said.matches("WARN").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_lasting_problem_is_judged_now_and_then_and_never_on_a_worker() {
    let authority = authority("example.org");
    let (old, new) = (issue(&authority), issue(&authority));
    let directory = Directory::with(HELPER, &old, &authority);
    let asked: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let heard = asked.clone();
    let clock = Clock::new(move || {
        heard.lock().unwrap().push(thread::current().id());
        SystemTime::now()
    });
    let mut stepped = Stepped::with_clock(&directory, &[], &[], clock);
    stepped.rest().await;
    let [chain, ..] = own(&new, &authority);
    directory.put("svid.pem", &chain);
    stepped.look().await;
    asked.lock().unwrap().clear();
    assert_eq!(stepped.look().await, Next::Soon);
    let judged = asked.lock().unwrap().clone();
    assert_eq!(judged.len(), 1, "control: the clock tells of a judgement");
    assert_ne!(judged[0], thread::current().id());
    stepped.rest_for_long().await;
    stepped.complains("does not fit");
    stepped.look().await;

    asked.lock().unwrap().clear();
    for _ in 0..20 {
        assert_eq!(stepped.look().await, Next::Later);
    }
    assert_eq!(asked.lock().unwrap().len(), 0);
    stepped.age().await;
    for _ in 0..20 {
        assert_eq!(stepped.look().await, Next::Later);
    }
    let judged = asked.lock().unwrap().clone();
    assert_eq!(judged.len(), 1);
    assert_ne!(judged[0], thread::current().id());
}

#[tokio::test]
async fn an_own_part_that_the_clock_mends_is_put_in_force() {
    let authority = authority("example.org");
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    let year = Duration::from_secs(365 * 24 * 3600);
    let time = Arc::new(Mutex::new(SystemTime::now() - year));
    let shown = time.clone();
    let clock = Clock::new(move || *shown.lock().unwrap());
    let mut stepped = Stepped::with_clock(&directory, &[], &[], clock);
    stepped.rest().await;
    assert_eq!(stepped.serial(), None);
    stepped.complains("not valid yet");
    *time.lock().unwrap() = SystemTime::now();
    stepped.age().await;
    stepped.look().await;
    assert_eq!(stepped.serial(), Some(svid.serial()));
    assert_eq!(stepped.status().last_error(), None);
}
