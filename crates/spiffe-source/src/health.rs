//! What a probe asks, as a small axum router.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::source::Source;
use crate::status::{State, Status};

/// A router with two routes for the probes of an orchestrator:
///
/// - `/live` answers 200 as long as the source has not been closed. A process whose agent is away is
///   alive: to restart it would mend nothing.
/// - `/ready` answers 200 where a handshake would work, and 503 otherwise.
///
/// The body is the name of the state and nothing else: whoever can reach the probes learns neither
/// identities nor errors. Serve it on a port of its own, since a probe has no SVID.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> std::io::Result<()> {
/// let probes = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
/// axum::serve(probes, spiffe_source::health(source)).await
/// # }
/// ```
pub fn health(source: Source) -> Router {
    let live = source.clone();
    Router::new()
        .route(
            "/live",
            get(async move || answer(&live.status(), |status| status.state() != State::Closed)),
        )
        .route(
            "/ready",
            get(async move || answer(&source.status(), Status::is_ready)),
        )
}

fn answer(status: &Status, is_well: impl FnOnce(&Status) -> bool) -> (StatusCode, &'static str) {
    let code = if is_well(status) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, status.state().as_str())
}
