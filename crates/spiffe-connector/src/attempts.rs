//! One call, in as many attempts as it takes.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, Connect, capture_connection};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::call_error::{CallError, CallFailure};
use crate::http_client::BoxError;
use crate::life::{self, Life};
use crate::replay::{Again, Replay};
use crate::settings::{FAR, Settings};

#[cfg(test)]
mod tests;

/// How often a request is sent again that the server has left unprocessed.
const MAX_RETRIES: usize = 3;

/// What a dial and a handshake may take together beyond their own timeouts.
const LEAVE_BEHIND: Duration = Duration::from_secs(2);

/// A connection that is closed leaves no request without a word, but one: hyper can lose what is handed
/// to it in that very moment (hyper#4122). Silence for so long means that.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connection: Duration,
    pub(crate) head: Option<Duration>,
    pub(crate) overall: Option<Duration>,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        let connection = [
            settings.dial_timeout,
            settings.handshake_timeout,
            LEAVE_BEHIND,
        ];
        let sum = connection
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add);
        Self {
            connection: sum.min(FAR),
            head: settings.response_header_timeout.map(|head| head.min(FAR)),
            overall: settings.overall_timeout.map(|overall| overall.min(FAR)),
        }
    }
}

/// Sends a request until the server takes it, or for good leaves it.
pub(crate) async fn call<B, C>(
    client: &Client<C, Replay<B>>,
    request: Request<B>,
    limits: Limits,
) -> Result<Response<Incoming>, CallError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    C: Connect + Clone + Send + Sync + 'static,
{
    let (mut head, body) = request.into_parts();
    leave_user_out(&mut head.uri);
    let mut body = Replay::new(body);
    let again = body.again();
    let begun = Instant::now();
    let mut retries = 0;
    loop {
        let mut request = Request::from_parts(head.clone(), body);
        let captured = capture_connection(&mut request);
        let error = match attempt(client, request, &captured, &again, limits).await {
            Ok(response) => {
                again.is_taken();
                return Ok(response);
            }
            Err(error) => error,
        };
        let comes_again = error.is_unprocessed()
            || (error.is_left_waiting() && begun.elapsed() < limits.connection)
            || (error.was_in_line() && may_come_twice(&head.method, &again));
        if retries == MAX_RETRIES || !comes_again {
            return Err(error);
        }
        body = match again.body() {
            Some(body) => body,
            None => return Err(error),
        };
        retries += 1;
        tracing::debug!(target: "spiffe_connector", retries, %error, "a request was left unprocessed, and is sent again");
        // The pool may not have noticed yet.
        if error.is_goodbye() || error.was_in_line() {
            life::poison(&captured);
        }
    }
}

/// A user and a password are nobody's business here, and HTTP/2 would send them with the authority.
fn leave_user_out(uri: &mut Uri) {
    let authority = uri.authority().map_or("", Authority::as_str);
    let Some((_, without_user)) = authority.rsplit_once('@') else {
        return;
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = without_user.parse().ok();
    // Without a host it is left as it is, and nobody is dialled.
    if let Ok(without_user) = Uri::from_parts(parts) {
        *uri = without_user;
    }
}

async fn attempt<B, C>(
    client: &Client<C, Replay<B>>,
    request: Request<Replay<B>>,
    captured: &CaptureConnection,
    sent: &Again<B>,
    limits: Limits,
) -> Result<Response<Incoming>, CallError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    C: Connect + Clone + Send + Sync + 'static,
{
    let method = request.method().clone();
    let mut response = pin!(client.request(request));
    let connected = {
        let mut captured = captured.clone();
        async move {
            captured.wait_for_connection_metadata().await;
        }
    };
    let early = tokio::select! {
        biased;
        response = &mut response => Some(response),
        connected = timeout(limits.connection, connected) => {
            connected.map_err(|_| CallFailure::NoConnection(limits.connection))?;
            None
        }
    };
    // Learned before the response comes: a stream may last longer than the connection may.
    pooled(captured);
    let overdue = async {
        match limits.head {
            Some(head) => {
                overdue(sent, Instant::now(), head).await;
                CallFailure::NoHead(head)
            }
            None => std::future::pending().await,
        }
    };
    // One that was never sent may wait for another connection, and its pool does not tell. Where it cannot be
    // sent again, that has its time.
    let patience = || {
        if may_come_twice(&method, sent) {
            AFTERMATH
        } else {
            limits.connection
        }
    };
    let response = match early {
        Some(response) => response,
        None => tokio::select! {
            biased;
            response = &mut response => response,
            failure = overdue => return Err(failure.into()),
            () = lost(captured, patience) => return Err(CallFailure::Lost.into()),
        },
    };
    let mut response = response.map_err(CallFailure::Client)?;
    // The pool may have taken another connection meanwhile, in place of one that has just been closed.
    if let Some(life) = response.extensions_mut().remove::<Life>() {
        life.is_pooled_as(captured);
    }
    Ok(response)
}

/// Resolves when the whole request has been with the server for so long. As long as it is being sent,
/// nobody can expect a response.
async fn overdue<B>(sent: &Again<B>, connected: Instant, head: Duration) {
    let mut due = connected + head;
    loop {
        sleep_until(due).await;
        let since = sent.sent_at().map(|sent_at| sent_at.max(connected));
        due = match since {
            None => Instant::now() + head,
            Some(since) if since + head > Instant::now() => since + head,
            Some(_) => return,
        };
    }
}

/// Whether nobody is harmed by a request whose connection may have begun to send its head at the moment
/// at which it was closed.
fn may_come_twice<B>(method: &Method, again: &Again<B>) -> bool {
    method.is_idempotent() || again.is_unsent()
}

/// Resolves once the connection that a request was given to is closed, and has left the request
/// without a word. The pool may have given the request to another meanwhile.
async fn lost(captured: &CaptureConnection, patience: impl Fn() -> Duration) {
    let Some(mut life) = pooled(captured) else {
        return std::future::pending().await;
    };
    loop {
        life.closed().await;
        sleep(patience()).await;
        match pooled(captured) {
            Some(other) if !other.is(&life) => life = other,
            _ => return,
        }
    }
}

/// The life of the connection that a request was given to, which learns of its pool by the first.
fn pooled(captured: &CaptureConnection) -> Option<Life> {
    let life = captured.connection_metadata().as_ref().and_then(life::of)?;
    life.is_pooled_as(captured);
    Some(life)
}
