//! Requests as gRPC's C core writes them, byte for byte: the clients of these tests would not.

use std::convert::Infallible;
use std::path::Path;

use http_body_util::Empty;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use spiffe_source::workload_api::messages::{SECURITY_HEADER, SERVICE, X509SvidResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::{ORDERS, PATIENCE, orders};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 0x01;
const END_HEADERS: u8 = 0x04;

const PROTOCOL_ERROR: u32 = 1;
/// `:status: 200` in the static table.
const STATUS_200: u8 = 0x88;

/// A connection, about to ask for X.509-SVIDs.
struct Connection(UnixStream);

#[derive(Debug, PartialEq)]
enum Outcome {
    /// The header block, and the message, if there is one.
    Answered(Vec<u8>, Vec<u8>),
    Reset(u32),
}

impl Connection {
    async fn open(path: &Path) -> Self {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut connection = Self(stream);
        connection.send(SETTINGS, 0, 0, &[]).await;
        connection
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![0, length[0], length[1], kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    async fn request(&mut self, stream: u8, block: &[u8]) -> Outcome {
        self.send(HEADERS, END_HEADERS, stream, block).await;
        // An empty message.
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
        let outcome = tokio::time::timeout(PATIENCE, self.outcome(stream));
        outcome.await.unwrap()
    }

    async fn outcome(&mut self, stream: u8) -> Outcome {
        let (mut block, mut body) = (Vec::new(), Vec::new());
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let [high, middle, low, kind, flags, .., to] = head;
            let length = u32::from_be_bytes([0, high, middle, low]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            match kind {
                _ if to != stream => continue,
                HEADERS => block = payload,
                DATA => body.extend(payload),
                RST_STREAM => {
                    return Outcome::Reset(u32::from_be_bytes(payload.try_into().unwrap()));
                }
                _ => continue,
            }
            let is_whole = body
                .first_chunk()
                .is_some_and(|[_, length @ ..]: &[u8; 5]| {
                    body.len() == 5 + usize::try_from(u32::from_be_bytes(*length)).unwrap()
                });
            if is_whole || flags & END_STREAM != 0 {
                return Outcome::Answered(block, body.split_off(body.len().min(5)));
            }
        }
    }
}

fn text(block: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap();
    if length < 127 {
        block.push(length);
    } else {
        block.extend([127, length - 127]);
    }
    block.extend_from_slice(text.as_bytes());
}

fn literal(block: &mut Vec<u8>, kind: u8, name: &str, value: &str) {
    block.push(kind);
    text(block, name);
    text(block, value);
}

/// The first request on a connection. All but the last field enter the dynamic table.
fn first_block(authority: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let path = format!("/{SERVICE}/FetchX509SVID");
    literal(&mut block, 0x40, ":path", &path);
    literal(&mut block, 0x40, ":authority", authority);
    block.extend([0x83, 0x86]);
    literal(&mut block, 0x40, "content-type", "application/grpc");
    literal(&mut block, 0x40, "te", "trailers");
    literal(&mut block, 0x40, "user-agent", "grpc-python/1.85.1");
    literal(&mut block, 0x00, SECURITY_HEADER, "true");
    block
}

/// Every other request, which refers to the first.
fn next_block() -> Vec<u8> {
    let mut block = vec![0xc2, 0xc1, 0x83, 0x86, 0xc0, 0xbf, 0xbe];
    literal(&mut block, 0x00, SECURITY_HEADER, "true");
    block
}

/// What the C core makes of `unix://PATH`.
fn escaped(path: &Path) -> String {
    let path = path.to_str().unwrap();
    path.trim_start_matches('/').replace('/', "%2F")
}

#[tokio::test]
async fn a_client_that_escapes_the_socket_into_its_authority_is_answered() {
    let (agent, _) = orders().await;
    let endpoint = agent.endpoint("orders").unwrap();
    let path = Path::new(endpoint.strip_prefix("unix://").unwrap());
    assert!(escaped(path).contains("%2F"));
    let mut connection = Connection::open(path).await;
    let first = first_block(&escaped(path));
    for (stream, block) in [(1, first), (3, next_block()), (5, next_block())] {
        let outcome = connection.request(stream, &block).await;
        let Outcome::Answered(block, message) = outcome else {
            panic!("stream {stream}: {outcome:?}");
        };
        assert_eq!(block[0], STATUS_200);
        let answer = X509SvidResponse::decode(&*message).unwrap();
        assert_eq!(answer.svids[0].spiffe_id, ORDERS);
    }

    // `tmp%2Fagent.sock` as other encoders write it: the name by its index, the value in Huffman's code.
    let mut block = vec![0x83, 0x86, 0x01, 0x8c];
    block.extend(b"\x4d\x35\xaa\x2c\x23\x98\xb5\x25\x74\x1c\x9d\x7f");
    literal(
        &mut block,
        0x00,
        ":path",
        &format!("/{SERVICE}/FetchX509SVID"),
    );
    literal(&mut block, 0x00, "content-type", "application/grpc");
    literal(&mut block, 0x00, SECURITY_HEADER, "true");
    let outcome = connection.request(7, &block).await;
    assert!(
        matches!(&outcome, Outcome::Answered(block, message) if block[0] == STATUS_200 && !message.is_empty()),
        "{outcome:?}"
    );
}

/// The library under the agent, alone. Should it answer one day, the agent needs nothing more.
#[tokio::test]
async fn the_same_bytes_are_refused_by_the_library_alone() {
    let (agent, _) = orders().await;
    let path = agent.directory().join("bare.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(async |_| {
                Ok::<_, Infallible>(http::Response::new(Empty::<&[u8]>::new()))
            });
            http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .unwrap();
        }
    };
    let client = async {
        let mut connection = Connection::open(&path).await;
        for (stream, block) in [(1, first_block(&escaped(&path))), (3, next_block())] {
            let outcome = connection.request(stream, &block).await;
            assert_eq!(outcome, Outcome::Reset(PROTOCOL_ERROR), "stream {stream}");
        }
        drop(connection);

        let mut connection = Connection::open(&path).await;
        for (stream, block) in [(1, first_block("bare.sock")), (3, next_block())] {
            let outcome = connection.request(stream, &block).await;
            let Outcome::Answered(block, _) = outcome else {
                panic!("stream {stream}: {outcome:?}");
            };
            assert_eq!(block[0], STATUS_200);
        }
    };
    tokio::select! {
        () = client => {}
        () = server => {}
    }
    std::fs::remove_file(&path).unwrap();
}
