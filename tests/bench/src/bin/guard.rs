//! What a guard costs an allowed request beside the decision, and what others cost for less.

use std::convert::Infallible;
use std::env::args;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use axum::body::Body;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use bench::decision::Failure;
use bench::decision::ours::peer;
use bench::{Gate, Report, Row, callgrind, publish, taking_turns, thread_cpu};
use http::{Request, Response, StatusCode};
use spiffe_authz::policy::{Policy, Query};
use spiffe_authz::{AuthzLayer, axum as guarded};
use spiffe_peer::PeerIdentity;
use tower::{Layer, Service, service_fn};
use tower_http::validate_request::ValidateRequestHeaderLayer;

const CALLER: &str = "spiffe://example.org/ns/shop/sa/orders";
const PATH: &str = "/api/v1/things/000123";
const ROUTE: &str = "/api/v1/things/{id}";
const POLICY: &str = "
version: 1
name: bench
trust_domains: { example.org: {} }
rules:
  - { name: read, allow: ['GET /api/v1/things/{id}'], from: ['spiffe://example.org/ns/shop/**'] }
";

const ROUNDS: usize = 101;
const REQUESTS: u32 = 2_000;

/// The most that the guard may add to the decision, in instructions.
const BESIDE_THE_DECISION: f64 = 60.0;

/// What is counted under callgrind: the requests are made outside it.
const COUNTED: [&str; 1] = ["answer_under_watch"];

type Way = Box<dyn FnMut(Request<Body>) -> StatusCode>;

/// The ways of a request, by name: the bare service, one that asks the policy itself, the guard and
/// what others put around it, then axum's route without and with a guard.
const WAYS: [&str; 7] = [
    "service",
    "decided",
    "layer",
    "from_fn",
    "validate_request",
    "route",
    "guarded_route",
];

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<_> = args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if let ["--only", name, "--count", count] = args[..] {
        only(name, count.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = rows("ns", &times()?, Gate::None);
    rows.extend(self::rows(
        "allocations",
        &allocations()?,
        Gate::AtMostMore(0.0),
    ));
    let gate = Gate::AtMostMore(BESIDE_THE_DECISION);
    if callgrind::is_installed() {
        let counted: Vec<_> = WAYS
            .iter()
            .map(|name| callgrind::instructions_each(&["--only", name], &COUNTED))
            .collect::<Result<_, _>>()?;
        rows.extend(self::rows("instructions", &counted, gate));
    } else {
        let peer = "a service that decides itself";
        rows.push(Row::absent("`AuthzLayer`", peer, callgrind::ABSENT, gate));
    }
    Ok(publish(&Report::new("guard", ROUNDS, rows))?)
}

/// What each way costs; the gate is for the guard beside nothing but the decision.
fn rows(unit: &str, all: &[f64], gate: Gate) -> Vec<Row> {
    let [service, decided, layer, from_fn, validate, route, guarded] = *all else {
        return Vec::new();
    };
    let layer_beside =
        |peer, gate| Row::new("a request through `AuthzLayer`", layer, peer, unit, gate);
    vec![
        layer_beside(("a service that decides itself", decided), gate),
        layer_beside(("the service alone", service), Gate::None),
        layer_beside(("`from_fn` with one check", from_fn), Gate::None),
        layer_beside(("`validate_request` with one check", validate), Gate::None),
        Row::new(
            "a guarded route",
            guarded,
            ("axum's route", route),
            unit,
            Gate::None,
        ),
    ]
}

fn way(name: &str) -> Result<Way, Failure> {
    let policy = Policy::from_yaml(POLICY)?;
    Ok(match name {
        "decided" => through(service_fn(move |request| {
            if policy.decide(&Query::of(&request)).is_allowed() {
                answer(request)
            } else {
                ready(Ok(forbidden()))
            }
        })),
        "service" => through(service_fn(answer)),
        "layer" => through(AuthzLayer::new(policy)?.layer(service_fn(answer))),
        "from_fn" => through(from_fn(check).layer(service_fn(answer))),
        "validate_request" => {
            through(ValidateRequestHeaderLayer::custom(validate).layer(service_fn(answer)))
        }
        "route" => through(axum::Router::new().route(ROUTE, get(handler))),
        "guarded_route" => through(
            guarded::Router::new()
                .route(ROUTE, guarded::get(handler).policy())
                .bind(policy)?,
        ),
        _ => return Err(format!("there is no `{name}`; there are {}", WAYS.join(", ")).into()),
    })
}

/// The least that can be checked: who calls.
fn is_allowed(request: &Request<Body>) -> bool {
    let peer: Option<&PeerIdentity> = request.extensions().get();
    peer.is_some_and(|peer| peer.as_str() == CALLER)
}

async fn check(request: Request<Body>, next: Next) -> Response<Body> {
    if is_allowed(&request) {
        next.run(request).await
    } else {
        forbidden()
    }
}

#[expect(clippy::result_large_err, reason = "`validate_request` wants it so")]
fn validate(request: &mut Request<Body>) -> Result<(), Response<Body>> {
    if is_allowed(request) {
        Ok(())
    } else {
        Err(forbidden())
    }
}

fn forbidden() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

fn answer(request: Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    drop(black_box(request));
    ready(Ok(Response::new(Body::empty())))
}

async fn handler() {}

fn through<S>(mut service: S) -> Way
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + 'static,
{
    Box::new(move |request| {
        let mut cx = Context::from_waker(Waker::noop());
        if service.poll_ready(&mut cx).is_pending() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        match pin!(service.call(request)).poll(&mut cx) {
            Poll::Ready(Ok(response)) => response.status(),
            Poll::Pending => StatusCode::SERVICE_UNAVAILABLE,
        }
    })
}

/// Requests as an acceptor makes them, all on one connection.
fn requests(count: u32) -> Result<Vec<Request<Body>>, Failure> {
    let peer = peer(CALLER)?;
    let request = || {
        let mut request = Request::get(PATH)
            .header("host", "api.example.org")
            .header("user-agent", "bench")
            .header("accept", "*/*")
            .body(Body::empty())?;
        request.extensions_mut().insert(peer.clone());
        Ok(request)
    };
    (0..count).map(|_| request()).collect()
}

#[inline(never)]
fn answer_under_watch(way: &mut Way, request: Request<Body>) -> StatusCode {
    way(black_box(request))
}

fn answer_all(way: &mut Way, requests: Vec<Request<Body>>) -> Result<(), Failure> {
    for request in requests {
        if answer_under_watch(way, request) != StatusCode::OK {
            return Err("a request was refused that the policy allows".into());
        }
    }
    Ok(())
}

fn times() -> Result<Vec<f64>, Failure> {
    let mut rounds = Vec::new();
    for name in WAYS {
        let mut way = way(name)?;
        rounds.push(move || {
            let requests = requests(REQUESTS)?;
            let begun = thread_cpu();
            answer_all(&mut way, requests)?;
            let took = thread_cpu() - begun;
            Ok::<_, Failure>(took.as_secs_f64() * 1e9 / f64::from(REQUESTS))
        });
    }
    let mut rounds: Vec<&mut dyn FnMut() -> Result<f64, Failure>> = rounds
        .iter_mut()
        .map(|round| round as &mut dyn FnMut() -> _)
        .collect();
    taking_turns(ROUNDS, &mut rounds)
}

/// Allocations for one request, once the policy knows the peer.
fn allocations() -> Result<Vec<f64>, Failure> {
    let each = |name: &&str| {
        let mut way = way(name)?;
        let mut requests = requests(REQUESTS)?;
        let first = requests.split_off(requests.len() - 1);
        answer_all(&mut way, first)?;
        let count = requests.len();
        let mut done = Ok(());
        let counted = measure(|| done = answer_all(&mut way, requests));
        done?;
        Ok(counted.count_total as f64 / count as f64)
    };
    WAYS.iter().map(each).collect()
}

/// One way alone, for so many requests: to be watched by a tool.
fn only(name: &str, count: u32) -> Result<(), Failure> {
    answer_all(&mut way(name)?, requests(count)?)
}
