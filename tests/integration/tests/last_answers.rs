//! A connection that comes for one answer, goes on as something else, or is told goodbye: everything
//! that is written arrives, whatever the request, the application and the peer's pace are like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::routing::any;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::TokioIo;
use integration::client::{Dialer, read_until};
use integration::frames::{ACK, END_HEADERS, END_STREAM, PREFACE, frame, frames, get_root, kind};
use integration::{agent, listen, source};
use spiffe_acceptor::{Acceptor, Incoming, ServeError, Stream, serve};
use spiffe_devkit::Agent;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(20);

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} never comes"))
}

/// Connections of as many bytes as a test wants in flight.
struct Pipes(mpsc::Receiver<DuplexStream>);

impl Incoming for Pipes {
    type Io = DuplexStream;
    type Address = u8;

    async fn accept(&mut self) -> io::Result<(DuplexStream, u8)> {
        match self.0.recv().await {
            Some(pipe) => Ok((pipe, 0)),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<u8> {
        Ok(0)
    }
}

fn switching() -> Response<Body> {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Body::empty())
        .unwrap()
}

async fn upgrades_to_an_echo(connection: &str) {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let echo = async |request: Request<Body>| {
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let mut heard = [0; 4];
            io.read_exact(&mut heard).await.unwrap();
            io.write_all(&heard).await.unwrap();
            io.flush().await.unwrap();
        });
        switching()
    };
    let app = Router::new().route("/", any(echo));
    tokio::spawn(serve(listener, app).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut io = dialer.dial(port, "http/1.1").await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{connection}upgrade: echo\r\n\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    let head = in_time("the answer", read_until(&mut io, "\r\n\r\n")).await;
    let head = head.unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    io.write_all(b"ping").await.unwrap();
    let echo = in_time("the echo", read_until(&mut io, "ping")).await;
    assert_eq!(echo.unwrap(), "ping");
}

#[tokio::test]
async fn a_connection_that_is_upgraded_goes_on() {
    upgrades_to_an_echo("connection: upgrade\r\n").await;
}

#[tokio::test]
async fn a_connection_that_is_upgraded_goes_on_although_it_said_close() {
    upgrades_to_an_echo("connection: close\r\n").await;
}

#[tokio::test]
async fn a_connection_that_is_upgraded_goes_on_although_it_said_close_in_a_line_of_its_own() {
    upgrades_to_an_echo("connection: close\r\nconnection: upgrade\r\n").await;
}

/// Sizes below, at and above what is sent at a time, in an order that the seed decides.
fn sizes(seed: usize) -> Vec<usize> {
    const SIZES: [usize; 8] = [1, 17, 900, 4000, 4096, 4100, 9000, 20_000];
    let size = |index: usize| SIZES[(index * (2 * seed + 1) + index * index / 2 + seed) % 8];
    (0..40).map(size).collect()
}

fn parts(seed: usize) -> impl Iterator<Item = Vec<u8>> {
    let letters = (b'a'..=b'z').cycle();
    let parts = sizes(seed).into_iter().zip(letters);
    parts.map(|(size, letter)| vec![letter; size])
}

async fn answer_in_parts(Path(seed): Path<usize>, body: Bytes) -> Body {
    assert_eq!(body, "hello");
    let parts = stream::iter(parts(seed).enumerate());
    Body::from_stream(parts.then(async |(index, part)| {
        // Some come at once, some only when the connection is polled again.
        if index % 3 == 0 {
            tokio::task::yield_now().await;
        }
        Ok::<_, Infallible>(Bytes::from(part))
    }))
}

fn without_chunks(mut chunked: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = chunked.windows(2).position(|it| it == b"\r\n").unwrap();
        let size = std::str::from_utf8(&chunked[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = &chunked[end + 2..];
        if size == 0 {
            assert_eq!(chunk, b"\r\n");
            return whole;
        }
        whole.extend_from_slice(&chunk[..size]);
        chunked = &chunk[size + 2..];
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_to_a_slow_reader() {
    let agent = agent().start().await.unwrap();
    let (pipes, receiver) = mpsc::channel(1);
    let acceptor = Acceptor::builder(source(&agent, "server", &[]).await);
    let listener = acceptor.listen(Pipes(receiver)).unwrap();
    let app = Router::new().route("/{seed}", any(answer_in_parts));
    tokio::spawn(serve(listener, app).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    for bytes_in_flight in [64, 100, 1000, 4096, 10_000, 70_000] {
        for seed in 0..4 {
            let (near, far) = tokio::io::duplex(bytes_in_flight);
            pipes.send(far).await.unwrap();
            let mut io = dialer.over(near, "http/1.1").await.unwrap();
            let is_last = seed % 2 == 0;
            let asks_first = seed < 2;
            let close = if is_last { "connection: close\r\n" } else { "" };
            let expect = if asks_first {
                "expect: 100-continue\r\n"
            } else {
                ""
            };
            let head = format!(
                "POST /{seed} HTTP/1.1\r\nhost: localhost\r\n{close}{expect}content-length: 5\r\n\r\n"
            );
            io.write_all(head.as_bytes()).await.unwrap();
            io.flush().await.unwrap();
            if asks_first {
                let go_on = in_time("100", read_until(&mut io, "\r\n\r\n")).await;
                assert_eq!(go_on.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
            }
            io.write_all(b"hello").await.unwrap();
            io.flush().await.unwrap();
            let mut answer = Vec::new();
            let mut part = vec![0; 333];
            while is_last || !answer.ends_with(b"\r\n0\r\n\r\n") {
                // An end without a close_notify would be an error.
                let read = in_time("the rest", io.read(&mut part)).await.unwrap();
                answer.extend_from_slice(&part[..read]);
                if read == 0 {
                    break;
                }
            }
            let head = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
            let body = without_chunks(&answer[head + 4..]);
            let sent = parts(seed).collect::<Vec<_>>().concat();
            assert!(body == sent, "{bytes_in_flight} in flight, {seed}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    Never,
    WhenAskedWhetherItIsReady,
    WhenAskedAgain,
    WhenCalled,
    AtWork,
}

/// It is ready when it is asked for the third time, and panics where it is told to.
#[derive(Clone)]
struct Moody {
    asked: usize,
    panics: Panics,
}

impl tower::Service<Request<RequestBody>> for Moody {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked += 1;
        assert!(self.asked != 1 || self.panics != Panics::WhenAskedWhetherItIsReady);
        assert!(self.asked != 2 || self.panics != Panics::WhenAskedAgain);
        if self.asked == 3 {
            return Poll::Ready(Ok(()));
        }
        let waker = cx.waker().clone();
        tokio::spawn(async move { waker.wake() });
        Poll::Pending
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert_eq!(self.asked, 3, "it is called when it is ready");
        assert_ne!(self.panics, Panics::WhenCalled);
        let panics = self.panics;
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert_ne!(panics, Panics::AtWork);
            Ok(Response::new(Body::from("done")))
        })
    }
}

#[tokio::test]
async fn an_application_that_waits_or_panics_answers_and_the_connection_goes_on() {
    let agent = agent().start().await.unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    for panics in [
        Panics::Never,
        Panics::WhenAskedWhetherItIsReady,
        Panics::WhenAskedAgain,
        Panics::WhenCalled,
        Panics::AtWork,
    ] {
        let (listener, port) = listen(&agent).await;
        let app = Moody { asked: 0, panics };
        tokio::spawn(serve(listener, app).into_future());
        let right = match panics {
            Panics::Never => ("1.1 200 OK", "done"),
            _ => ("1.1 500 Internal Server Error", ""),
        };
        // One connection for three answers, and one for a last answer that is the first.
        for last in [3, 1] {
            let mut io = dialer.dial(port, "http/1.1").await.unwrap();
            for number in 1..last {
                let get = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
                io.write_all(get).await.unwrap();
                let end = format!("\r\n\r\n{}", right.1);
                let answer = in_time("an answer", read_until(&mut io, &end)).await;
                let answer = answers(&answer.unwrap());
                let right = (right.0.to_owned(), false, right.1.to_owned());
                assert_eq!(answer, [right], "{panics:?}, {number}");
            }
            let get = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            io.write_all(get).await.unwrap();
            let answer = answers(&rest(&mut io).await);
            let right = (right.0.to_owned(), true, right.1.to_owned());
            assert_eq!(answer, [right], "{panics:?}, the last of {last}");
        }
    }
}

/// What comes until the other end closes, which it has to do with a close_notify.
async fn rest(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = Vec::new();
    in_time("an end", io.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8(rest).unwrap()
}

/// Version and status, whether it says that the connection ends, and the body.
fn answers(text: &str) -> Vec<(String, bool, String)> {
    let answer = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let closes = head.lines().any(|line| line == "connection: close");
        let status = head.lines().next().unwrap();
        (status.to_owned(), closes, body.to_owned())
    };
    let mut parts = text.split("HTTP/");
    assert_eq!(parts.next(), Some(""), "{text}");
    parts.map(answer).collect()
}

/// A body that ends before its end.
async fn broken() -> Body {
    let parts = [Ok("part"), Ok("part"), Err(io::Error::other("broken"))];
    Body::from_stream(stream::iter(parts).then(async |part| {
        tokio::task::yield_now().await;
        part
    }))
}

#[tokio::test]
async fn odd_requests_get_their_answers_and_an_end() {
    const WHOLE: (&str, bool, &str) = ("1.1 200 OK", false, "whole");
    const LAST: (&str, bool, &str) = ("1.1 200 OK", true, "whole");
    const OLD: (&str, bool, &str) = ("1.0 200 OK", false, "whole");
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let app = Router::new().route("/", any(async || "whole"));
    let app = app.route("/broken", any(broken));
    tokio::spawn(serve(listener, app).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let rows: [(&str, &[_]); 10] = [
        ("GET / HTTP/1.0\r\n\r\n", &[OLD]),
        ("GET / HTTP/1.0\r\nconnection: close\r\n\r\n", &[OLD]),
        (
            "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[WHOLE, LAST],
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            &[LAST],
        ),
        // The body that is announced never comes, and nobody reads it.
        (
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 100000\r\n\r\nxxx",
            &[LAST],
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n",
            &[LAST],
        ),
        (
            "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[("1.1 200 OK", true, "")],
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[("1.1 404 Not Found", true, "")],
        ),
        // What has been made is sent, and the last chunk, which would say that it is all, is not.
        (
            "GET /broken HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[("1.1 200 OK", true, "4\r\npart\r\n4\r\npart\r\n")],
        ),
        ("bad\r\n\r\n", &[("1.1 400 Bad Request", true, "")]),
    ];
    for (request, right) in rows {
        let mut io = dialer.dial(port, "http/1.1").await.unwrap();
        io.write_all(request.as_bytes()).await.unwrap();
        let answers = answers(&rest(&mut io).await);
        let answers = answers
            .iter()
            .map(|(status, closes, body)| (&**status, *closes, &**body));
        assert_eq!(answers.collect::<Vec<_>>(), right, "{request}");
    }
}

type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Tells when there is nothing to read.
async fn read_to_the_error(mut reader: ReadHalf<Upgraded>, waits: mpsc::Sender<()>) -> io::Error {
    let read = poll_fn(|cx| {
        let mut byte = [0];
        let polled = Pin::new(&mut reader).poll_read(cx, &mut ReadBuf::new(&mut byte));
        if polled.is_pending() {
            let _ = waits.try_send(());
        }
        polled
    });
    unconstrained(read).await.expect_err("nobody writes")
}

/// Tells when there is no room for more.
async fn write_to_the_error(mut writer: WriteHalf<Upgraded>, waits: mpsc::Sender<()>) -> io::Error {
    let written = poll_fn(|cx| {
        loop {
            match Pin::new(&mut writer).poll_write(cx, &[0; 10_000]) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => {
                    let _ = waits.try_send(());
                    return Poll::Pending;
                }
            }
        }
    });
    unconstrained(written).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_halves_of_an_upgraded_connection_end_in_their_own_tasks() {
    let agent = agent().start().await.unwrap();
    let (pipes, receiver) = mpsc::channel(1);
    let acceptor = Acceptor::builder(source(&agent, "server", &[]).await);
    let listener = acceptor.listen(Pipes(receiver)).unwrap();
    let (reader_waits, mut reader_waiting) = mpsc::channel(1);
    let (writer_waits, mut writer_waiting) = mpsc::channel(1);
    let (ended, mut ends) = mpsc::channel(2);
    let upgrade = async move |request: Request<Body>| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
            let also_ended = ended.clone();
            tokio::spawn(async move {
                let error = read_to_the_error(reader, reader_waits).await;
                ended.send(error.kind()).await.unwrap();
            });
            tokio::spawn(async move {
                let error = write_to_the_error(writer, writer_waits).await;
                also_ended.send(error.kind()).await.unwrap();
            });
        });
        switching()
    };
    let app = Router::new().route("/", any(upgrade));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(listener, app)
        .with_graceful_shutdown(async { drop(stopped.await) })
        .drain_within(Duration::from_millis(100));
    let server = tokio::spawn(server.into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let (near, far) = tokio::io::duplex(4096);
    pipes.send(far).await.unwrap();
    let mut io = dialer.over(near, "http/1.1").await.unwrap();
    let head = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    io.write_all(head).await.unwrap();
    io.flush().await.unwrap();
    let mut head = [0; 12];
    io.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    in_time("a wait", reader_waiting.recv()).await.unwrap();
    in_time("a full pipe", writer_waiting.recv()).await.unwrap();
    stop.send(()).unwrap();
    for _ in 0..2 {
        let kind = in_time("an end", ends.recv()).await.unwrap();
        assert_eq!(kind, io::ErrorKind::ConnectionAborted);
    }
    let error = in_time("the end of the server", server).await.unwrap();
    let error = error.expect_err("a connection was cut");
    assert_eq!(error.connections_cut(), 1);
}

/// A server over pipes, and how it is stopped.
async fn over_pipes(
    agent: &Agent,
    drain: Duration,
) -> (
    mpsc::Sender<DuplexStream>,
    oneshot::Sender<()>,
    JoinHandle<Result<(), ServeError>>,
) {
    let (pipes, receiver) = mpsc::channel(1);
    let acceptor = Acceptor::builder(source(agent, "server", &[]).await);
    let listener = acceptor.listen(Pipes(receiver)).unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = serve(listener, Router::new().route("/", any(async || "whole")))
        .drain_within(drain)
        .with_graceful_shutdown(async {
            let _ = stopped.await;
        });
    (pipes, stop, tokio::spawn(server.into_future()))
}

/// Reads whole frames until there is one of this kind; gives its payload.
async fn frame_of<IO: AsyncRead + Unpin>(io: &mut IO, read: &mut Vec<u8>, of: u8) -> Vec<u8> {
    loop {
        let found = frames(read).into_iter().find(|(kind, ..)| *kind == of);
        if let Some((.., payload)) = found {
            return payload.to_vec();
        }
        assert_ne!(in_time("a frame", io.read_buf(read)).await.unwrap(), 0);
    }
}

fn request(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &get_root())
}

/// A client over HTTP/2 that has had its answer and then the server's goodbye: its end of the connection,
/// what it has read, and the server, which stops.
async fn told_goodbye(
    agent: &Agent,
    drain: Duration,
) -> (
    TlsStream<DuplexStream>,
    Vec<u8>,
    JoinHandle<Result<(), ServeError>>,
) {
    let dialer = Dialer::new(agent, "allowed").await;
    let (pipes, stop, server) = over_pipes(agent, drain).await;
    let (near, far) = tokio::io::duplex(1024);
    pipes.send(far).await.unwrap();
    let mut io = dialer.over(near, "h2").await.unwrap();
    let settings = frame(kind::SETTINGS, 0, 0, &[]);
    let hello = [PREFACE, &settings, &request(1)].concat();
    io.write_all(&hello).await.unwrap();
    let mut read = Vec::new();
    frame_of(&mut io, &mut read, kind::HEADERS).await;
    stop.send(()).unwrap();
    let ping = frame_of(&mut io, &mut read, kind::PING).await;
    io.write_all(&frame(kind::PING, ACK, 0, &ping))
        .await
        .unwrap();
    in_time("an end", io.read_to_end(&mut read)).await.unwrap();
    (io, read, server)
}

/// Where a socket is closed that still receives, the reset overtakes the goodbye.
#[tokio::test]
async fn a_goodbye_arrives_although_its_peer_goes_on_sending() {
    let agent = agent().start().await.unwrap();
    let (mut io, read, server) = told_goodbye(&agent, PATIENCE).await;
    let mut goodbyes = frames(&read)
        .into_iter()
        .filter(|(kind, ..)| *kind == kind::GOAWAY);
    let (.., last) = goodbyes.next_back().unwrap();
    assert_eq!(last[..4], [0, 0, 0, 1], "the last that was taken");
    // It has noticed nothing yet, and asks for more.
    let late: Vec<u8> = (3..200).step_by(2).flat_map(request).collect();
    in_time("somebody who reads", io.write_all(&late))
        .await
        .unwrap();
    // And once it has gone, nobody waits any more.
    drop(io);
    let stopped = in_time("the server's end", server).await;
    stopped.unwrap().unwrap();
}

#[tokio::test]
async fn who_has_been_told_goodbye_and_stays_does_not_count_as_cut() {
    let agent = agent().start().await.unwrap();
    // Less than it is waited for. A loaded machine may need more to come so far, and then it is a cut.
    let drain = Duration::from_millis(800);
    for _ in 0..5 {
        let (_stays, _, server) = told_goodbye(&agent, drain).await;
        let stopped = in_time("the server's end", server).await;
        if stopped.unwrap().is_ok() {
            return;
        }
    }
    panic!("nothing was in flight, and each time something was cut");
}

/// Hands on what comes from the server, and the first that comes from the client. The rest of it waits
/// for `go_on`.
async fn held_back(
    client: DuplexStream,
    server: DuplexStream,
    reached: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let onwards = async {
        let mut first = vec![0; 16 * 1024];
        let read = from_client.read(&mut first).await.unwrap();
        to_server.write_all(&first[..read]).await.unwrap();
        let read = from_client.read(&mut first).await.unwrap();
        reached.send(()).unwrap();
        go_on.await.unwrap();
        to_server.write_all(&first[..read]).await.unwrap();
        tokio::io::copy(&mut from_client, &mut to_server).await
    };
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    let _ = tokio::join!(onwards, back);
}

#[tokio::test]
async fn who_shakes_hands_when_the_server_stops_is_told_so_by_http() {
    let agent = agent().start().await.unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    let (pipes, stop, server) = over_pipes(&agent, PATIENCE).await;
    let (near, client) = tokio::io::duplex(16 * 1024);
    let (far, accepted) = tokio::io::duplex(16 * 1024);
    let ((reached, has_reached), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
    tokio::spawn(held_back(client, far, reached, goes_on));
    pipes.send(accepted).await.unwrap();
    let client = tokio::spawn(async move {
        let mut io = dialer.over(near, "h2").await?;
        let settings = frame(kind::SETTINGS, 0, 0, &[]);
        let hello = [PREFACE, &settings, &request(1)].concat();
        io.write_all(&hello).await?;
        let mut read = Vec::new();
        frame_of(&mut io, &mut read, kind::GOAWAY).await;
        io::Result::Ok(())
    });
    in_time("the client's proof", has_reached).await.unwrap();
    stop.send(()).unwrap();
    in_time("the end of the listener", pipes.closed()).await;
    go_on.send(()).unwrap();
    in_time("a goodbye", client).await.unwrap().unwrap();
    let stopped = in_time("the server's end", server).await;
    stopped.unwrap().unwrap();
}

/// A client and a server that have settled on HTTP/2, and speak by hand.
async fn pair(
    agent: &Agent,
) -> (
    impl AsyncRead + AsyncWrite + Unpin + use<>,
    Stream<DuplexStream>,
) {
    let dialer = Dialer::new(agent, "allowed").await;
    let acceptor = Acceptor::builder(source(agent, "server", &[]).await);
    let acceptor = acceptor.build().unwrap();
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (client, server) = tokio::join!(dialer.over(near, "h2"), acceptor.accept(far));
    (client.unwrap(), server.unwrap())
}

#[tokio::test]
async fn who_reads_in_another_task_gets_everything_after_the_end_of_what_is_written() {
    let agent = agent().start().await.unwrap();
    let (mut client, server) = pair(&agent).await;
    let (mut reader, mut writer) = tokio::io::split(server);
    let reading = tokio::spawn(async move {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).await.map(|_| read)
    });
    tokio::task::yield_now().await;
    tokio::spawn(async move { writer.shutdown().await });
    let end = in_time("an end", client.read(&mut [0])).await;
    assert_eq!(end.unwrap(), 0);
    client.write_all(b"the rest").await.unwrap();
    client.shutdown().await.unwrap();
    let read = in_time("the reader's end", reading).await.unwrap();
    assert_eq!(read.unwrap(), b"the rest");
}

#[tokio::test]
async fn who_reads_after_its_peer_was_awaited_finds_an_end() {
    let agent = agent().start().await.unwrap();
    let (mut client, mut server) = pair(&agent).await;
    client.write_all(b"nobody").await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(20), server.shutdown()).await;
    assert!(waits.is_err(), "control: its peer is still there");
    client.write_all(b"reads").await.unwrap();
    let read = in_time("an end", server.read(&mut [0])).await;
    assert_eq!(read.unwrap(), 0);
}
