//! What happens where no file descriptor is left for another connection: in a server's process that may
//! open few files, and in a listener that is told so. A process of its own, since it collects what the
//! whole process logs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use integration::client::{Dialer, ask, read_until};
use integration::place::cpu_time;
use integration::{agent, source};
use spiffe_acceptor::{Acceptor, Incoming};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

const FILES: &str = "64";
/// More than that.
const CROWD: usize = 80;
const PATIENCE: Duration = Duration::from_secs(30);
/// What the system says where no file descriptor is left.
const EMFILE: i32 = 24;
const COMPLAINT: &str = "cannot accept connections";

struct FewFiles {
    child: Child,
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl FewFiles {
    async fn start(endpoint: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -n \"$1\" && exec \"$0\" \"$2\""])
            .args([env!("CARGO_BIN_EXE_few-files"), FILES, endpoint])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("a port");
        Self {
            child,
            port: port.parse().unwrap(),
            lines,
            said: Vec::new(),
        }
    }

    /// Waits for a line of its log.
    async fn says(&mut self, text: &str) -> String {
        let says = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("it lives");
                self.said.push(line.clone());
                if line.contains(text) {
                    return line;
                }
            }
        };
        let says = tokio::time::timeout(PATIENCE, says).await;
        says.unwrap_or_else(|_| panic!("it never says `{text}`: {:?}", self.said))
    }

    /// Ends it, and counts the lines with this text.
    async fn end(mut self, text: &str) -> usize {
        drop(self.child.stdin.take());
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.said.push(line);
        }
        assert!(self.child.wait().await.unwrap().success());
        self.said.iter().filter(|line| line.contains(text)).count()
    }
}

#[tokio::test]
async fn threats_49_and_92_without_files_it_serves_whom_it_has_and_recovers() {
    let agent = agent().start().await.unwrap();
    let mut server = FewFiles::start(agent.endpoint("server").unwrap()).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut held = dialer.dial(server.port, "http/1.1").await.unwrap();
    ask(&mut held, "/").await.unwrap();
    read_until(&mut held, "served").await.unwrap();

    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let idle = TcpStream::connect(("127.0.0.1", server.port)).await;
        crowd.push(idle.unwrap());
    }
    server.says(COMPLAINT).await;
    let id = server.child.id().unwrap();
    let (begun, before) = (Instant::now(), cpu_time(id));
    // What is measured is that nothing happens.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (busy, passed) = (cpu_time(id) - before, begun.elapsed());
    assert!(busy < passed / 20, "busy for {busy:?} of {passed:?}");
    for _ in 0..20 {
        ask(&mut held, "/").await.unwrap();
        read_until(&mut held, "served").await.unwrap();
    }

    drop(crowd);
    let newcomer = async {
        let mut newcomer = dialer.dial(server.port, "http/1.1").await.unwrap();
        ask(&mut newcomer, "/").await.unwrap();
        read_until(&mut newcomer, "served").await.unwrap();
    };
    let newcomer = tokio::time::timeout(PATIENCE, newcomer).await;
    newcomer.expect("there are files again");
    ask(&mut held, "/").await.unwrap();
    read_until(&mut held, "served").await.unwrap();
    drop(held);
    assert_eq!(server.end(COMPLAINT).await, 1, "it complains once");
}

/// A listener that has a file descriptor now and then: every second attempt fails.
struct ByTurns {
    tcp: TcpListener,
    failures: Arc<AtomicUsize>,
    fails: bool,
}

impl Incoming for ByTurns {
    type Io = TcpStream;
    type Address = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.fails {
            self.fails = false;
            self.failures.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let accepted = Incoming::accept(&mut self.tcp).await;
        self.fails = true;
        accepted
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    fn ip(address: &SocketAddr) -> Option<IpAddr> {
        Some(address.ip())
    }
}

#[tokio::test]
async fn threats_49_without_file_descriptors_now_and_then_it_complains_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(log.reopen().unwrap());
    // Of the whole process: the other test here accepts nothing in it.
    tracing_subscriber::fmt().with_writer(writer).init();
    let agent = agent().start().await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let failures = Arc::<AtomicUsize>::default();
    let mut listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .listen(ByTurns {
            tcp,
            failures: failures.clone(),
            fails: true,
        })
        .unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    for _ in 0..6 {
        let (stream, accepted) = tokio::join!(
            dialer.dial(port, "http/1.1"),
            tokio::time::timeout(PATIENCE, listener.accept())
        );
        stream.unwrap();
        accepted.expect("it goes on");
    }
    assert!(failures.load(Ordering::SeqCst) >= 6);
    let log = std::fs::read_to_string(log.path()).unwrap();
    let complaints = log.matches(COMPLAINT).count();
    assert_eq!(complaints, 1, "{log}");
}
