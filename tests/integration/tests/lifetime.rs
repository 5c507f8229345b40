//! Connections end with the identities of their peers, whatever serves them and whatever they carry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use integration::client::{Dialer, ask, read_until};
use integration::grpc::{self, Whoami};
use integration::{ALLOWED, SERVER, agent, agent_of_brief_callers, source};
use spiffe_acceptor::{
    Acceptor, AxumServerAcceptor, PeerIdentity, PeerIdentityLayer, ServeWithPeer, serve,
};
use spiffe_connector::Connector;
use spiffe_source::{DenyList, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tonic::transport::{Channel, Endpoint};

const GRACE: Duration = Duration::from_millis(300);
/// What a loaded machine may take beyond it.
const PATIENCE: Duration = Duration::from_secs(20);

fn endless() -> Body {
    Body::from_stream(futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::convert::Infallible>("tick\n"), ()))
    }))
}

async fn echo(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

fn app() -> Router {
    Router::new()
        .route("/", get(async |peer: PeerIdentity| peer.to_string()))
        .route("/stream", get(async || endless()))
        .route("/ws", any(echo))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Us,
    Axum,
    AxumServer,
    Tonic,
}

/// A server of each kind, with REST and gRPC.
fn start(by: By, source: Source) -> u16 {
    let builder = Acceptor::builder(source).grace(GRACE);
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let app = app().route_service("/test.Whoami/{*rest}", Whoami);
    if by == By::AxumServer {
        let acceptor: AxumServerAcceptor = builder.build().unwrap().into();
        let server = axum_server::from_tcp(tcp).unwrap().acceptor(acceptor);
        tokio::spawn(async move { server.serve(app.into_make_service()).await });
        return port;
    }
    let tcp = tokio::net::TcpListener::from_std(tcp).unwrap();
    let listener = builder.listen(tcp).unwrap();
    match by {
        By::Us => {
            tokio::spawn(serve(listener, app).drain_within(GRACE).into_future());
        }
        By::Axum => {
            let app = app.into_make_service_with_peer();
            tokio::spawn(axum::serve(listener, app).into_future());
        }
        By::Tonic => {
            let server = tonic::transport::Server::builder()
                .accept_http1(true)
                .layer(PeerIdentityLayer::new())
                .add_routes(app.into());
            tokio::spawn(server.serve_with_incoming(listener.into_incoming()));
        }
        By::AxumServer => {}
    }
    port
}

async fn channel(source: Source, port: u16) -> Channel {
    let connector = Connector::new(source, SERVER).unwrap();
    Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .unwrap()
        .origin(format!("https://127.0.0.1:{port}").parse().unwrap())
        .connect_with_connector(tower::service_fn(move |_: http::Uri| {
            let connector = connector.clone();
            async move {
                let uri = format!("https://127.0.0.1:{port}/").parse().unwrap();
                connector.connect(&uri).await
            }
        }))
        .await
        .unwrap()
}

fn withdraw(source: &Source, id: &str) {
    source.deny(format!("{id}\nend").parse::<DenyList>().unwrap());
}

async fn each(by: By) {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let port = start(by, own.clone());
    let allowed = Dialer::new(&agent, "allowed").await;
    let other = Dialer::new(&agent, "other").await;

    let mut stream = allowed.dial(port, "http/1.1").await.unwrap();
    ask(&mut stream, "/stream").await.unwrap();
    read_until(&mut stream, "tick\n").await.unwrap();
    let mut bystander = other.dial(port, "http/1.1").await.unwrap();
    ask(&mut bystander, "/stream").await.unwrap();
    let mut rpc = grpc::forever(channel(allowed.source.clone(), port).await)
        .await
        .unwrap();
    let said = rpc.message().await.unwrap().unwrap();
    assert!(said.starts_with(ALLOWED), "{said}");
    let websocket = match by {
        // tonic's server takes no upgrades.
        By::Tonic => None,
        _ => {
            let io = allowed.dial(port, "http/1.1").await.unwrap();
            let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/ws", io)
                .await
                .unwrap();
            socket.send(Message::text("hello")).await.unwrap();
            let echo = socket.next().await.unwrap().unwrap();
            assert_eq!(echo.into_text().unwrap(), "hello");
            Some(socket)
        }
    };

    let withdrawn = Instant::now();
    withdraw(&own, ALLOWED);
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap_or_else(|_| panic!("{by:?}: a long response is cut"))
        .unwrap_or_else(|error| panic!("{by:?}: with a close_notify: {error}"));
    assert!(withdrawn.elapsed() >= GRACE / 2, "{by:?}: there is a grace");
    let ended = async { while let Ok(Some(_)) = rpc.message().await {} };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .unwrap_or_else(|_| panic!("{by:?}: a long RPC is cut"));
    if let Some(mut socket) = websocket {
        let ended = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap_or_else(|_| panic!("{by:?}: a WebSocket is cut"));
    }
    // Nobody else notices.
    let mut read = vec![0; 64];
    for _ in 0..20 {
        let read = tokio::time::timeout(PATIENCE, bystander.read(&mut read)).await;
        assert!(read.unwrap().unwrap() > 0, "{by:?}: the bystander goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_long_streams_are_cut_under_our_own_serve() {
    each(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_long_streams_are_cut_under_axum_serve() {
    each(By::Axum).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_long_streams_are_cut_under_axum_server() {
    each(By::AxumServer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_long_streams_are_cut_under_tonic() {
    each(By::Tonic).await;
}

/// Asks as fast as it can until nothing is answered any more; when the last answer came.
async fn last_answer(mut asks: impl AsyncFnMut() -> bool) -> SystemTime {
    let mut last = SystemTime::UNIX_EPOCH;
    let asking = async {
        loop {
            let asked = SystemTime::now();
            if !asks().await {
                return;
            }
            last = asked;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("requests end with the identity");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_nothing_is_served_after_the_end_of_the_peers_chain() {
    for by in [By::Us, By::Axum, By::Tonic] {
        let ttl = Duration::from_secs(3);
        let agent = agent_of_brief_callers(ttl).start().await.unwrap();
        let own = source(&agent, "server", &[]).await;
        let port = start(by, own);
        let caller = Dialer::new(&agent, "allowed").await;
        let mut http1 = caller.dial(port, "http/1.1").await.unwrap();
        let http2 = caller.dial(port, "h2").await.unwrap();
        let (mut http2, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
            hyper_util::rt::TokioExecutor::new(),
            TokioIo::new(http2),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        let end = caller
            .source
            .snapshot()
            .svid()
            .unwrap()
            .verified()
            .not_after();
        let over_http1 = last_answer(async || {
            if ask(&mut http1, "/").await.is_err() {
                return false;
            }
            match read_until(&mut http1, "\r\n\r\n").await {
                Ok(head) => head.starts_with("HTTP/1.1 200"),
                Err(_) => false,
            }
        });
        let over_http2 = last_answer(async || {
            let request = http::Request::get("https://localhost/")
                .body(Full::default())
                .unwrap();
            match http2.send_request(request).await {
                Ok(response) => response.status() == StatusCode::OK,
                Err(_) => false,
            }
        });
        // On a connection of its own that is not made anew: a fresh one would have a fresh SVID.
        let io = caller.dial(port, "h2").await.unwrap();
        let (rpcs, connection) = hyper::client::conn::http2::handshake::<_, _, tonic::body::Body>(
            hyper_util::rt::TokioExecutor::new(),
            TokioIo::new(io),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        let rpcs = tower::service_fn(move |mut request: http::Request<_>| {
            let uri = format!("https://localhost{}", request.uri().path());
            *request.uri_mut() = uri.parse().unwrap();
            rpcs.clone().send_request(request)
        });
        let mut stream = grpc::forever(rpcs.clone()).await.unwrap();
        let over_grpc = last_answer(async || grpc::once(rpcs.clone()).await.is_ok());
        let over_stream = async {
            while let Ok(Some(_)) = stream.message().await {}
            SystemTime::now()
        };
        let over_stream = tokio::time::timeout(PATIENCE, over_stream);
        let (http1, http2, grpc, stream) =
            tokio::join!(over_http1, over_http2, over_grpc, over_stream);
        for last in [http1, http2, grpc] {
            assert!(last > SystemTime::UNIX_EPOCH, "{by:?}: control");
            assert!(last < end, "{by:?}: nothing is served after the end");
        }
        let stream = stream.unwrap_or_else(|_| panic!("{by:?}: a stream ends too"));
        assert!(stream < end + GRACE + Duration::from_secs(5));
    }
}

#[tokio::test]
async fn an_idle_connection_is_let_go_and_a_busy_one_is_not() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let idle = Duration::from_millis(300);
    tokio::spawn(serve(listener, app()).idle_timeout(idle).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;

    let mut busy = dialer.dial(port, "http/1.1").await.unwrap();
    ask(&mut busy, "/stream").await.unwrap();
    let busy = tokio::spawn(async move {
        let begun = Instant::now();
        while begun.elapsed() < 4 * idle {
            read_until(&mut busy, "tick\n").await.unwrap();
        }
    });
    let mut http1 = dialer.dial(port, "http/1.1").await.unwrap();
    ask(&mut http1, "/").await.unwrap();
    read_until(&mut http1, ALLOWED).await.unwrap();
    let asked = Instant::now();
    let rest = tokio::time::timeout(PATIENCE, http1.read_to_end(&mut Vec::new())).await;
    rest.expect("HTTP/1.1 is let go")
        .expect("with a close_notify");
    assert!(asked.elapsed() >= idle / 2);

    let io = dialer.dial(port, "h2").await.unwrap();
    let (mut requests, connection) = h2::client::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    let ended = tokio::time::timeout(PATIENCE, connection).await;
    ended.expect("HTTP/2 is let go").unwrap().unwrap();
    busy.await.expect("a stream is in flight until it ends");
}

#[tokio::test]
async fn a_connection_gets_no_older_than_allowed() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let age = Duration::from_millis(500);
    tokio::spawn(serve(listener, app()).max_connection_age(age).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut io = dialer.dial(port, "http/1.1").await.unwrap();
    let begun = Instant::now();
    loop {
        // It ends with a word in an answer, or without one between two requests.
        let answered = match ask(&mut io, "/").await {
            Ok(()) => read_until(&mut io, ALLOWED).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(answer) if answer.contains("connection: close") => break,
            Ok(answer) => assert!(begun.elapsed() < PATIENCE, "it gets older: {answer}"),
            Err(_) => break,
        }
    }
    assert!(begun.elapsed() >= age / 2, "not before its time");
}

#[tokio::test]
async fn a_websocket_ends_with_the_server_and_is_told_so_by_tls() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = serve(listener, app())
        .with_graceful_shutdown(async { drop(stopped.await) })
        .drain_within(GRACE);
    let server = tokio::spawn(server.into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut io = dialer.dial(port, "http/1.1").await.unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    io.write_all(upgrade.as_bytes()).await.unwrap();
    let head = read_until(&mut io, "\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stop.send(()).unwrap();
    let rest = tokio::time::timeout(PATIENCE, io.read_to_end(&mut Vec::new())).await;
    rest.expect("it ends").expect("with a close_notify");
    let cut = server.await.unwrap().unwrap_err();
    assert_eq!(cut.connections_cut(), 1);
}

#[tokio::test]
async fn a_websocket_over_http2_is_echoed() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(
        serve(listener, app())
            .idle_timeout(Duration::from_millis(100))
            .into_future(),
    );
    let dialer = Dialer::new(&agent, "allowed").await;
    let io = dialer.dial(port, "h2").await.unwrap();
    let (mut requests, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    // The server's settings have to come first.
    let allowed = async {
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, allowed).await.unwrap();
    let request = http::Request::connect("https://localhost/ws")
        .extension(h2::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    let (response, mut send) = requests.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    // Longer than a connection may be idle.
    tokio::time::sleep(Duration::from_millis(400)).await;
    // A masked text frame, "hi"; a key of zeros masks nothing.
    send.send_data(Bytes::from_static(b"\x81\x82\0\0\0\0hi"), false)
        .unwrap();
    let echo = tokio::time::timeout(PATIENCE, body.data()).await.unwrap();
    assert_eq!(echo.unwrap().unwrap(), b"\x81\x02hi"[..]);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_alone() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let panics = tower::service_fn(|request: http::Request<hyper::body::Incoming>| {
        // Before there is a future, and in one.
        assert!(request.uri().path() != "/at-once", "a handler's own fault");
        async move {
            assert!(request.uri().path() != "/later", "a handler's own fault");
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from("fine"))))
        }
    });
    tokio::spawn(serve(listener, panics).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let io = dialer.dial(port, "h2").await.unwrap();
    let (mut requests, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
        hyper_util::rt::TokioExecutor::new(),
        TokioIo::new(io),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    for (path, status) in [("/at-once", 500), ("/later", 500), ("/", 200)] {
        let request = http::Request::get(format!("https://localhost{path}"))
            .body(Full::default())
            .unwrap();
        let response = requests.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        response.into_body().collect().await.unwrap();
    }
    let mut io = dialer.dial(port, "http/1.1").await.unwrap();
    ask(&mut io, "/later").await.unwrap();
    let head = read_until(&mut io, "\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 500"), "{head}");
    ask(&mut io, "/").await.unwrap();
    read_until(&mut io, "fine").await.unwrap();
}
