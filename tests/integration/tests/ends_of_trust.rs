//! Ends that are easily missed: identities that are kept, runtimes that stand still, connections that
//! nobody looks at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integration::client::{Dialer, ask, read_until};
use integration::hostile::anonymous;
use integration::{ALLOWED, OTHER, SERVER, agent, agent_of_brief_callers, listen, source};
use spiffe_acceptor::{Acceptor, PeerIdentity, serve};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::{DenyList, Source};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_kept_ends_after_its_connection() {
    let ttl = Duration::from_secs(3);
    let agent = agent_of_brief_callers(ttl).start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let kept: Arc<Mutex<Option<PeerIdentity>>> = Arc::default();
    let keep = kept.clone();
    let app = Router::new().route(
        "/",
        get(async move |peer: PeerIdentity| {
            *keep.lock().unwrap() = Some(peer);
            "ok"
        }),
    );
    let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, app).into_future());
    let caller = Dialer::new(&agent, "allowed").await;
    let mut io = caller.dial(port, "http/1.1").await.unwrap();
    ask(&mut io, "/").await.unwrap();
    read_until(&mut io, "ok").await.unwrap();
    drop(io);
    let peer = kept.lock().unwrap().clone().unwrap();
    tokio::time::sleep(peer.expires_in() + Duration::from_secs(2)).await;
    assert_eq!(peer.expires_in(), Duration::ZERO);
    assert!(
        !peer.is_current(),
        "current {:?} after its end",
        SystemTime::now().duration_since(peer.not_after())
    );
}

async fn h2(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> (
    hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    tokio::task::JoinHandle<()>,
) {
    let (send, connection) = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(io),
    )
    .await
    .unwrap();
    (
        send,
        tokio::spawn(async move {
            let _ = connection.await;
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connect_does_not_switch_the_idle_timeout_off() {
    let agent = agent().start().await.unwrap();
    let app = Router::new().route("/", get(async || "ok"));
    let (listener, port) = listen(&agent).await;
    tokio::spawn(
        serve(listener, app)
            .idle_timeout(Duration::from_millis(500))
            .drain_within(Duration::from_millis(500))
            .into_future(),
    );
    let caller = Dialer::new(&agent, "allowed").await;
    // control
    let (mut send, ended) = h2(caller.dial(port, "h2").await.unwrap()).await;
    let response = send
        .send_request(
            http::Request::get("https://localhost/")
                .body(Full::default())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("control: idle connection is ended")
        .unwrap();
    let (mut send, ended) = h2(caller.dial(port, "h2").await.unwrap()).await;
    let request = http::Request::connect("localhost:443")
        .body(Full::default())
        .unwrap();
    let response = send.send_request(request).await;
    assert_eq!(response.as_ref().unwrap().status(), 404);
    drop(response);
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("idle connection is ended after a refused CONNECT")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_anonymous_clients_end_with_the_own_identity() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let app = Router::new().route(
        "/",
        get(async |peer: Option<PeerIdentity>| match peer {
            Some(_) | None => "ok",
        }),
    );
    let listener = Acceptor::builder(own.clone())
        .anonymous_clients()
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(
        serve(listener, app)
            .drain_within(Duration::from_millis(300))
            .into_future(),
    );
    let caller = Dialer::new(&agent, "allowed").await;
    let mut named = caller.dial(port, "http/1.1").await.unwrap();
    ask(&mut named, "/").await.unwrap();
    read_until(&mut named, "ok").await.unwrap();
    let mut io = anonymous(port).await.unwrap();
    ask(&mut io, "/").await.unwrap();
    read_until(&mut io, "ok").await.unwrap();
    agent.withdraw(&SERVER.parse().unwrap()).unwrap();
    // control: the named one is ended
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, named.read_to_end(&mut rest))
        .await
        .expect("control")
        .unwrap();
    assert!(own.snapshot().svid().is_none());
    tokio::time::timeout(PATIENCE, io.read_to_end(&mut rest))
        .await
        .expect("it ends with the own identity")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_finished_a_handshake_is_served_and_cut_without_a_place_too() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let app = Router::new().route("/", get(async || "ok"));
    let listener = Acceptor::builder(own.clone())
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(
        serve(listener, app)
            .max_connections(1)
            .drain_within(Duration::from_millis(300))
            .into_future(),
    );
    let caller = Dialer::new(&agent, "allowed").await;
    let other = Dialer::new(&agent, "other").await;
    // two begin at once: both are accepted while there is one place
    let tcp1 = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let tcp2 = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut first = other.over(tcp1, "http/1.1").await.unwrap();
    ask(&mut first, "/").await.unwrap();
    read_until(&mut first, "ok").await.unwrap();
    let mut second = caller.over(tcp2, "http/1.1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    own.deny(format!("{ALLOWED}\nend").parse::<DenyList>().unwrap());
    let mut rest = Vec::new();
    let got = tokio::time::timeout(Duration::from_secs(8), second.read_to_end(&mut rest)).await;
    assert!(
        got.is_ok(),
        "a withdrawn peer keeps its connection while it waits for a place"
    );
}

#[test]
fn a_runtime_that_stood_still_serves_nothing_after_the_end() {
    let client = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let agent = client.block_on(async {
        Agent::builder()
            .trust_domain(TrustDomainSpec::new("example.org").unwrap())
            .unix("server")
            .unix("allowed")
            .unix("other")
            .entry(Entry::new(SERVER).unwrap().on("server").dns("localhost"))
            .entry(
                Entry::new(ALLOWED)
                    .unwrap()
                    .on("allowed")
                    .ttl(Duration::from_secs(3)),
            )
            .entry(Entry::new(OTHER).unwrap().on("other"))
            .start()
            .await
            .unwrap()
    });
    let endpoint = agent.endpoint("server").unwrap().to_string();
    let late: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = late.clone();
    let (tell, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async move {
                let own = Source::workload_api()
                    .endpoint(endpoint)
                    .connect()
                    .await
                    .unwrap();
                let app = Router::new()
                    .route(
                        "/",
                        get(async move |peer: PeerIdentity| {
                            if let Ok(after) = SystemTime::now().duration_since(peer.not_after()) {
                                seen.lock().unwrap().push(after);
                            }
                            "ok"
                        }),
                    )
                    .route(
                        "/block",
                        get(async || {
                            std::thread::sleep(Duration::from_millis(4500));
                            "blocked"
                        }),
                    );
                let listener = Acceptor::builder(own).bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                serve(listener, app).await.unwrap();
            });
    });
    let port = port.recv().unwrap();
    client.block_on(async {
        let other = Dialer::new(&agent, "other").await;
        let caller = Dialer::new(&agent, "allowed").await;
        let end = caller
            .source
            .snapshot()
            .svid()
            .unwrap()
            .verified()
            .not_after();
        let mut blocker = other.dial(port, "http/1.1").await.unwrap();
        let mut io = caller.dial(port, "http/1.1").await.unwrap();
        ask(&mut io, "/").await.unwrap();
        read_until(&mut io, "ok").await.unwrap();
        ask(&mut blocker, "/block").await.unwrap();
        tokio::time::sleep(
            end.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_millis(300),
        )
        .await;
        let _ = ask(&mut io, "/").await;
        let answer = tokio::time::timeout(PATIENCE, read_until(&mut io, "\r\n\r\n")).await;
        assert!(answer.is_ok(), "it is answered, or closed");
        assert!(
            late.lock().unwrap().is_empty(),
            "handled after the end by {:?}",
            late.lock().unwrap()
        );
    });
}
