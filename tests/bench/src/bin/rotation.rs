//! What a change of revision costs, and what handshakes notice of it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::clients::{self, Sessions, Tally, visit};
use bench::handshake::{Side, shake};
use bench::pki::{CLIENT, Root, SERVER, Svid};
use bench::process::Server;
use bench::servers::{runtime, serve, static_config};
use bench::{Gate, Report, Row, publish, quantile, thread_cpu};
use rustls::ClientConfig;
use spiffe_source::{ConnectError, Feed, Material, Sink, Source};
use spiffe_tls::ServerTls;
use tokio::sync::oneshot;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Changes of revision in this process.
const CHANGES: usize = 301;
/// Handshakes between two of them.
const BETWEEN: usize = 4;
/// Windows of load, as many with rotation as without.
const WINDOWS: usize = 8;
const WINDOW: Duration = Duration::from_millis(2_000);
const EVERY: &str = "50";
const CLIENTS: usize = 2;
const IDLE: usize = 1_000;

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, kind, directory] = &args[..]
        && first == "serve"
    {
        serve(kind, Path::new(directory))?;
        return Ok(ExitCode::SUCCESS);
    }

    let issuer = Root::new()?.intermediate(0)?;
    let servers = [issuer.issue(SERVER)?, issuer.issue(SERVER)?];
    let client = issuer.issue(CLIENT)?;
    let mut rows = changes(&servers, &client)?;

    let directory = tempfile::tempdir()?;
    let next = directory.path().join("next");
    std::fs::create_dir(&next)?;
    servers[0].write(directory.path())?;
    servers[1].write(&next)?;
    rows.extend(under_load(directory.path(), &client)?);
    rows.push(with_idle_connections(directory.path(), &client)?);
    Ok(publish(&Report::new("rotation", CHANGES, rows))?)
}

// ===== one change =====

/// Hands its sink to the bench.
struct Handed {
    first: Material,
    sink: Option<oneshot::Sender<Sink>>,
}

impl Feed for Handed {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("the bench".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        sink.update(&self.first);
        if let Some(waiting) = self.sink.take() {
            let _ = waiting.send(sink);
        }
        std::future::pending().await
    }
}

/// Everything runs on this thread: what the source computes to put an update in force, and what it
/// takes until handshakes have a configuration of it. Between two updates there are handshakes, so
/// that nothing lies ready in the processor's caches.
fn changes(servers: &[Svid; 2], client: &Svid) -> Result<Vec<Row>, Failure> {
    let runtime = runtime()?;
    let materials = [servers[0].material(), servers[1].material()];
    let (sink, handed) = oneshot::channel();
    let feed = Handed {
        first: materials[0].clone(),
        sink: Some(sink),
    };
    let (tls, sink) = runtime.block_on(async {
        let source = Source::from_feed(feed).connect().await?;
        Ok::<_, Failure>((ServerTls::new(source)?, handed.await?))
    })?;
    let provider = spiffe_verify::default_provider()?;
    let config = Arc::new(clients::config(client, &provider, Sessions::None)?);
    let calls = vec![config; BETWEEN];
    let side = Side::Ours(tls.clone());

    let (mut applied, mut built, mut both, mut plain) = (vec![], vec![], vec![], vec![]);
    for number in 1..=CHANGES {
        shake(&side, &calls)?;
        let before = tls.current().ok_or("no identity")?.revision();

        let begun = thread_cpu();
        if !sink.update(&materials[number % 2]) {
            return Err("the update is not in force".into());
        }
        let in_force = thread_cpu();
        runtime.block_on(async {
            while tls.current().is_none_or(|now| now.revision() == before) {
                tokio::task::yield_now().await;
            }
        });
        let ready = thread_cpu();
        let theirs = static_config(&servers[number % 2], &provider)?;
        let done = thread_cpu();
        drop(theirs);

        let micros = |spent: Duration| spent.as_secs_f64() * 1e6;
        applied.push(micros(in_force - begun));
        built.push(micros(ready - in_force));
        both.push(micros(ready - begun));
        plain.push(micros(done - ready));
    }
    let median = |mut all: Vec<f64>| quantile(&mut all, 0.5);
    let beside = ("plain rustls: the same configuration", median(plain));
    Ok(vec![
        Row::alone(
            "an update: verified and in force",
            median(applied),
            "µs of CPU",
            Gate::None,
        ),
        Row::new(
            "an update: from there to the next handshake's configuration",
            median(built),
            beside,
            "µs of CPU",
            Gate::AtMost(200.0),
        ),
        Row::alone("an update: both", median(both), "µs of CPU", Gate::None),
    ])
}

// ===== many changes, under load =====

/// What a server was seen to do in one window.
struct Window {
    tally: Tally,
    micros: f64,
    changes: usize,
}

impl Window {
    fn visits(&self) -> f64 {
        (self.tally.full + self.tally.resumed) as f64
    }

    fn p99(&self) -> f64 {
        let took = self.tally.handshakes.iter();
        let mut took: Vec<f64> = took.map(|took| took.as_secs_f64() * 1e6).collect();
        quantile(&mut took, 0.99)
    }
}

fn rotating(directory: &Path) -> Result<Server, Failure> {
    Server::this_program([Path::new("serve"), Path::new("rotating"), directory])
}

/// Tells the server how to go on, and hears how many changes there have been.
fn told(server: &mut Server, wish: &str) -> Result<usize, Failure> {
    server.tell(wish)?;
    Ok(server.hear()?.parse()?)
}

fn client_config(client: &Svid) -> Result<Arc<ClientConfig>, Failure> {
    let provider = clients::only_the_common(rustls::crypto::aws_lc_rs::default_provider());
    let config = clients::config(client, &Arc::new(provider), Sessions::None)?;
    Ok(Arc::new(config))
}

fn window(
    server: &mut Server,
    configs: &[Arc<ClientConfig>],
    wish: &str,
) -> Result<Window, Failure> {
    let (changes, computed) = (told(server, wish)?, server.cpu()?);
    let begun = Instant::now();
    let tally = visit(server.address(), configs, |_| begun.elapsed() > WINDOW);
    let spent = server.cpu()? - computed;
    Ok(Window {
        tally,
        micros: spent.as_secs_f64() * 1e6,
        changes: told(server, "rest")? - changes,
    })
}

fn under_load(directory: &Path, client: &Svid) -> Result<Vec<Row>, Failure> {
    let mut server = rotating(directory)?;
    let configs = vec![client_config(client)?; CLIENTS];
    let wish = format!("rotate {EVERY}");
    window(&mut server, &configs, "rest")?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        with.push(window(&mut server, &configs, &wish)?);
        without.push(window(&mut server, &configs, "rest")?);
    }

    let sum = |windows: &[Window], of: &dyn Fn(&Window) -> f64| windows.iter().map(of).sum::<f64>();
    let median = |windows: &[Window], of: &dyn Fn(&Window) -> f64| {
        quantile(&mut windows.iter().map(of).collect::<Vec<_>>(), 0.5)
    };
    let failed = |windows: &[Window]| sum(windows, &|window| window.tally.failed.len() as f64);
    let changes = sum(&with, &|window| window.changes as f64);
    let visits = sum(&with, &Window::visits);
    let each: &dyn Fn(&Window) -> f64 = &|window| window.micros / window.visits();
    let (each_with, each_without) = (median(&with, each), median(&without, each));
    if let Some(why) = with.iter().find_map(|window| window.tally.failed.last()) {
        eprintln!("a visit failed: {why}");
    }
    let beside = "the same server without rotation";
    Ok(vec![
        Row::new(
            &format!("failed of {visits} visits, {changes} changes, one in {EVERY} ms"),
            failed(&with),
            (beside, failed(&without)),
            "visits",
            Gate::AtMost(0.0),
        ),
        Row::new(
            "connect and handshake meanwhile, p99",
            median(&with, &Window::p99),
            (beside, median(&without, &Window::p99)),
            "µs",
            Gate::None,
        ),
        Row::new(
            "a visit meanwhile",
            each_with,
            (beside, each_without),
            "µs of CPU",
            Gate::None,
        ),
        Row::alone(
            "a change meanwhile, with what it makes handshakes verify again",
            (each_with - each_without) * visits / changes,
            "µs of CPU",
            Gate::None,
        ),
    ])
}

/// Trust in the peer of every open connection is held against each revision.
fn with_idle_connections(directory: &Path, client: &Svid) -> Result<Row, Failure> {
    let mut server = rotating(directory)?;
    let config = client_config(client)?;
    let mut measured = Vec::new();
    let mut open = Vec::new();
    for connections in [0, IDLE] {
        while open.len() < connections {
            open.push(clients::connect(server.address(), &config)?);
        }
        let (changes, computed) = (told(&mut server, "rotate 5")?, server.cpu()?);
        std::thread::sleep(WINDOW);
        let (changes, spent) = (
            told(&mut server, "rest")? - changes,
            server.cpu()? - computed,
        );
        measured.push(spent.as_secs_f64() * 1e6 / changes as f64);
    }
    Ok(Row::new(
        &format!("a change in a process with {IDLE} idle connections"),
        measured[1],
        ("the same without any", measured[0]),
        "µs of CPU",
        Gate::None,
    ))
}
