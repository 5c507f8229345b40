//! A server that may open few files, as a process of its own, and a crowd in another process that opens more
//! connections than it can take: silent ones that stay, and ones that come and go. Who was there first
//! is answered all the while, the processor rests, the log says it once, and when the crowd has gone
//! newcomers are let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use integration::place::cpu_time;
use integration::{SERVER, agent};
use load::process::{another, open_few_files, open_many_files};
use load::{Dial, Failed, Http, Requests, Spread};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::Agent;
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinSet;

/// What the server may open, all in all.
const FILES: u64 = 256;
/// Honest connections that are there before the crowd.
const HELD: usize = 100;
/// More than there is room for; all of them fit into the system's queue.
const CROWD: u16 = 600;
/// Of the crowd behind one address: a quota for each address makes nobody give way.
const AN_ADDRESS: u16 = 50;
/// Of one core, while nobody is to be accepted. One that tries again at once takes all of it.
const MOST_CPU: f64 = 0.25;
/// From the crowd's end to the answer to a newcomer.
const PATIENCE: Duration = Duration::from_secs(15);
const COMPLAINT: &str = "cannot accept connections";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", endpoint, deadline] => be_a_server(endpoint, deadline.parse().unwrap()).await,
        ["crowd", port, shape] => crowd(port.parse().unwrap(), shape).await,
        _ => {
            open_many_files();
            let lasts = load::seconds(5);
            let agent = agent().start().await.unwrap();
            let stay = exhaust(&agent, "stay", Duration::from_secs(3600), lasts).await;
            let go = exhaust(&agent, "go", Duration::from_secs(1), lasts).await;
            return ExitCode::from(u8::from(!(stay && go)));
        }
    }
    ExitCode::SUCCESS
}

/// Whether all holds that has to.
async fn exhaust(agent: &Agent, shape: &str, deadline: Duration, lasts: Duration) -> bool {
    let mut server = Server::start(agent, deadline).await;
    let client = Source::workload_api().endpoint(agent.endpoint("allowed").unwrap());
    let tls = ClientTls::new(client.connect().await.unwrap(), SERVER.parse().unwrap()).unwrap();
    let port = server.port;
    let dial = Dial { tls, port };
    let mut held = Vec::new();
    for n in 0..HELD {
        let http = if n % 2 == 0 { Http::One } else { Http::Two };
        let requests = dial.connect(http, Ipv4Addr::LOCALHOST.into()).await;
        held.push(requests.unwrap());
    }
    let mut crowd = another(&["crowd", &port.to_string(), shape]);
    server.complains().await;

    let (began, before) = (Instant::now(), cpu_time(server.id));
    tokio::time::sleep(lasts).await;
    let cpu = (cpu_time(server.id) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let (failed, times) = ask_all(&mut held).await;
    let complaints = server.complaints.load(Ordering::SeqCst);
    let reminders = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    let open = server.files();

    crowd.kill().await.unwrap();
    let freed = Instant::now();
    let newcomer = newcomer(&dial);
    let newcomer = tokio::time::timeout(PATIENCE, newcomer).await;
    let (waited, let_in) = (freed.elapsed(), matches!(newcomer, Ok(Ok(StatusCode::OK))));
    let (failed_afterwards, _) = ask_all(&mut held).await;
    let lives = server.child.try_wait().unwrap().is_none();

    println!("{CROWD} that {shape}, {HELD} there before, {FILES} files for all:");
    println!("    {open} files open after {lasts:?}; alive afterwards: {lives}");
    println!("    {:.1} % of a core meanwhile", cpu * 100.0);
    println!("    said in the log that nobody is accepted: {complaints} times");
    println!(
        "    {HELD} requests of those who were there: {failed} failed, {times}; afterwards {failed_afterwards} failed"
    );
    match let_in {
        true => println!("    a newcomer is answered {waited:.2?} after the crowd has gone"),
        false => println!("    no newcomer is answered {waited:.2?} after the crowd has gone"),
    }
    // Of those who go there may be a few too few at any moment.
    (open == FILES || shape == "go")
        && lives
        && cpu < MOST_CPU
        && (1..=1 + reminders).contains(&complaints)
        && failed == 0
        && failed_afterwards == 0
        && let_in
}

async fn newcomer(dial: &Dial) -> Result<StatusCode, Failed> {
    let mut requests = dial.connect(Http::One, Ipv4Addr::LOCALHOST.into()).await?;
    requests.get("/").await
}

/// How many are not answered, and how long the others take.
async fn ask_all(held: &mut [Requests]) -> (usize, Spread) {
    let (mut failed, mut times) = (0, Vec::new());
    for requests in held {
        let begun = Instant::now();
        match tokio::time::timeout(PATIENCE, requests.get("/")).await {
            Ok(Ok(StatusCode::OK)) => times.push(begun.elapsed()),
            _ => failed += 1,
        }
    }
    (failed, Spread::of(times))
}

/// The server's process, and how often it has complained.
struct Server {
    child: Child,
    id: u32,
    port: u16,
    complaints: Arc<AtomicUsize>,
    complained: tokio::sync::watch::Receiver<bool>,
}

impl Server {
    async fn start(agent: &Agent, deadline: Duration) -> Self {
        let deadline = deadline.as_millis().to_string();
        let mut child = another(&["serve", agent.endpoint("server").unwrap(), &deadline]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("a port");
        let complaints = Arc::<AtomicUsize>::default();
        let (complains, complained) = tokio::sync::watch::channel(false);
        tokio::spawn(listen_to(lines, complaints.clone(), complains));
        Self {
            id: child.id().unwrap(),
            child,
            port: port.parse().unwrap(),
            complaints,
            complained,
        }
    }

    async fn complains(&mut self) {
        let complains = self.complained.wait_for(|complained| *complained);
        let complains = tokio::time::timeout(PATIENCE, complains).await;
        complains.expect("the crowd is large enough").unwrap();
    }

    fn files(&self) -> u64 {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.id));
        files.unwrap().count().try_into().unwrap()
    }
}

async fn listen_to(
    mut lines: tokio::io::Lines<BufReader<ChildStdout>>,
    complaints: Arc<AtomicUsize>,
    complains: tokio::sync::watch::Sender<bool>,
) {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(COMPLAINT) {
            complaints.fetch_add(1, Ordering::SeqCst);
            complains.send_replace(true);
        }
    }
}

async fn be_a_server(endpoint: &str, deadline: u64) {
    open_few_files(FILES);
    let source = Source::workload_api().endpoint(endpoint);
    let listener = Acceptor::builder(source.connect().await.unwrap())
        .handshake_timeout(Duration::from_millis(deadline))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    // What it says from here on is its log.
    tracing_subscriber::fmt().with_ansi(false).init();
    let app = Router::new().route("/", get(async || "ok"));
    let server = serve(listener, app)
        .header_timeout(Duration::from_secs(3600))
        .idle_timeout(Duration::from_secs(3600));
    server.await.unwrap();
}

async fn crowd(port: u16, shape: &str) {
    open_many_files();
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let patience = match shape {
            "stay" => Duration::from_secs(3600),
            // Each at its own time, so that one file after another becomes free.
            _ => Duration::from_millis(u64::from(200 + n)),
        };
        let group = u8::try_from(n / AN_ADDRESS).unwrap();
        let from = Ipv4Addr::new(127, 0, 1, group);
        crowd.spawn(async move {
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((from, 0).into()).unwrap();
                if let Ok(mut tcp) = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await {
                    let _ = tokio::time::timeout(patience, tcp.read(&mut [0])).await;
                }
            }
        });
    }
    crowd.join_all().await;
}
