//! The source against a real agent process that is killed, stopped, replaced and hurried, and
//! against a clock that jumps. Each time it has to come to the right state within a bounded time,
//! without a busy loop, and without keeping anything of what is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use integration::{SERVER, settled};
use spiffe_peer::parse;
use spiffe_source::{Builder, Cause, Snapshot, Source, State, Status, WorkloadApi};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// How long the source may take to come to the right state. Far more than it needs, since the
/// machine may be busy, and far less than the longest back-off.
const BOUND: Duration = Duration::from_secs(10);

/// A directory for an agent's sockets, and perhaps an agent in it.
struct Place {
    directory: PathBuf,
    _scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self {
            directory: scratch.path().join("agent"),
            _scratch: scratch,
        }
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.directory.join("server.sock").display())
    }

    fn source(&self) -> Builder<WorkloadApi> {
        Source::workload_api().endpoint(self.endpoint())
    }

    async fn agent(&self) -> AgentProcess {
        AgentProcess::start(&self.directory).await
    }

    /// Gives the agent a command at its control socket.
    async fn command(&self, line: &str) {
        let mut control = UnixStream::connect(self.directory.join("control.sock"))
            .await
            .unwrap();
        control.write_all(line.as_bytes()).await.unwrap();
        control.write_all(b"\n").await.unwrap();
        let mut answer = String::new();
        control.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("ok"), "{line}: {answer}");
    }
}

/// An agent as a process; it is killed with this.
struct AgentProcess(Child);

impl AgentProcess {
    async fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chaos-agent"))
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .next_line()
            .await;
        assert_eq!(said.unwrap().as_deref(), Some("ready"));
        Self(child)
    }

    async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Sends a signal by its name.
    async fn signal(&self, name: &str) {
        let id = self.0.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.unwrap().success());
    }
}

/// Waits until the source's status is what is waited for, and says how long that took.
async fn until(source: &Source, what: impl Fn(&Status) -> bool) -> Duration {
    let began = Instant::now();
    let mut statuses = source.statuses();
    let comes = async {
        while !what(&source.status()) {
            statuses.next().await.unwrap();
        }
    };
    if tokio::time::timeout(BOUND, comes).await.is_err() {
        panic!("the source stays: {}", source.status());
    }
    began.elapsed()
}

fn serial(source: &Source) -> Option<String> {
    let snapshot = source.snapshot();
    snapshot
        .svid()
        .map(|svid| svid.verified().serial().to_owned())
}

/// The memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_agent_that_is_killed_and_restarted_a_hundred_times() {
    const ROUNDS: u32 = 100;
    let place = Place::new();
    let mut agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let (mut tasks, mut memory) = (0, 0);
    for round in 1..=ROUNDS {
        let before = source.snapshot();
        agent.kill().await;
        until(&source, |status| status.state() == State::Stale).await;
        assert!(source.status().is_ready(), "what was said last holds");
        assert_eq!(source.snapshot(), before);
        agent = place.agent().await;
        until(&source, |status| {
            status.state() == State::Ready && status.revision() > before.revision()
        })
        .await;
        if round == ROUNDS / 5 {
            tasks = Handle::current().metrics().num_alive_tasks();
            memory = resident();
        }
    }
    let reconnects = source.status().reconnects();
    assert!(
        (u64::from(ROUNDS)..u64::from(20 * ROUNDS)).contains(&reconnects),
        "no busy loop: {reconnects}"
    );
    let after = Handle::current().metrics().num_alive_tasks();
    assert!(after <= tasks + 2, "no task is left: {tasks}, then {after}");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 64 * 1024, "memory stays flat: {grown} KiB more");
}

#[tokio::test]
async fn an_agent_that_is_stopped_for_longer_than_a_keepalive() {
    let place = Place::new();
    let agent = place.agent().await;
    let keepalive = Duration::from_millis(300);
    let source = place.source().keepalive(keepalive, keepalive);
    let source = source.connect().await.unwrap();
    let before = source.snapshot();
    agent.signal("STOP").await;
    until(&source, |status| status.state() == State::Stale).await;
    let status = source.status();
    assert!(
        status.is_ready() && status.stale_since().is_some(),
        "{status}"
    );
    assert_eq!(source.snapshot(), before);
    agent.signal("CONT").await;
    let took = tokio::time::timeout(
        // The attempt that hangs in the stopped agent has its own deadline.
        Duration::from_secs(30),
        async {
            while source.status().state() != State::Ready {
                source.statuses().next().await.unwrap();
            }
        },
    );
    took.await.expect("it comes back");
    assert!(source.status().stale_since().is_none());
}

#[tokio::test]
async fn an_agent_that_hangs_is_noticed_when_a_rotation_is_overdue() {
    let place = Place::new();
    let agent = place.agent().await;
    let clock = Jumping::default();
    let source = place
        .source()
        .clock(clock.clone().read())
        .connect()
        .await
        .unwrap();
    agent.signal("STOP").await;
    let svid = source.status().svid().unwrap().clone();
    let life = svid.not_after().duration_since(svid.not_before()).unwrap();
    clock.forward(life * 3 / 4);
    let noticed = async {
        while source.status().state() != State::Stale {
            source.statuses().next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noticed)
        .await
        .expect("no ping was due, and still it is noticed");
    assert!(source.status().is_ready());
}

#[tokio::test]
async fn threats_77_a_socket_that_is_replaced() {
    let place = Place::new();
    let old = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let before = source.snapshot();
    // The old agent lives on and keeps its streams, as one does that is slow to end.
    std::fs::rename(&place.directory, place.directory.with_extension("old")).unwrap();
    let _new = place.agent().await;
    let after = settled(&source, |snapshot| snapshot.revision() > before.revision()).await;
    assert_ne!(
        after.svid().unwrap().verified().serial(),
        before.svid().unwrap().verified().serial()
    );
    until(&source, |status| status.state() == State::Ready).await;
    old.kill().await;
}

#[tokio::test]
async fn threats_76_an_entry_that_is_withdrawn_and_restored() {
    let place = Place::new();
    let _agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let mut changes = source.changes();
    for round in 0..5 {
        place.command(&format!("withdraw {SERVER}")).await;
        until(&source, |status| status.state() == State::Denied).await;
        assert!(!source.status().is_ready() && source.snapshot().bundles().len() == 0);
        place.command(&format!("restore {SERVER}")).await;
        let took = until(&source, |status| status.state() == State::Ready).await;
        assert!(took < Duration::from_secs(5), "round {round}: {took:?}");
        for cause in [Cause::Withdrawal, Cause::Update] {
            assert_eq!(changes.next().await.unwrap().cause(), cause);
        }
    }
    // While there is no identity the agent is asked, but not in a loop.
    place.command(&format!("withdraw {SERVER}")).await;
    until(&source, |status| status.state() == State::Denied).await;
    let before = source.status().reconnects();
    let denied = Duration::from_secs(3);
    let _ = tokio::time::timeout(denied, std::future::pending::<()>()).await;
    let asked = source.status().reconnects() - before;
    assert!((1..=10).contains(&asked), "{asked} times in {denied:?}");
}

#[tokio::test]
async fn threats_75_a_thousand_rotations_in_a_row() {
    let place = Place::new();
    let _agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    let mut changes = source.changes();
    let first = serial(&source);
    place.command("rotate svids").await;
    until(&source, |_| serial(&source) != first).await;
    let (tasks, memory) = (Handle::current().metrics().num_alive_tasks(), resident());
    let began = Instant::now();
    for _ in 0..10 {
        let hundred = (0..100).map(|_| place.command("rotate svids"));
        futures_util::future::join_all(hundred).await;
    }
    let took = began.elapsed();
    // The last word: what comes after a thousand others must not be lost among them.
    place.command("rotate authority example.org").await;
    let fresh = place.source().connect().await.unwrap().snapshot();
    let own = parse::trust_domain("example.org").unwrap();
    let roots = |snapshot: &Snapshot| -> Vec<Vec<u8>> {
        let bundle = snapshot.bundle(&own).unwrap();
        bundle.authorities().map(<[u8]>::to_vec).collect()
    };
    let wanted = roots(&fresh);
    settled(&source, |snapshot| roots(snapshot) == wanted).await;
    assert!(source.status().is_ready(), "{}", source.status());

    let (mut seen, mut missed) = (0, 0);
    while let Ok(Ok(change)) =
        tokio::time::timeout(Duration::from_millis(100), changes.next()).await
    {
        seen += 1;
        missed += change.missed();
        if let (Some(before), Some(after)) = (change.before(), change.after()) {
            assert!(after.not_before() >= before.not_before(), "{change}");
        }
    }
    let revision = source.snapshot().revision();
    assert_eq!(
        seen + missed + 1,
        revision,
        "every revision is an event or counted as missed"
    );
    println!("1000 rotations in {took:?}, {revision} revisions, {missed} events missed");
    let after = Handle::current().metrics().num_alive_tasks();
    assert!(after <= tasks + 2, "no task is left: {tasks}, then {after}");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 64 * 1024, "memory stays flat: {grown} KiB more");
}

/// A clock that a test makes jump.
#[derive(Clone, Default)]
struct Jumping {
    /// In seconds, forwards or back.
    offset: Arc<Mutex<i64>>,
}

impl Jumping {
    fn read(self) -> impl Fn() -> SystemTime {
        move || {
            let offset = *self.offset.lock().unwrap();
            let by = Duration::from_secs(offset.unsigned_abs());
            if offset < 0 {
                SystemTime::now() - by
            } else {
                SystemTime::now() + by
            }
        }
    }

    fn forward(&self, by: Duration) {
        *self.offset.lock().unwrap() += i64::try_from(by.as_secs()).unwrap();
    }

    fn back(&self, by: Duration) {
        *self.offset.lock().unwrap() -= i64::try_from(by.as_secs()).unwrap();
    }
}

#[tokio::test]
async fn threats_98_a_clock_that_jumps_a_day_both_ways() {
    const DAY: Duration = Duration::from_secs(86_400);
    let place = Place::new();
    let _agent = place.agent().await;
    let clock = Jumping::default();
    let source = place
        .source()
        .clock(clock.clone().read())
        .connect()
        .await
        .unwrap();
    let mut changes = source.changes();
    let before = source.snapshot();

    clock.forward(DAY);
    let expiry = tokio::time::timeout(BOUND, changes.next()).await.unwrap();
    assert_eq!(expiry.unwrap().cause(), Cause::Expiry);
    assert_eq!(source.status().state(), State::Expired);
    assert!(source.snapshot().svid().is_none());
    clock.back(DAY);
    let back = tokio::time::timeout(BOUND, changes.next()).await.unwrap();
    assert_eq!(back.unwrap().cause(), Cause::ClockChange);
    assert_eq!(source.snapshot().svids(), before.svids());

    clock.back(DAY);
    until(&source, |status| !status.is_ready()).await;
    let status = source.status();
    assert!(status.last_error().unwrap().contains("clock"), "{status}");
    assert_eq!(
        source.snapshot().svids(),
        before.svids(),
        "nothing is taken away"
    );
    place.command("rotate svids").await;
    until(&source, |status| {
        status
            .last_error()
            .is_some_and(|error| error.contains("not valid yet"))
    })
    .await;
    clock.forward(DAY);
    place.command("rotate svids").await;
    settled(&source, |snapshot| snapshot.svids() != before.svids()).await;
    until(&source, |status| status.state() == State::Ready).await;
}

#[tokio::test]
async fn an_agent_that_is_absent_is_not_asked_in_a_loop() {
    let place = Place::new();
    let agent = place.agent().await;
    let source = place.source().connect().await.unwrap();
    agent.kill().await;
    until(&source, |status| status.state() == State::Stale).await;
    let before = source.status().reconnects();
    let absent = Duration::from_secs(3);
    let _ = tokio::time::timeout(absent, std::future::pending::<()>()).await;
    let asked = source.status().reconnects() - before;
    assert!((1..=10).contains(&asked), "{asked} times in {absent:?}");
}
