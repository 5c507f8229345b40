//! The acceptor against clients that are slow, silent or no TLS clients at all, and the ends of
//! connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use integration::client::{Dialer, read_until};
use integration::{
    ALLOWED, Caller, SERVER, Server, agent, agent_of_brief_callers, listen, settled, source,
};
use spiffe_acceptor::{Acceptor, PeerIdentity, ServeWithPeer, WithPeer, serve};
use spiffe_connector::{Connector, Failure};
use spiffe_peer::{AuthMethod, Connection, Fingerprint, VerifiedPeer, parse};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tower::ServiceExt;

#[tokio::test]
async fn silent_clients_make_nobody_wait() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(
            TcpStream::connect(("127.0.0.1", server.port))
                .await
                .unwrap(),
        );
    }
    let caller = Caller::new(&agent, "allowed", &[], &server).await;
    assert_eq!(caller.get("/").await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn threats_45_a_slow_handshake_is_cut_at_the_deadline() {
    let agent = agent().start().await.unwrap();
    let deadline = Duration::from_millis(200);
    let source = source(&agent, "server", &[]).await;
    let acceptor = Acceptor::builder(source)
        .handshake_timeout(deadline)
        .build()
        .unwrap();
    let (mut client, server) = tokio::io::duplex(1024);
    client.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let error = tokio::time::timeout(20 * deadline, acceptor.accept(server))
        .await
        .expect("cut at its own deadline")
        .unwrap_err();
    assert!(error.is_timeout() && error.reason() == "timeout", "{error}");
}

#[tokio::test]
async fn one_pending_handshake_too_many_makes_the_oldest_give_way() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(source)
        .handshake_timeout(Duration::from_secs(3600))
        .max_pending_handshakes(2)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", get(async || "ok"));
    tokio::spawn(serve(listener, app).into_future());
    let mut oldest = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let mut end = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(10), oldest.read(&mut end));
    assert_eq!(
        read.await.expect("it gives way").unwrap_or_default(),
        0,
        "the oldest is closed"
    );
}

#[tokio::test]
async fn threats_42_plain_http_on_the_tls_port_gets_no_http_answer() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    tcp.write_all(b"GET /anyone HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(server.handled(), 0);
}

#[tokio::test]
async fn threats_62_a_connection_ends_with_the_identity_of_its_peer() {
    let ttl = Duration::from_secs(2);
    let agent = agent_of_brief_callers(ttl).start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let source = source(&agent, "allowed", &[]).await;
    let end = source.snapshot().svid().unwrap().verified().not_after();
    let connector = Connector::new(source, SERVER).unwrap();
    let uri = format!("https://localhost:{}/", server.port)
        .parse()
        .unwrap();
    let stream = connector.connect(&uri).await.unwrap();
    let (mut requests, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), stream)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(&uri)
        .body(Full::<Bytes>::default())
        .unwrap();
    assert_eq!(
        requests.send_request(request).await.unwrap().status(),
        StatusCode::OK
    );
    // The server ends the connection; this client keeps it for as long as it can.
    connection.await.unwrap().unwrap();
    assert!(
        SystemTime::now() <= end + Duration::from_secs(1),
        "closed about when the identity ends, not when the client likes"
    );
}

#[tokio::test]
async fn a_handler_may_ask_for_the_end_of_a_connection() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let seen = Arc::new(std::sync::Mutex::new(None::<PeerIdentity>));
    let noted = seen.clone();
    let app = Router::new().route(
        "/",
        get(move |peer: PeerIdentity| {
            let noted = noted.clone();
            async move {
                *noted.lock().unwrap() = Some(peer);
            }
        }),
    );
    tokio::spawn(serve(listener, app).into_future());
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let client = connector.http_client::<Full<Bytes>>();
    let uri: http::Uri = format!("https://localhost:{port}/").parse().unwrap();
    assert_eq!(
        client.get(uri.clone()).await.unwrap().status(),
        StatusCode::OK
    );
    let first = seen.lock().unwrap().take().unwrap();
    first.close();
    assert_eq!(client.get(uri).await.unwrap().status(), StatusCode::OK);
    assert!(first.is_current(), "a wish to close is no withdrawal");
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_server_ends() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, waits) = (begun.clone(), go_on.clone());
    let app = Router::new().route(
        "/",
        get(move || {
            let (begins, waits) = (begins.clone(), waits.clone());
            async move {
                begins.notify_one();
                waits.notified().await;
                "done"
            }
        }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let client = connector.http_client::<Full<Bytes>>();
    let request = tokio::spawn(client.get(format!("https://localhost:{port}/").parse().unwrap()));
    begun.notified().await;
    stop.send(()).unwrap();
    go_on.notify_one();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_drain_says_how_many_connections_it_cut() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let app = Router::new().route(
        "/",
        get(move || {
            begins.notify_one();
            std::future::pending::<()>()
        }),
    );
    let stopped = begun.clone();
    let server = serve(listener, app)
        .with_graceful_shutdown(async move { stopped.notified().await })
        .drain_within(Duration::from_millis(100));
    let server = tokio::spawn(server.into_future());
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let client = connector.http_client::<Full<Bytes>>();
    let request = client.get(format!("https://localhost:{port}/").parse().unwrap());
    let (request, ended) = tokio::join!(request, server);
    assert!(request.is_err());
    assert_eq!(ended.unwrap().unwrap_err().connections_cut(), 1);
}

#[tokio::test]
async fn axum_serve_takes_the_listener_and_handlers_get_the_peer() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let app = Router::new().route(
        "/",
        get(|peer: PeerIdentity| async move { peer.to_string() }),
    );
    tokio::spawn(axum::serve(listener, app.into_make_service_with_peer()).into_future());
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let client = connector.http_client::<Full<Bytes>>();
    let response = client
        .get(format!("https://localhost:{port}/").parse().unwrap())
        .await
        .unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(body, ALLOWED);
}

#[tokio::test]
async fn once_an_identity_is_withdrawn_its_requests_get_401_and_no_handler() {
    let connection = Connection::new();
    let peer = VerifiedPeer {
        spiffe_id: parse::workload_id(ALLOWED).unwrap(),
        not_after: SystemTime::now() + Duration::from_secs(60),
        fingerprint: Fingerprint::from_sha256([0; 32]),
        method: AuthMethod::MtlsX509Svid,
    };
    let peer = PeerIdentity::assume_verified(peer, connection.clone());
    let app = Router::new().route(
        "/",
        get(|peer: PeerIdentity| async move { peer.to_string() }),
    );
    let ask = |content_type: &str| {
        let request = http::Request::get("/")
            .header("content-type", content_type)
            .body(axum::body::Body::empty())
            .unwrap();
        WithPeer::new(app.clone(), peer.clone()).oneshot(request)
    };
    assert_eq!(
        ask("text/plain").await.unwrap().status(),
        StatusCode::OK,
        "control"
    );
    connection.withdraw();
    assert_eq!(
        ask("text/plain").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let response = ask("application/grpc").await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &http::HeaderValue::from_static("16"))
    );
    connection.close_requested().await;
}

#[tokio::test]
async fn threats_50_a_client_that_asks_for_nothing_is_let_go() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let uri: http::Uri = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let app = Router::new().route("/", get(async || "ok"));
    let server = serve(listener, app).header_timeout(Duration::from_millis(200));
    let server = tokio::spawn(server.into_future());
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    // The handshake settles on HTTP/2, and then the client is silent: not even its preface comes.
    let mut silent = TokioIo::new(connector.connect(&uri).await.unwrap());
    let mut said = Vec::new();
    silent
        .read_to_end(&mut said)
        .await
        .expect("the end comes with a close_notify");
    server.abort();
}

#[tokio::test]
async fn a_silent_client_does_not_hold_up_the_end_of_the_server() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let uri: http::Uri = format!("https://127.0.0.1:{}/", server.port)
        .parse()
        .unwrap();
    let _silent = connector.connect(&uri).await.unwrap();
    tokio::time::timeout(Duration::from_secs(8), server.stop())
        .await
        .expect("long before the drain is over")
        .unwrap();
}

#[tokio::test]
async fn a_server_without_identity_says_that_the_fault_is_its_own() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    agent
        .withdraw(&parse::workload_id(SERVER).unwrap())
        .unwrap();
    settled(&server.source, |snapshot| snapshot.svid().is_none()).await;
    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let uri: http::Uri = format!("https://127.0.0.1:{}/", server.port)
        .parse()
        .unwrap();
    // Its configuration follows its source in an instant.
    let refused = loop {
        match connector.connect(&uri).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(refused) => break refused,
        }
    };
    assert!(
        Failure::of(&refused)
            .to_string()
            .contains("no identity at the moment"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_has_its_ticket_all_the_same() {
    let agent = agent().start().await.unwrap();
    let app = Router::new().route("/", get(async || "ok"));
    let (ours, our_port) = listen(&agent).await;
    tokio::spawn(serve(ours, app.clone()).into_future());
    let (axums, axums_port) = listen(&agent).await;
    tokio::spawn(axum::serve(axums, app.into_make_service_with_peer()).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    for (port, alpn) in [
        (our_port, "http/1.1"),
        (our_port, "h2"),
        (axums_port, "http/1.1"),
    ] {
        let mut silent = dialer.dial(port, alpn).await.unwrap();
        let ticket = poll_fn(|cx| {
            let mut buf = [0; 1024];
            let read = pin!(&mut silent).poll_read(cx, &mut ReadBuf::new(&mut buf));
            if silent.get_ref().1.tls13_tickets_received() > 0 {
                return Poll::Ready(());
            }
            // An HTTP/2 server says something too.
            if read.is_ready() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        // Long before the server gives up on a client that says nothing.
        tokio::time::timeout(Duration::from_secs(20), ticket)
            .await
            .unwrap_or_else(|_| panic!("no ticket over {alpn} at {port}"));
    }
}

#[tokio::test]
async fn a_last_answer_comes_part_by_part() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let (parts, receiver) = tokio::sync::mpsc::channel::<&str>(1);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let answer = async move || {
        axum::body::Body::from_stream(futures_util::stream::unfold(receiver, async |receiver| {
            let part = receiver.lock().await.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(part), receiver))
        }))
    };
    let app = Router::new().route("/", get(answer));
    tokio::spawn(serve(listener, app).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut client = dialer.dial(port, "http/1.1").await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut client, "\r\n\r\n").await.unwrap();
    for part in ["first", "second", "third"] {
        parts.send(part).await.unwrap();
        read_until(&mut client, part).await.unwrap();
    }
    drop(parts);
    let mut rest = Vec::new();
    client
        .read_to_end(&mut rest)
        .await
        .expect("the end comes with a close_notify");
    assert!(rest.ends_with(b"0\r\n\r\n"));
}
