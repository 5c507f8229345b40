//! What it costs to read a source and to apply an update, beside `spiffe::X509Source`.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant, SystemTime};

use bench::agent::Agent;
use bench::offer::Offer;
use bench::{Gate, Report, Row, interleaved, interleaved_all, thread_cpu};
use prost::Message as _;
use prost::bytes::Bytes;
use rustls_pki_types::PrivatePkcs8KeyDer;
use spiffe::{BundleSource as _, X509ResourceLimits, X509Source};
use spiffe_peer::{TrustDomain, parse};
use spiffe_source::workload_api::messages::X509SvidResponse;
use spiffe_source::{Builder, ConnectError, Feed, Material, Sink, Source};
use spiffe_verify::{Purpose, X509Bundle, X509Verifier};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 101;
const READS: u32 = 20_000;
const PEER: &str = "spiffe 0.19's X509Source";

fn main() -> Result<ExitCode, Failure> {
    let results = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/bench"), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = reading(&runtime)?;
    let mut applied = Vec::new();
    for (foreign, named) in [(1, true), (100, true), (1000, true), (1000, false)] {
        let offer = Offer::new(foreign)?;
        rows.extend(arriving(&runtime, &offer, named, Theirs::Parsed)?);
        if named {
            rows.extend(arriving(&runtime, &offer, named, Theirs::Verified)?);
        }
        applied.push(applying(&runtime, &offer, named)?);
    }
    rows.extend(scaling(&applied));
    let holds = Report::new("source", ROUNDS, rows).publish(&results)?;
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// ===== reading =====

fn reading(runtime: &Runtime) -> Result<Vec<Row>, Failure> {
    let offer = Offer::new(1)?;
    let pair = Pair::open(runtime, &offer, true)?;
    let (ours, theirs) = (&pair.ours, &pair.theirs);
    let domain = parse::trust_domain("example.org")?;

    let snapshot = || black_box(ours.snapshot());
    let state = || black_box(theirs.state());
    let (alone, by_two) = (
        interleaved(ROUNDS, || reads(snapshot), || reads(state)),
        interleaved(ROUNDS, || two(&snapshot), || two(&state)),
    );
    let svid = interleaved(
        ROUNDS,
        || reads(|| black_box(ours.snapshot().svid().cloned())),
        || reads(|| black_box(theirs.svid())),
    );
    let bundle = interleaved(
        ROUNDS,
        || reads(|| black_box(ours.snapshot().bundle(&domain).is_some())),
        || reads(|| black_box(theirs.bundle_for_trust_domain(&domain))),
    );
    let row = |what: &str, method: &str, (ours, theirs)| {
        let peer_name = format!("{PEER}: `{method}`");
        let theirs = (&*peer_name, each(theirs));
        Row::new(what, each(ours), theirs, "ns", Gate::AtMostTimes(1.0))
    };
    Ok(vec![
        row("reading a snapshot", "state", alone),
        row("reading a snapshot, two threads at once", "state", by_two),
        row("reading the own SVID", "svid", svid),
        row("reading a bundle", "bundle_for_trust_domain", bundle),
    ])
}

/// Both threads read the same source all the time, which is the worst that readers do to each other.
fn two<A>(read: &(impl Fn() -> A + Sync)) -> Duration {
    let begin = Barrier::new(2);
    let timed = || {
        begin.wait();
        reads(read)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(timed);
        let own = timed();
        other.join().map_or(own, |other| (own + other) / 2)
    })
}

fn reads<A>(read: impl Fn() -> A) -> Duration {
    let begun = Instant::now();
    for _ in 0..READS {
        read();
    }
    begun.elapsed()
}

fn each(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(READS)
}

// ===== an update on its way from the agent's stream to whoever reads the source =====

/// Two sources, each with an agent of its own.
struct Pair {
    ours: Source,
    theirs: X509Source,
    our_agent: Agent,
    their_agent: Agent,
    _sockets: tempfile::TempDir,
}

impl Pair {
    fn open(runtime: &Runtime, offer: &Offer, named: bool) -> Result<Self, Failure> {
        let sockets = tempfile::tempdir()?;
        runtime.block_on(async {
            let agent = |name| {
                let socket = sockets.path().join(name);
                let agent = Agent::serve(&socket, offer.messages[0].clone())?;
                Ok::<_, Failure>((agent, format!("unix://{}", socket.display())))
            };
            let (our_agent, endpoint) = agent("ours")?;
            let ours = trusting(Source::workload_api().endpoint(endpoint), offer, named)
                .connect()
                .await?;
            let (their_agent, endpoint) = agent("theirs")?;
            let theirs = X509Source::builder()
                .endpoint(endpoint)
                // It takes 200 bundles by default, and would refuse 1000.
                .resource_limits(X509ResourceLimits::unlimited())
                .build()
                .await?;
            Ok(Self {
                ours,
                theirs,
                our_agent,
                their_agent,
                _sockets: sockets,
            })
        })
    }
}

fn trusting<F: Feed>(source: Builder<F>, offer: &Offer, named: bool) -> Builder<F> {
    let named = offer.foreign.iter().filter(|_| named);
    named.fold(source, |source, name| source.trust(name))
}

/// What counts as the peer's part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theirs {
    /// What it does: it parses.
    Parsed,
    /// That, and the verification of the own SVID that ours does before it is put in force.
    Verified,
}

/// Beside which of them an update with one foreign bundle must not be slower.
const GATED: Theirs = Theirs::Verified;

/// Everything runs on one thread: its CPU time is that of the agent, the transport and the source
/// together.
fn arriving(
    runtime: &Runtime,
    offer: &Offer,
    named: bool,
    measured: Theirs,
) -> Result<Vec<Row>, Failure> {
    let verifier = PeerVerifier::new()?;
    let Pair {
        ours,
        theirs,
        our_agent,
        their_agent,
        _sockets,
    } = Pair::open(runtime, offer, named)?;
    let (mut our_turn, mut their_turn) = (0, 0);
    let mut our_changes = ours.clone();
    let mut their_changes = theirs.updated();
    let (ours_took, theirs_took) = interleaved_all(
        ROUNDS,
        || {
            our_turn += 1;
            let (message, leaf) = turn(offer, our_turn);
            runtime.block_on(spent(async {
                our_agent.push(message);
                while !shows(&ours, leaf) {
                    our_changes.changed().await.expect("the source is open");
                }
            }))
        },
        || {
            their_turn += 1;
            let (message, leaf) = turn(offer, their_turn);
            runtime.block_on(spent(async {
                their_agent.push(message);
                while theirs.svid().expect("an own SVID").leaf().as_bytes() != leaf {
                    their_changes.changed().await.expect("the source is open");
                }
                if measured == Theirs::Verified {
                    verifier.verify(&theirs).expect("an SVID that verifies");
                }
            }))
        },
    );
    assert_eq!(
        ours.snapshot().bundles().len(),
        1 + if named { offer.foreign.len() } else { 0 }
    );
    runtime.block_on(theirs.shutdown());

    let what = format!("an update arriving, {}", size(offer, named));
    let gate = if offer.foreign.len() == 1 && measured == GATED {
        Gate::AtMostTimes(1.0)
    } else {
        Gate::None
    };
    let peer_name = match measured {
        Theirs::Parsed => PEER.to_owned(),
        Theirs::Verified => format!("{PEER} and the same verification"),
    };
    let row = |index: usize, unit, gate| {
        let micros = |took: [Duration; 2]| took[index].as_secs_f64() * 1e6;
        let theirs = (&*peer_name, micros(theirs_took));
        Row::new(&what, micros(ours_took), theirs, unit, gate)
    };
    Ok(vec![row(0, "µs", Gate::None), row(1, "µs of CPU", gate)])
}

/// What a user of the peer would add to know as much of the own SVID: that its chain verifies for
/// both ends of a connection, and that its key fits.
struct PeerVerifier {
    verifier: X509Verifier,
    domain: TrustDomain,
}

impl PeerVerifier {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            verifier: X509Verifier::new(&*spiffe_verify::default_provider()?),
            domain: parse::trust_domain("example.org")?,
        })
    }

    fn verify(&self, source: &X509Source) -> Result<(), Failure> {
        let svid = source.svid()?;
        let roots = source.bundle_for_trust_domain(&self.domain)?;
        let roots = roots.ok_or("no own bundle")?;
        let roots: Vec<&[u8]> = roots
            .authorities()
            .iter()
            .map(|root| root.as_bytes())
            .collect();
        let bundle = X509Bundle::from_der(self.domain.clone(), &roots.concat())?;
        let chain: Vec<&[u8]> = svid.cert_chain().iter().map(|der| der.as_bytes()).collect();
        let verify = |purpose| {
            self.verifier
                .verify(&chain, purpose, |_| Some(&bundle), SystemTime::now())
        };
        let verified = verify(Purpose::Both)?;
        let key = PrivatePkcs8KeyDer::from(svid.private_key().as_bytes().to_vec());
        let provider = spiffe_verify::default_provider()?;
        let key = provider.key_provider.load_private_key(key.into())?;
        let public = key.public_key().ok_or("no public key")?;
        if public.as_ref() == verified.public_key() {
            Ok(())
        } else {
            Err("the key does not fit".into())
        }
    }
}

fn turn(offer: &Offer, turn: usize) -> (&Bytes, &[u8]) {
    (&offer.messages[turn % 2], &offer.leaves[turn % 2])
}

fn shows(source: &Source, leaf: &[u8]) -> bool {
    let snapshot = source.snapshot();
    snapshot.svid().and_then(|svid| svid.chain().next()) == Some(leaf)
}

/// The time until it is done, and what of it the thread has computed.
async fn spent(work: impl Future<Output = ()>) -> [Duration; 2] {
    let (begun, computed) = (Instant::now(), thread_cpu());
    work.await;
    [begun.elapsed(), thread_cpu() - computed]
}

fn size(offer: &Offer, named: bool) -> String {
    match (offer.foreign.len(), named) {
        (1, true) => "1 foreign bundle".to_owned(),
        (many, true) => format!("{many} foreign bundles"),
        (many, false) => format!("{many} that are not named"),
    }
}

// ===== an update from its bytes into force, nothing else =====

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

/// What was applied, and the microseconds of CPU that it took.
type Applied = (String, f64);

fn applying(runtime: &Runtime, offer: &Offer, named: bool) -> Result<Applied, Failure> {
    let (sink, handed) = oneshot::channel();
    let feed = Handed {
        first: Material::from(X509SvidResponse::decode(offer.messages[0].clone())?),
        sink: Some(sink),
    };
    let (source, sink) = runtime.block_on(async {
        let source = trusting(Source::from_feed(feed), offer, named)
            .connect()
            .await?;
        Ok::<_, Failure>((source, handed.await?))
    })?;
    let mut nth = 0;
    let mut apply = || {
        nth += 1;
        let (message, leaf) = turn(offer, nth);
        let message = message.clone();
        let computed = thread_cpu();
        let update = X509SvidResponse::decode(message).expect("a message");
        assert!(sink.update(&Material::from(update)));
        let spent = thread_cpu() - computed;
        assert!(shows(&source, leaf), "the update is in force");
        spent
    };
    let (spent, _) = interleaved(ROUNDS, &mut apply, || Duration::ZERO);
    Ok((size(offer, named), spent.as_secs_f64() * 1e6))
}

/// Ten times as many bundles, at most ten times the work, with something for noise.
fn scaling(applied: &[Applied]) -> Vec<Row> {
    let row = |many: usize, few: usize, gate| {
        let ((what, many), (few_name, few)) = (&applied[many], &applied[few]);
        let what = format!("applying {what}");
        Row::new(&what, *many, (few_name, *few), "µs of CPU", gate)
    };
    vec![
        row(1, 0, Gate::AtMostTimes(100.0)),
        row(2, 1, Gate::AtMostTimes(12.0)),
        row(3, 2, Gate::None),
    ]
}
