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

pub(crate) struct Report {
    rotations: usize,
    requests: usize,
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
        failures: Vec::new(),
        took: begin.elapsed(),
    };
    for caller in callers {
        let (requests, failures) = caller.await?;
        report.requests += requests;
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

async fn call(kind: Kind, mut caller: Caller, stop: watch::Receiver<bool>) -> (usize, Vec<String>) {
    let mut requests = 0;
    let mut failures = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    while !*stop.borrow() {
        pace.tick().await;
        let answer = match kind {
            Kind::Http => caller.http(Method::POST, "/orders", NEW_ORDER).await,
            Kind::Grpc => caller.grpc().await,
            Kind::FreshConnections => {
                caller.forget_connections();
                caller.http(Method::GET, "/healthz", "").await
            }
        };
        requests += 1;
        match answer {
            Ok(
                Answer::Http(StatusCode::OK | StatusCode::CREATED, _)
                | Answer::Grpc(tonic::Code::Ok, _),
            ) => {}
            Ok(Answer::Http(status, _)) => failures.push(status.to_string()),
            Ok(Answer::Grpc(code, _)) => failures.push(code.to_string()),
            Ok(Answer::Refused(why)) => failures.push(why),
            Err(error) => failures.push(error.to_string()),
        }
    }
    (requests, failures)
}
