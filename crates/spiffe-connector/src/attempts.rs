//! One call, in as many attempts as it takes.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
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
        // The connection may have begun to send the head at the moment at which it was closed.
        let is_harmless = || head.method.is_idempotent() || again.is_unsent();
        let comes_again = error.is_unprocessed()
            || (error.is_left_waiting() && begun.elapsed() < limits.connection)
            || (error.was_in_line() && is_harmless());
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
    let is_idempotent = request.method().is_idempotent();
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
        if is_idempotent || sent.is_unsent() {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::rt::Executor;
    use hyper_util::client::legacy::connect::{Connected, Connection};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tower_service::Service;

    use super::*;

    type Boxed = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    struct Pipe {
        guarded: TokioIo<DuplexStream>,
        life: Life,
        is_http2: bool,
    }

    crate::guarded::reads_and_writes!(Pipe);

    impl Connection for Pipe {
        fn connected(&self) -> Connected {
            let connected = Connected::new().extra(self.life.clone());
            if self.is_http2 {
                connected.negotiated_h2()
            } else {
                connected
            }
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            self.life.close();
        }
    }

    /// Connects to a server that closes its first connection, and answers on the others.
    #[derive(Clone, Default)]
    struct Pipes(Arc<AtomicUsize>);

    impl Service<Uri> for Pipes {
        type Response = Pipe;
        type Error = std::io::Error;
        type Future = std::future::Ready<std::io::Result<Pipe>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(far).await.unwrap();
                if is_first {
                    return;
                }
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            });
            std::future::ready(Ok(Pipe {
                guarded: TokioIo::new(near),
                life: Life::new(),
                is_http2: true,
            }))
        }
    }

    /// Never comes to the task that hands requests to the first connection: so it is with one that is
    /// handed over while that task ends.
    #[derive(Clone, Default)]
    struct LosesRequests(Arc<Mutex<Vec<Boxed>>>);

    impl Executor<Boxed> for LosesRequests {
        fn execute(&self, task: Boxed) {
            const HANDS_REQUESTS_OVER: usize = 1;
            let mut kept = self.0.lock().unwrap();
            if kept.len() == HANDS_REQUESTS_OVER {
                kept.push(task);
                return;
            }
            kept.push(Box::pin(std::future::ready(())));
            tokio::spawn(task);
        }
    }

    async fn call_that_is_lost(method: http::Method, body: &'static str) -> (bool, usize) {
        let pipes = Pipes::default();
        let mut builder = Client::builder(LosesRequests::default());
        let client = builder.http2_only(true).build(pipes.clone());
        let request = Request::builder().method(method).uri("https://server/");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let limits = Limits {
            connection: Duration::from_secs(60),
            head: None,
            overall: None,
        };
        let called = timeout(FAR, call(&client, request, limits));
        let called = called.await.expect("it does not wait for ever");
        (called.is_ok(), pipes.0.load(Ordering::SeqCst))
    }

    /// Speaks HTTP/1.1, and leaves the other ends of its connections to the test. Each but the first takes
    /// its time.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<DuplexStream>>>);

    impl Slow {
        /// Answers on the last connection, and gives its other end.
        async fn answers(&self) -> DuplexStream {
            sleep(Duration::from_millis(1)).await;
            let mut end = self.0.lock().unwrap().pop().unwrap();
            end.read_u8().await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            end.write_all(answer).await.unwrap();
            end
        }
    }

    impl Service<Uri> for Slow {
        type Response = Pipe;
        type Error = std::io::Error;
        type Future = std::pin::Pin<Box<dyn Future<Output = std::io::Result<Pipe>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let mut ends = self.0.lock().unwrap();
            ends.push(far);
            let takes = if ends.len() == 1 { 0 } else { 4 };
            Box::pin(async move {
                sleep(AFTERMATH * takes).await;
                Ok(Pipe {
                    guarded: TokioIo::new(near),
                    life: Life::new(),
                    is_http2: false,
                })
            })
        }
    }

    /// The pool notices that a connection is gone, and makes another.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_never_sent_waits_for_another_connection() {
        let slow = Slow::default();
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build(slow.clone());
        let limits = Limits {
            connection: Duration::from_secs(60),
            head: None,
            overall: None,
        };
        let post = || {
            let request = Request::post("https://server/");
            let request = request.body(Full::new(Bytes::new())).unwrap();
            timeout(FAR, call(&client, request, limits))
        };
        let (called, first) = tokio::join!(post(), slow.answers());
        called.unwrap().unwrap();
        sleep(Duration::from_millis(1)).await;
        let (unused, _) = tokio::io::duplex(1);
        slow.0.lock().unwrap().push(unused);
        // It is idle, and closed before its client can notice.
        drop(first);
        let (called, _second) = tokio::join!(post(), slow.answers());
        called.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_its_connection_has_lost_is_sent_on_another() {
        use http::Method;
        assert_eq!(call_that_is_lost(Method::GET, "").await, (true, 2));
        assert_eq!(call_that_is_lost(Method::POST, "order").await, (true, 2));
        // Nobody can tell whether the server has had it.
        assert_eq!(call_that_is_lost(Method::POST, "").await, (false, 1));
    }
}
