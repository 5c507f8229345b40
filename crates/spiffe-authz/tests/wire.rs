//! The guarded router behind real sockets, served by axum over HTTP/1.1 and HTTP/2.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use axum::ServiceExt;
use axum::body::Body;
use axum::extract::Request;
use common::{PAYMENTS, Probe, STOCK};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use spiffe_authz::axum::{GuardedService, Router, any_service, get};
use spiffe_authz::mock::MockPeer;
use spiffe_peer::PeerIdentity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;

fn app(probe: &Probe) -> GuardedService {
    Router::new()
        .route(
            "/whoami",
            get(async |peer: PeerIdentity| peer.to_string()).allow([PAYMENTS, STOCK]),
        )
        .route("/orders", any_service(probe.clone()).allow(PAYMENTS))
        .route("/pkg.Svc/M", any_service(probe.clone()).allow(PAYMENTS))
        .route("/others", any_service(probe.clone()).allow(STOCK))
        .build()
        .unwrap()
}

async fn serve(peer: Option<MockPeer>, app: GuardedService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    match peer {
        Some(peer) => {
            let service = ServiceExt::<Request>::into_make_service(peer.layer(app));
            tokio::spawn(async move { axum::serve(listener, service).await });
        }
        None => {
            tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });
        }
    }
    address
}

/// Sends these bytes and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}

/// The answer without its date.
async fn answer(address: SocketAddr, head: &str) -> String {
    let bytes = format!("{head}\r\nconnection: close\r\n\r\n");
    let answer = exchange(address, bytes.as_bytes()).await;
    answer
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("date:"))
        .collect()
}

#[tokio::test]
async fn a_peer_reaches_its_routes_over_both_versions_of_http() {
    let probe = Probe::default();
    for http2 in [false, true] {
        let client: Client<_, Body> = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http();
        let get = async |address: SocketAddr, path: &str| {
            let response = client
                .get(format!("http://{address}{path}").parse().unwrap())
                .await
                .unwrap();
            (
                response.status().as_u16(),
                response.into_body().collect().await.unwrap().to_bytes(),
            )
        };
        let address = serve(Some(MockPeer::id(STOCK).unwrap()), app(&probe)).await;
        assert_eq!(get(address, "/whoami").await, (200, STOCK.into()));
        assert_eq!(get(address, "/others").await, (200, "GET /others".into()));
        assert_eq!(get(address, "/orders").await, (403, "".into()));
        assert_eq!(get(address, "/whoami/").await, (400, "".into()));
        let nobody = serve(None, app(&probe)).await;
        assert_eq!(get(nobody, "/whoami").await, (401, "".into()));
    }
}

#[tokio::test]
async fn invariant_12_denials_are_the_same_bytes() {
    let probe = Probe::default();
    let with = serve(Some(MockPeer::id(PAYMENTS).unwrap()), app(&probe)).await;
    let without = serve(None, app(&probe)).await;
    let ended = MockPeer::id(PAYMENTS).unwrap();
    ended.connection().withdraw();
    let ended = serve(Some(ended), app(&probe)).await;

    let requests = [
        "GET /others",
        "GET /nowhere",
        "DELETE /whoami",
        "OPTIONS /orders/x",
        "BREW /whoami",
    ];
    for (address, status) in [
        (with, "HTTP/1.1 403 Forbidden\r\n"),
        (without, "HTTP/1.1 401 Unauthorized\r\n"),
        (ended, "HTTP/1.1 401 Unauthorized\r\n"),
    ] {
        for request in requests {
            let answer = answer(address, &format!("{request} HTTP/1.1\r\nhost: good.test")).await;
            assert_eq!(
                answer,
                format!("{status}connection: close\r\ncontent-length: 0\r\n\r\n"),
                "{request}"
            );
        }
    }
    assert_eq!(probe.calls(), 0);
}

#[tokio::test]
async fn threats_authorization_21_and_47_as_they_arrive() {
    let probe = Probe::default();
    let address = serve(Some(MockPeer::id(PAYMENTS).unwrap()), app(&probe)).await;
    for head in [
        "GET http://evil.test/orders HTTP/1.1\r\nhost: good.test",
        "GET /orders HTTP/1.1\r\nhost: good.test\r\nhost: evil.test",
        "GET /orders HTTP/1.1\r\nhost: good.test, evil.test",
        "OPTIONS * HTTP/1.1\r\nhost: good.test",
        "CONNECT good.test:443 HTTP/1.1\r\nhost: good.test:443",
        "GET //orders HTTP/1.1\r\nhost: good.test",
        "GET /x/../orders HTTP/1.1\r\nhost: good.test",
        "GET /x/%2e%2e/orders HTTP/1.1\r\nhost: good.test",
        "GET \\orders HTTP/1.1\r\nhost: good.test",
        "GET pkg.Svc/M HTTP/1.1\r\nhost: good.test",
    ] {
        let answer = answer(address, head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer}");
    }
    assert_eq!(probe.calls(), 0);
    for head in [
        "GET http://good.test/orders HTTP/1.1\r\nhost: good.test",
        "GET /orders HTTP/1.1\r\nhost: good.test",
        "GET /orders HTTP/1.0",
    ] {
        let answer = answer(address, head).await;
        assert!(
            answer.starts_with("HTTP/1.") && answer.contains(" 200 OK"),
            "{head}: {answer}"
        );
    }
    assert_eq!(probe.calls(), 3);
}

/// One HTTP/2 request written byte by byte, since no client would send such a one. Answers with the
/// type of the frame that ends the matter.
async fn raw_http2(address: SocketAddr, headers: &[(&str, &str)]) -> u8 {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    let mut block = Vec::new();
    for (name, value) in headers {
        // A literal without indexing, its name new.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&[
        0,
        0,
        u8::try_from(block.len()).unwrap(),
        HEADERS,
        0x5,
        0,
        0,
        0,
        1,
    ]);
    bytes.extend_from_slice(&block);

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let outcome = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return GOAWAY;
            }
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.unwrap();
            if matches!(head[3], HEADERS | RST_STREAM | GOAWAY) {
                return head[3];
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), outcome)
        .await
        .unwrap()
}

#[tokio::test]
async fn threats_authorization_1_and_47_a_path_without_its_slash_and_a_second_authority_over_http2()
{
    let probe = Probe::default();
    let address = serve(Some(MockPeer::id(PAYMENTS).unwrap()), app(&probe)).await;
    let plain = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "good.test"),
    ];
    for path in ["pkg.Svc/M", "//pkg.Svc/M", "/pkg.Svc/./M", "*", ""] {
        raw_http2(address, &[&plain[..], &[(":path", path)]].concat()).await;
        assert_eq!(probe.calls(), 0, "{path:?} reached the service");
    }
    raw_http2(
        address,
        &[
            &plain[..],
            &[(":path", "/pkg.Svc/M"), ("host", "evil.test")],
        ]
        .concat(),
    )
    .await;
    assert_eq!(probe.calls(), 0);

    for more in [
        &[(":path", "/pkg.Svc/M")][..],
        &[(":path", "/pkg.Svc/M"), ("host", "good.test")],
    ] {
        assert_eq!(
            raw_http2(address, &[&plain[..], more].concat()).await,
            1,
            "the bytes are in order: {more:?}"
        );
    }
    assert_eq!(probe.calls(), 2, "the probe can count");
}
