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
        self.life.connected(self.is_http2)
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
    assert_eq!(call_that_is_lost(Method::GET, "").await, (true, 2));
    assert_eq!(call_that_is_lost(Method::POST, "order").await, (true, 2));
    // Nobody can tell whether the server has had it.
    assert_eq!(call_that_is_lost(Method::POST, "").await, (false, 1));
}
