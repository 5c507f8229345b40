//! Steady traffic while SVIDs rotate on both sides.

use std::fmt;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use spiffe_devkit::Agent;
use spiffe_source::Source;
use tokio::sync::watch;

use crate::BoxError;
use crate::callers::{Answer, Caller, NEW_ORDER};

const ROTATIONS: usize = 5;
const LONGEST: Duration = Duration::from_secs(25);
const PACE: Duration = Duration::from_millis(10);

/// What h2 says of a request that crosses the farewell of a connection which its server retires ahead
/// of an identity's end: an HTTP/2 client asks again, and so do these callers, once.
const RETIRED: &str = "not a result of an error";

pub(crate) struct Report {
    rotations: usize,
    requests: usize,
    again: usize,
    failures: Vec<String>,
    took: Duration,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.rotations >= ROTATIONS && self.requests > 0 && self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rotations {}, requests {}, failed {}",
            self.rotations,
            self.requests,
            self.failures.len()
        )?;
        if self.again > 0 {
            write!(f, ", asked again {}", self.again)?;
        }
        write!(
            f,
            "  ({:.1} s over HTTP and gRPC, kept and fresh connections)",
            self.took.as_secs_f32()
        )?;
        for failure in self.failures.iter().take(5) {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Grpc,
    FreshConnections,
}

/// Calls without pause until the server's SVID has rotated often enough.
pub(crate) async fn until_rotated(
    agent: &Agent,
    port: u16,
    server: Source,
) -> Result<Report, BoxError> {
    let begin = Instant::now();
    let (enough, stop) = watch::channel(false);
    let mut callers = Vec::new();
    for kind in [Kind::Http, Kind::Grpc, Kind::FreshConnections] {
        let caller = Caller::start(agent, "payment-processor", port).await?;
        callers.push(tokio::spawn(call(kind, caller, stop.clone())));
    }
    let rotations = count_rotations(server).await;
    enough.send_replace(true);
    let mut report = Report {
        rotations,
        requests: 0,
        again: 0,
        failures: Vec::new(),
        took: begin.elapsed(),
    };
    for caller in callers {
        let (requests, again, failures) = caller.await?;
        report.requests += requests;
        report.again += again;
        report.failures.extend(failures);
    }
    Ok(report)
}

async fn count_rotations(mut source: Source) -> usize {
    let serial = |source: &Source| {
        source
            .snapshot()
            .svid()
            .map(|svid| svid.verified().serial().to_owned())
    };
    let mut last = serial(&source);
    let mut rotations = 0;
    let counting = async {
        while rotations < ROTATIONS && source.changed().await.is_ok() {
            let now = serial(&source);
            if now != last {
                rotations += 1;
                last = now;
            }
        }
    };
    let _ = tokio::time::timeout(LONGEST, counting).await;
    rotations
}

async fn call(
    kind: Kind,
    mut caller: Caller,
    stop: watch::Receiver<bool>,
) -> (usize, usize, Vec<String>) {
    let (mut requests, mut again) = (0, 0);
    let mut failures = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    while !*stop.borrow() {
        pace.tick().await;
        requests += 1;
        let mut outcome = ask(kind, &mut caller).await;
        if outcome.as_ref().is_err_and(|why| why.contains(RETIRED)) {
            again += 1;
            outcome = ask(kind, &mut caller).await;
        }
        failures.extend(outcome.err());
    }
    (requests, again, failures)
}

async fn ask(kind: Kind, caller: &mut Caller) -> Result<(), String> {
    let answer = match kind {
        Kind::Http => caller.http(Method::POST, "/orders", NEW_ORDER).await,
        Kind::Grpc => caller.grpc().await,
        Kind::FreshConnections => {
            caller.forget_connections();
            caller.http(Method::GET, "/healthz", "").await
        }
    };
    match answer {
        Ok(
            Answer::Http(StatusCode::OK | StatusCode::CREATED, _)
            | Answer::Grpc(tonic::Code::Ok, _),
        ) => Ok(()),
        Ok(Answer::Http(status, _)) => Err(status.to_string()),
        Ok(Answer::Grpc(code, why)) => Err(format!("{code}: {why}")),
        Ok(Answer::Refused(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}
