//! What one allowed request costs through `RequireIdLayer`, beside the bare service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bench::{Gate, Report, Row, interleaved};
use http::{Request, Response};
use spiffe_authz::RequireIdLayer;
use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer, parse};
use tower::{Layer, Service, service_fn};

const CALLER: &str = "spiffe://example.org/service/payment-processor";
const ROUNDS: usize = 201;
const REQUESTS: u32 = 2_000;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let results = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/bench"), PathBuf::from);
    let peer = caller()?;
    let mut rows = Vec::new();
    for (what, layer) in [
        ("one ID", RequireIdLayer::exact(CALLER)?),
        (
            "an ID pattern",
            RequireIdLayer::pattern("spiffe://example.org/service/*")?,
        ),
        (
            "any identity",
            RequireIdLayer::authenticated("a measurement")?,
        ),
    ] {
        let (mut guarded, mut bare) = (layer.layer(service_fn(answer)), service_fn(answer));
        let (ours, theirs) = interleaved(
            ROUNDS,
            || timed(&mut guarded, &peer),
            || timed(&mut bare, &peer),
        );
        let each = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(REQUESTS);
        let what_time = format!("an allowed request, {what}");
        rows.push(Row::new(
            &what_time,
            each(ours),
            ("the bare service", each(theirs)),
            "ns",
            Gate::None,
        ));

        let (ours, theirs) = (
            allocations(&mut guarded, &peer),
            allocations(&mut bare, &peer),
        );
        rows.push(Row::new(
            &what_time,
            ours,
            ("the bare service", theirs),
            "allocations",
            Gate::AtMostMore(0.0),
        ));
    }
    let holds = Report::new("request", ROUNDS, rows).publish(&results)?;
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn caller() -> Result<PeerIdentity, parse::InvalidId> {
    let peer = VerifiedPeer {
        spiffe_id: parse::workload_id(CALLER)?,
        not_after: SystemTime::now() + Duration::from_secs(24 * 3600),
        fingerprint: Fingerprint::from_sha256([0; 32]),
        method: AuthMethod::MtlsX509Svid,
    };
    Ok(PeerIdentity::assume_verified(peer, Connection::new()))
}

fn answer(request: Request<()>) -> Ready<Result<Response<()>, Infallible>> {
    black_box(request);
    ready(Ok(Response::new(())))
}

/// Requests as an acceptor makes them, before the clock starts.
fn requests(peer: &PeerIdentity) -> Vec<Request<()>> {
    let request = || {
        let mut request = Request::new(());
        request.extensions_mut().insert(peer.clone());
        request
    };
    (0..REQUESTS).map(|_| request()).collect()
}

fn timed(
    service: &mut impl Service<Request<()>, Response = Response<()>>,
    peer: &PeerIdentity,
) -> Duration {
    let requests = requests(peer);
    let begun = Instant::now();
    for request in requests {
        call(service, request);
    }
    begun.elapsed()
}

/// Allocations for one request, on average.
fn allocations(
    service: &mut impl Service<Request<()>, Response = Response<()>>,
    peer: &PeerIdentity,
) -> f64 {
    let requests = requests(peer);
    let counted = allocation_counter::measure(|| {
        for request in requests {
            call(service, request);
        }
    });
    counted.count_total as f64 / f64::from(REQUESTS)
}

fn call(service: &mut impl Service<Request<()>, Response = Response<()>>, request: Request<()>) {
    let mut answered = pin!(service.call(black_box(request)));
    match answered
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(response)) => assert!(black_box(response).status().is_success()),
        Poll::Ready(Err(_)) | Poll::Pending => panic!("the service answers at once"),
    }
}
