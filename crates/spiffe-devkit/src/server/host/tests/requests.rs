//! Requests as the HTTP/2 library reads them behind a [`LocalHost`].

use std::collections::VecDeque;
use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::super::LocalHost;
use super::writer::{Chance, Kind, Name, frame, integer, literal};
use super::{END_HEADERS, HEADERS, stream};

const END_STREAM: u8 = 0x01;
const TABLE_SIZE: usize = 4096;

/// The dynamic table as the client counts it, without a thought of what the server reads.
struct Table {
    entries: VecDeque<(String, String)>,
    limit: usize,
}

impl Table {
    fn insert(&mut self, name: &str, value: &str) {
        self.entries.push_front((name.to_owned(), value.to_owned()));
        self.evict();
    }

    fn evict(&mut self) {
        let size = |(name, value): &(String, String)| name.len() + value.len() + 32;
        while self.entries.iter().map(size).sum::<usize>() > self.limit {
            self.entries.pop_back();
        }
    }

    fn resize(&mut self, block: &mut Vec<u8>, limit: usize) {
        self.limit = limit;
        self.evict();
        integer(block, 0x20, 5, limit);
    }

    fn write(&mut self, block: &mut Vec<u8>, name: &str, value: &str, chance: &mut Chance) {
        let known = |entry: &(String, String)| entry.0 == name && entry.1 == value;
        if let Some(at) = self.entries.iter().position(known) {
            integer(block, 0x80, 7, 62 + at);
            return;
        }
        let named = self.entries.iter().position(|entry| entry.0 == name);
        let by = match (name, named, chance.below(3)) {
            (":authority", _, 0) => Name::Index(1),
            (":authority", ..) | (_, None, 1) | (_, _, 2) => Name::Plain(name),
            (_, Some(at), _) => Name::Index(62 + at),
            _ => Name::Huffman(name),
        };
        let kind = [Kind::Indexed, Kind::Indexed, Kind::NotIndexed][chance.below(3)];
        block.extend(literal(kind, by, value, chance.coin()));
        if kind == Kind::Indexed {
            self.insert(name, value);
        }
    }
}

/// Short ones too, so that an entry that grew on the way would soon be missed.
fn escaped(chance: &mut Chance) -> String {
    let length = if chance.coin() { 6 } else { 600 };
    let names: String = (0..chance.below(length))
        .map(|_| char::from(b'a' + chance.below(4) as u8))
        .collect();
    format!("%2F{names}")
}

/// All that may stand within a value.
fn value(chance: &mut Chance) -> String {
    let text: String = (0..chance.below(200))
        .map(|_| char::from(b' ' + chance.below(95) as u8))
        .collect();
    format!("<{text}>")
}

/// The client repeats itself often enough to refer to its table, and says enough new things to
/// evict what it said long ago. Each request has to be read as it was meant.
#[tokio::test]
async fn the_client_and_the_server_agree_on_the_dynamic_table() {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (requests, answers) = tokio::io::split(server);
    let (seen, mut requests_seen) = mpsc::unbounded_channel();
    let service = service_fn(move |request: http::Request<Incoming>| {
        seen.send(request).unwrap();
        async { Ok::<_, Infallible>(http::Response::new(String::new())) }
    });
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(
        TokioIo::new(tokio::io::join(LocalHost::new(requests), answers)),
        service,
    );
    let connection = tokio::spawn(connection);
    let (mut answers, mut to_server) = tokio::io::split(client);
    let talk = async {
        to_server
            .write_all(&stream(&[frame(4, 0, 0, &[])]))
            .await
            .unwrap();
        let mut chance = Chance(3);
        let mut table = Table {
            entries: VecDeque::new(),
            limit: TABLE_SIZE,
        };
        let mut hosts: Vec<_> = (0..8).map(|_| escaped(&mut chance)).collect();
        let mut values: Vec<_> = (0..20).map(|_| value(&mut chance)).collect();
        let (mut referred, mut evicted) = (0, 0);
        for nth in 0..3000_u32 {
            if chance.below(10) == 0 {
                let (host, value) = (escaped(&mut chance), value(&mut chance));
                hosts[chance.below(8)] = host;
                values[chance.below(20)] = value;
            }
            let mut block = Vec::new();
            if chance.below(40) == 0 {
                table.resize(&mut block, chance.below(TABLE_SIZE + 1));
            } else if chance.below(20) == 0 {
                table.resize(&mut block, TABLE_SIZE);
            }
            block.extend([0x83, 0x86, 0x84]);
            let host = &hosts[chance.below(8)];
            let before = (block.len(), table.entries.len());
            table.write(&mut block, ":authority", host, &mut chance);
            referred += usize::from(block.len() <= before.0 + 2);
            let mut expected = Vec::new();
            for _ in 0..chance.below(4) {
                let name = ["x", "x-longer-name", "te-st"][chance.below(3)];
                let value = values[chance.below(20)].clone();
                table.write(&mut block, name, &value, &mut chance);
                expected.push((name, value));
            }
            evicted += usize::from(table.entries.len() < before.1);
            let headers = frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * nth, &block);
            to_server.write_all(&headers).await.unwrap();

            let request = requests_seen.recv().await.unwrap();
            let local = "localhost".get(..host.len()).unwrap_or("localhost");
            assert_eq!(request.uri().authority().unwrap(), local);
            for name in ["x", "x-longer-name", "te-st"] {
                let sent = expected.iter().filter(|field| field.0 == name);
                let sent: Vec<_> = sent.map(|field| field.1.as_bytes()).collect();
                let read = request.headers().get_all(name);
                let read: Vec<_> = read.iter().map(|value| value.as_bytes()).collect();
                assert_eq!(read, sent, "request {nth}");
            }
        }
        assert!(
            referred > 300 && evicted > 300,
            "{referred} references, {evicted} evictions"
        );
    };
    let mut nowhere = tokio::io::sink();
    tokio::select! {
        () = talk => {}
        ended = tokio::io::copy(&mut answers, &mut nowhere) => panic!("the server ended: {ended:?}"),
    }
    drop((answers, to_server));
    let _ = connection.await.unwrap();
}
