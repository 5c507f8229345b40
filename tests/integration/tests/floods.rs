//! Clients of HTTP/2 that send more than anybody needs, and what they get. The numbers are those of the
//! project's list of threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use integration::client::{Dialer, ask, read_until};
use integration::frames::{
    ACK, END_HEADERS, END_STREAM, PREFACE, frame, frames, get_root, kind, literal,
};
use integration::{agent, source};
use spiffe_acceptor::{Acceptor, serve};
use spiffe_devkit::Agent;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing is on its way any more when nothing has moved for so long.
const STILL: Duration = Duration::from_millis(500);
/// What each end's system may hold of a connection, in either direction. It doubles the number.
const SYSTEM: u32 = 8 * 1024;

/// How long a connection may be without a request, where nothing else is said.
const LONG: Duration = Duration::from_secs(600);

async fn listens(agent: &Agent, idle: Duration) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    // Whoever is accepted inherits these, and the system does not let them grow.
    socket.set_recv_buffer_size(SYSTEM).unwrap();
    socket.set_send_buffer_size(SYSTEM).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = Acceptor::builder(source(agent, "server", &[]).await);
    let app = Router::new().route("/", get(async || "served"));
    let server = serve(acceptor.listen(listener).unwrap(), app)
        .header_timeout(idle)
        .idle_timeout(idle)
        .drain_within(idle);
    tokio::spawn(server.into_future());
    port
}

type Io = TlsStream<TcpStream>;

/// A connection on which the client's preface and settings have been sent.
async fn http2(dialer: &Dialer, port: u16) -> Io {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SYSTEM).unwrap();
    socket.set_send_buffer_size(SYSTEM).unwrap();
    let tcp = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let mut io = dialer.over(tcp, "h2").await.unwrap();
    let hello = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat();
    io.write_all(&hello).await.unwrap();
    io
}

async fn is_served(dialer: &Dialer, port: u16) {
    let asking = async {
        let mut io = dialer.dial(port, "http/1.1").await.unwrap();
        ask(&mut io, "/").await.unwrap();
        read_until(&mut io, "served").await.unwrap();
    };
    let served = tokio::time::timeout(PATIENCE, asking).await;
    served.expect("others are served");
}

/// What the server says until it ends the connection.
async fn rest(mut io: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, io.read_to_end(&mut said));
    let _ = read.await.expect("the server ends it");
    said
}

#[tokio::test]
async fn threats_52_rapid_reset_ends_the_connection() {
    let agent = agent().start().await.unwrap();
    let port = listens(&agent, LONG).await;
    let mut io = http2(&Dialer::new(&agent, "allowed").await, port).await;
    let mut said = Vec::new();
    // A request, and never mind.
    for request in 0..200 {
        let stream = 2 * request + 1;
        said.extend(frame(kind::HEADERS, END_HEADERS, stream, &get_root()));
        said.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    io.write_all(&said).await.unwrap();
    let answer = rest(io).await;
    let mut frames = frames(&answer).into_iter();
    let calm = frames.rfind(|(kind, ..)| *kind == kind::GOAWAY);
    let (.., calm) = calm.expect("it says why");
    assert_eq!(calm[4..8], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
}

#[tokio::test]
async fn threats_53_a_flood_of_continuation_frames_ends_the_connection() {
    let agent = agent().start().await.unwrap();
    let port = listens(&agent, LONG).await;
    let io = http2(&Dialer::new(&agent, "allowed").await, port).await;
    let (reading, mut writing) = tokio::io::split(io);
    // `:method: GET`, and no end of the headers.
    let head = frame(kind::HEADERS, 0, 1, &[0x82]);
    writing.write_all(&head).await.unwrap();
    let said = tokio::spawn(rest(reading));
    let header = literal("a", &"b".repeat(120));
    let continuation = frame(kind::CONTINUATION, 0, 1, &header.repeat(32));
    let flood = async {
        let mut sent = 0;
        while sent < 64 * 1024 * 1024 && writing.write_all(&continuation).await.is_ok() {
            sent += continuation.len();
        }
        sent
    };
    let sent = tokio::time::timeout(PATIENCE, flood).await.unwrap();
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes of one head taken");
    said.await.unwrap();
}

/// Frames that a server has to answer, and about 4 KiB of them.
fn floods() -> [(u8, Vec<u8>, usize); 2] {
    const COUNT: usize = 240;
    let ping = frame(kind::PING, 0, 0, b"01234567");
    let settings = frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    [
        (kind::PING, ping.repeat(COUNT), COUNT),
        (kind::SETTINGS, settings.repeat(COUNT), COUNT),
    ]
}

/// More than a connection holds on its way there, in the server and on its way back. Of a client that
/// reads the answers, more than this is taken.
const HELD: usize = 256 * 1024;
const SENT: usize = 2 * HELD;

/// Sends until it is enough or the server takes no more, and says how much that was.
async fn flood(writing: &mut WriteHalf<Io>, burst: &[u8]) -> usize {
    let mut sent = 0;
    while sent < SENT {
        let write = tokio::time::timeout(STILL, writing.write(burst)).await;
        match write {
            Ok(Ok(count)) => sent += count,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    sent
}

/// Counts the answers to a flood up to the answer to a request on stream 1.
async fn answers(mut reading: ReadHalf<Io>, flood: u8) -> usize {
    let (mut unread, mut count) = (Vec::new(), 0);
    loop {
        let read = tokio::time::timeout(PATIENCE, reading.read_buf(&mut unread)).await;
        assert!(read.expect("it answers").unwrap() > 0, "it goes on");
        let mut whole = 0;
        for (kind, flags, payload) in frames(&unread) {
            whole += 9 + payload.len();
            count += usize::from(kind == flood && flags & ACK != 0);
            if kind == kind::HEADERS {
                return count;
            }
        }
        unread.drain(..whole);
    }
}

#[tokio::test]
async fn threats_55_a_flood_whose_answers_nobody_reads_is_not_taken() {
    let agent = agent().start().await.unwrap();
    let port = listens(&agent, LONG).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    for (kind, burst, _) in floods() {
        let (reading, mut writing) = tokio::io::split(http2(&dialer, port).await);
        let taken = flood(&mut writing, &burst).await;
        assert!(taken < HELD, "{taken} bytes of frame type {kind} taken");
        is_served(&dialer, port).await;
        drop(reading);
    }
}

#[tokio::test]
async fn threats_55_a_flood_has_one_answer_for_each_frame_and_others_are_served() {
    let agent = agent().start().await.unwrap();
    let port = listens(&agent, LONG).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    for (kind, burst, count) in floods() {
        let (reading, mut writing) = tokio::io::split(http2(&dialer, port).await);
        let answered = tokio::spawn(answers(reading, kind));
        let mut bursts = 0;
        let sending = async {
            while bursts * burst.len() < SENT {
                writing.write_all(&burst).await.unwrap();
                bursts += 1;
            }
            let flags = END_HEADERS | END_STREAM;
            let request = frame(kind::HEADERS, flags, 1, &get_root());
            writing.write_all(&request).await.unwrap();
            writing.flush().await.unwrap();
        };
        tokio::join!(sending, is_served(&dialer, port));
        let answered = answered.await.unwrap();
        // The client's first settings are answered too.
        let settings = usize::from(kind == kind::SETTINGS);
        assert_eq!(answered, bursts * count + settings, "frame type {kind}");
    }
}

#[tokio::test]
async fn threats_55_a_flood_without_a_request_keeps_no_connection() {
    let agent = agent().start().await.unwrap();
    let idle = Duration::from_millis(400);
    let port = listens(&agent, idle).await;
    let dialer = Dialer::new(&agent, "allowed").await;
    for (kind, burst, _) in floods() {
        for requests in [0, 1] {
            let (reading, mut writing) = tokio::io::split(http2(&dialer, port).await);
            let said = tokio::spawn(rest(reading));
            let request = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &get_root());
            writing.write_all(&request.repeat(requests)).await.unwrap();
            let flood = async { while writing.write_all(&burst).await.is_ok() {} };
            let ended = tokio::time::timeout(PATIENCE, flood).await;
            assert!(ended.is_ok(), "frame type {kind}, {requests} requests");
            let said = said.await.unwrap();
            let answers = frames(&said).into_iter();
            let answers = answers.filter(|(kind, ..)| *kind == kind::HEADERS);
            assert_eq!(answers.count(), requests);
        }
    }
    // Requests keep it open, for longer than it could be idle.
    let (mut requests, connection) = h2::client::handshake(dialer.dial(port, "h2").await.unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < 3 * idle {
        let request = http::Request::get("https://localhost/").body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200, "control");
        tokio::time::sleep(idle / 20).await;
    }
}
