//! How long a peer is served whose trust is withdrawn, on a connection that it keeps busy: its bundle, its
//! ID or its serial number, a thousand times each. The time runs from the call that withdraws to the
//! last request that a handler has seen.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that only tests run"
)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use integration::SERVER;
use integration::handed::{handed, issue, material};
use load::{Dial, Http, Requests, Spread};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::Authority;
use spiffe_peer::parse;
use spiffe_source::{DenyList, Material, Source};
use spiffe_tls::ClientTls;
use tokio::sync::watch;

const CALLER: &str = "spiffe://partner.test/service/payment-processor";
/// Longer than this is no withdrawal.
const BOUND: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum What {
    Bundle,
    Id,
    Serial,
}

struct Place {
    server: Source,
    with_partner: Material,
    alone: Material,
    material: watch::Sender<Material>,
    dial: Dial,
    serial: String,
    last_served: Arc<Mutex<Instant>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let trials = std::env::args().nth(1).map_or(1000, |n| n.parse().unwrap());
    let place = Place::new().await;
    let mut held = true;
    for what in [What::Bundle, What::Id, What::Serial] {
        let mut times = Vec::new();
        for n in 0..trials {
            let http = if n % 2 == 0 { Http::Two } else { Http::One };
            times.push(place.trial(what, http).await);
        }
        let spread = Spread::of(times);
        println!("{what:?}: {trials} trials, last request served after {spread}");
        held &= spread.max < BOUND;
    }
    ExitCode::from(u8::from(!held))
}

impl Place {
    async fn new() -> Self {
        let own = Authority::new("example.org").unwrap();
        let partner = Authority::new("partner.test").unwrap();
        let domain = parse::trust_domain("partner.test").unwrap();
        let alone = material(&own, &issue(&own, SERVER));
        let with_partner = alone.clone().foreign_bundle(&domain, partner.bundle_der());
        let caller = issue(&partner, CALLER);
        let known = parse::trust_domain("example.org").unwrap();
        let callers = material(&partner, &caller).foreign_bundle(&known, own.bundle_der());
        let (server, sender) = handed(with_partner.clone());
        let server = server.trust("partner.test").connect().await.unwrap();
        let (client, _) = handed(callers);
        let client = client.trust("example.org").connect().await.unwrap();
        let last_served = Arc::new(Mutex::new(Instant::now()));
        let served = last_served.clone();
        let app = Router::new().route(
            "/",
            get(async move || *served.lock().unwrap() = Instant::now()),
        );
        let listener = Acceptor::builder(server.clone());
        let listener = listener.bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener, app).into_future());
        let tls = ClientTls::new(client, SERVER.parse().unwrap()).unwrap();
        Self {
            server,
            with_partner,
            alone,
            material: sender,
            dial: Dial { tls, port },
            serial: caller.serial(),
            last_served,
        }
    }

    async fn trial(&self, what: What, http: Http) -> Duration {
        let mut requests = self.connect(http).await;
        for _ in 0..3 {
            assert_eq!(requests.get("/").await.unwrap(), StatusCode::OK);
        }
        let busy = tokio::spawn(async move {
            let began = Instant::now();
            while matches!(requests.get("/").await, Ok(StatusCode::OK)) {
                assert!(began.elapsed() < BOUND, "served for ever");
            }
        });
        tokio::task::yield_now().await;
        let withdrawn = Instant::now();
        match what {
            What::Bundle => {
                self.material.send_replace(self.alone.clone());
            }
            What::Id => self.server.deny(DenyList::new().id(CALLER).unwrap()),
            What::Serial => {
                let list = DenyList::new().serial(&self.serial).unwrap();
                self.server.deny(list);
            }
        }
        busy.await.unwrap();
        let last = *self.last_served.lock().unwrap();
        match what {
            What::Bundle => {
                self.material.send_replace(self.with_partner.clone());
            }
            What::Id | What::Serial => self.server.deny(DenyList::new()),
        }
        last.saturating_duration_since(withdrawn)
    }

    /// Comes in as soon as the partner is trusted again.
    async fn connect(&self, http: Http) -> Requests {
        let began = Instant::now();
        loop {
            if let Ok(mut requests) = self.dial.connect(http, Ipv4Addr::LOCALHOST.into()).await
                && matches!(requests.get("/").await, Ok(StatusCode::OK))
            {
                return requests;
            }
            assert!(began.elapsed() < BOUND, "not trusted again");
            tokio::task::yield_now().await;
        }
    }
}
