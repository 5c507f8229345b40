//! The cache and the validation, with an authority in memory and a clock that the test moves.

mod agent;
mod cache;
mod checks;
mod refresh;
mod slots;
mod validation;
mod withdrawal;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_peer::{SpiffeId, parse};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::*;
use crate::{Builder, ConnectError, Feed, Material, Sink, Source, SvidMaterial};

const ORDERS: &str = "spiffe://example.org/service/orders";
const BILLING: &str = "spiffe://example.org/service/billing";
const LIFE: Duration = Duration::from_secs(300);

/// Longer than anything takes by the test's clock, shorter than the own X.509-SVID lives.
const NEVER: Duration = Duration::from_secs(3000);

/// An authority in memory. It shows each request to the test, and answers what the test says.
struct Scripted {
    asked: mpsc::UnboundedSender<Asked>,
}

/// A request that waits for the test's answer.
struct Asked {
    id: SpiffeId,
    audience: Vec<String>,
    at: Instant,
    answer: oneshot::Sender<Result<IssuedJwtSvid, JwtAuthorityError>>,
}

impl JwtAuthority for Scripted {
    fn fetch<'a>(
        &'a self,
        id: &'a SpiffeId,
        audience: &'a [String],
    ) -> JwtAnswer<'a, IssuedJwtSvid> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            id: id.clone(),
            audience: audience.to_vec(),
            at: Instant::now(),
            answer,
        };
        self.asked.send(asked).unwrap();
        Box::pin(async move { answered.await.unwrap() })
    }
}

type Step = Box<dyn FnOnce(&Sink) + Send>;

/// A feed that does what the test says.
struct Handed {
    steps: mpsc::UnboundedReceiver<Step>,
    authority: Arc<dyn JwtAuthority>,
}

impl Feed for Handed {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("a test".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        while let Some(step) = self.steps.recv().await {
            step(&sink);
        }
    }

    fn jwt_authority(&self) -> Option<Arc<dyn JwtAuthority>> {
        Some(self.authority.clone())
    }
}

/// Begins a little after the system's clock, goes with tokio's, and jumps where the test says.
#[derive(Clone)]
struct TestClock {
    start: (SystemTime, Instant),
    jump: Arc<Mutex<(Duration, Duration)>>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            // What is issued in the test lies in the past, although it takes no time.
            start: (SystemTime::now() + Duration::from_secs(5), Instant::now()),
            jump: Arc::default(),
        }
    }

    fn now(&self) -> SystemTime {
        let (ahead, back) = *self.jump.lock().unwrap();
        self.start.0 + self.start.1.elapsed() + ahead - back
    }

    fn jump_ahead(&self, by: Duration) {
        self.jump.lock().unwrap().0 += by;
    }

    fn jump_back(&self, by: Duration) {
        self.jump.lock().unwrap().1 += by;
    }
}

/// A source with its authority and its feed in the hands of the test.
struct World {
    source: Source,
    ca: Authority,
    clock: TestClock,
    steps: mpsc::UnboundedSender<Step>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl World {
    /// A source of the identity `orders`, which has its JWT bundle.
    async fn new() -> Self {
        Self::of(&[ORDERS], |builder| builder).await
    }

    async fn of(ids: &[&str], set: impl FnOnce(Builder<Handed>) -> Builder<Handed>) -> Self {
        let (asked, requests) = mpsc::unbounded_channel();
        let authority = Arc::new(Scripted { asked });
        Self::with_authority(ids, authority, requests, set).await
    }

    async fn with_authority(
        ids: &[&str],
        authority: Arc<dyn JwtAuthority>,
        asked: mpsc::UnboundedReceiver<Asked>,
        set: impl FnOnce(Builder<Handed>) -> Builder<Handed>,
    ) -> Self {
        let ca = Authority::new("example.org").unwrap();
        let (steps, to_do) = mpsc::unbounded_channel();
        let clock = TestClock::new();
        let feed = Handed {
            steps: to_do,
            authority,
        };
        let now = clock.clone();
        let builder = Source::from_feed(feed).clock(move || now.now());
        steps.send(update(&ca, ids)).ok().unwrap();
        steps.send(jwt_bundle(&ca)).ok().unwrap();
        let source = set(builder).connect().await.unwrap();
        let world = Self {
            source,
            ca,
            clock,
            steps,
            asked,
        };
        world
            .settled(|snapshot| snapshot.jwt_bundles().len() == 1)
            .await;
        world
    }

    fn step(&self, step: Step) {
        self.steps.send(step).ok().unwrap();
    }

    async fn settled(&self, what: impl Fn(&crate::Snapshot) -> bool) {
        let mut source = self.source.clone();
        while !what(&source.snapshot()) {
            source.changed().await.unwrap();
        }
    }

    /// What there is without waiting.
    fn at_once(&self, audience: &str) -> Option<Result<Arc<OwnJwtSvid>, JwtSvidError>> {
        self.source.jwt_svid([audience]).now_or_never()
    }

    /// A caller of its own.
    fn caller(&self, audience: &str) -> Caller {
        let (source, audience) = (self.source.clone(), audience.to_owned());
        tokio::spawn(async move { source.jwt_svid([audience]).await })
    }

    async fn asked(&mut self) -> Asked {
        let asked = tokio::time::timeout(NEVER, self.asked.recv()).await;
        asked.expect("the authority is asked").unwrap()
    }

    /// Lets the tasks do what they can do without time passing.
    async fn rest(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// A token of an ID for audiences, that lives so long from now on by the test's clock.
    fn token(&self, id: &SpiffeId, audience: &[String], life: Duration) -> IssuedJwtSvid {
        IssuedJwtSvid::new(mint(&self.ca, &self.clock, id, audience, life))
    }

    /// Answers a request as a good agent does.
    fn grant(&self, asked: Asked, life: Duration) -> Instant {
        let token = self.token(&asked.id, &asked.audience, life);
        asked.answer.send(Ok(token)).expect("somebody waits");
        asked.at
    }

    /// A token for an audience that was not in the cache, and is in it now.
    async fn fetched(&mut self, audience: &str, life: Duration) -> Arc<OwnJwtSvid> {
        let begun = Instant::now();
        let caller = self.caller(audience);
        let asked = self.asked().await;
        assert_eq!(asked.at, begun, "it was held, and is refreshed");
        self.grant(asked, life);
        caller.await.unwrap().unwrap()
    }
}

type Caller = tokio::task::JoinHandle<Result<Arc<OwnJwtSvid>, JwtSvidError>>;

fn mint(
    ca: &Authority,
    clock: &TestClock,
    id: &SpiffeId,
    audience: &[String],
    life: Duration,
) -> String {
    // The authority counts from the system's clock.
    let end = clock.now() + life;
    let life = end.duration_since(SystemTime::now()).unwrap_or_default();
    ca.issue_jwt(id, audience, life).unwrap()
}

fn update(ca: &Authority, ids: &[&str]) -> Step {
    let svids = ids.iter().map(|id| {
        let issued = ca.issue(&IssueSpec::new(id).unwrap()).unwrap();
        SvidMaterial::from_der(issued.chain_der(), issued.key_der(), ca.bundle_der())
            .hint(id.rsplit('/').next().unwrap())
    });
    let material = svids.fold(Material::default(), Material::svid);
    Box::new(move |sink| assert!(sink.update(&material)))
}

fn jwt_bundle(ca: &Authority) -> Step {
    jwt_bundles(&[ca])
}

fn jwt_bundles(authorities: &[&Authority]) -> Step {
    let bundles: Vec<_> = authorities
        .iter()
        .map(|ca| (ca.trust_domain().clone(), ca.jwt_bundle()))
        .collect();
    Box::new(move |sink| assert!(sink.update_jwt_bundles(bundles)))
}

fn id(text: &str) -> SpiffeId {
    parse::workload_id(text).unwrap()
}
