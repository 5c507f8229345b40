//! What a client can make the acceptor hold, and how each handshake is accounted for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use integration::client::{Dialer, ask, read_until};
use integration::figures::{Figures, figures};
use integration::hostile::{self, AnyNames};
use integration::{ALLOWED, OTHER, agent, listen, source};
use metrics_util::debugging::DebuggingRecorder;
use spiffe_acceptor::{Acceptor, Admission, Incoming, PeerIdentity, WebCertificate, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

fn app() -> Router {
    let whoami = async |peer: Option<PeerIdentity>| {
        peer.map_or("nobody".to_owned(), |peer| peer.to_string())
    };
    Router::new().route("/", get(whoami))
}

/// What the hook tells: who was accepted or why nobody was, and how.
#[derive(Debug, PartialEq)]
struct Told {
    address: String,
    outcome: Result<Option<String>, String>,
    reason: &'static str,
}

type Tell = Box<dyn Fn(&spiffe_acceptor::Handshake<'_>) + Send + Sync>;

fn hook() -> (Tell, mpsc::UnboundedReceiver<Told>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let hook = move |handshake: &spiffe_acceptor::Handshake<'_>| {
        let outcome = handshake.outcome();
        let _ = sender.send(Told {
            address: handshake.address().unwrap_or_default(),
            outcome: outcome
                .map(|peer| peer.map(ToString::to_string))
                .map_err(ToString::to_string),
            reason: handshake.reason(),
        });
    };
    (Box::new(hook), receiver)
}

async fn told(receiver: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    tokio::time::timeout(PATIENCE, receiver.recv())
        .await
        .expect("the hook is called")
        .unwrap()
}

async fn connect_from(address: &str, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(address.parse().unwrap(), 0))
        .unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

async fn is_closed(tcp: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(PATIENCE, tcp.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn threats_46_an_address_over_its_quota_gives_way_to_itself() {
    let agent = agent().start().await.unwrap();
    let (hook, mut handshakes) = hook();
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .handshake_timeout(Duration::from_secs(3600))
        .max_pending_handshakes_per_address(2)
        .on_handshake(hook)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, app()).into_future());
    let mut neighbour = connect_from("127.0.0.2", port).await;
    let mut oldest = connect_from("127.0.0.3", port).await;
    let evicted = oldest.local_addr().unwrap();
    let mut newer = Vec::new();
    for _ in 0..2 {
        newer.push(connect_from("127.0.0.3", port).await);
    }
    assert!(is_closed(&mut oldest).await, "the oldest of the address");
    let told = told(&mut handshakes).await;
    assert_eq!(
        (told.reason, told.address),
        ("evicted_address", evicted.to_string())
    );
    // Another handshake runs to its end; all that gave way before it would have been told by now.
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut allowed = dialer.dial(port, "http/1.1").await.unwrap();
    ask(&mut allowed, "/").await.unwrap();
    read_until(&mut allowed, ALLOWED).await.unwrap();
    let next = handshakes.recv().await.unwrap();
    assert_eq!(next.outcome, Ok(Some(ALLOWED.to_owned())), "nobody else");
    let mut nothing = [0; 1];
    for open in newer.iter_mut().chain([&mut neighbour]) {
        let read = open.try_read(&mut nothing);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn an_eviction_is_told_like_every_refusal() {
    let agent = agent().start().await.unwrap();
    let (hook, mut handshakes) = hook();
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .max_pending_handshakes(1)
        .on_handshake(hook)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, app()).into_future());
    let first = connect_from("127.0.0.1", port).await;
    let _second = connect_from("127.0.0.1", port).await;
    let told = told(&mut handshakes).await;
    assert_eq!(
        (told.reason, told.address),
        ("evicted", first.local_addr().unwrap().to_string())
    );
}

/// What the system says where no file descriptor is left.
const EMFILE: i32 = 24;

/// A listener that has no file descriptors left, as long as it is told so.
struct Exhausted {
    tcp: TcpListener,
    is_exhausted: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

impl Incoming for Exhausted {
    type Io = TcpStream;
    type Address = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.is_exhausted.load(Ordering::SeqCst) {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        Incoming::accept(&mut self.tcp).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    fn ip(address: &SocketAddr) -> Option<IpAddr> {
        Some(address.ip())
    }
}

#[tokio::test]
async fn threats_49_without_file_descriptors_it_waits_and_finishes_what_it_has() {
    let agent = agent().start().await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let (is_exhausted, attempts) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (hook, mut handshakes) = hook();
    let mut listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .on_handshake(hook)
        .listen(Exhausted {
            tcp,
            is_exhausted: is_exhausted.clone(),
            attempts: attempts.clone(),
        })
        .unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    // One begins to shake hands, and then there is no descriptor left.
    let pending = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let accepting = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(accepting.is_err(), "it has said nothing yet");
    is_exhausted.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let exhausted = Duration::from_millis(600);
    let nobody = tokio::time::timeout(exhausted, listener.accept()).await;
    assert!(nobody.is_err());
    let made = attempts.load(Ordering::SeqCst);
    assert!(
        (1..=10).contains(&made),
        "{made} attempts: it does not spin"
    );
    let (stream, accepted) = tokio::join!(
        dialer.over(pending, "http/1.1"),
        tokio::time::timeout(PATIENCE, listener.accept())
    );
    stream.unwrap();
    accepted.expect("what has begun is finished meanwhile");
    assert!(begun.elapsed() >= exhausted);
    assert_eq!(told(&mut handshakes).await.reason, "full");
    // It recovers by itself.
    is_exhausted.store(false, Ordering::SeqCst);
    let (stream, accepted) = tokio::join!(
        dialer.dial(port, "http/1.1"),
        tokio::time::timeout(PATIENCE, listener.accept())
    );
    stream.unwrap();
    accepted.expect("it accepts again");
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    tokio::spawn(serve(listener, app()).max_connections(1).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let mut first = dialer.dial(port, "http/1.1").await.unwrap();
    ask(&mut first, "/").await.unwrap();
    read_until(&mut first, ALLOWED).await.unwrap();
    let second = async {
        let mut second = dialer.dial(port, "http/1.1").await.unwrap();
        ask(&mut second, "/").await.unwrap();
        read_until(&mut second, ALLOWED).await.unwrap();
    };
    let mut second = std::pin::pin!(second);
    let waits = tokio::time::timeout(Duration::from_millis(300), second.as_mut()).await;
    assert!(waits.is_err(), "there is no place for a second");
    drop(first);
    tokio::time::timeout(PATIENCE, second)
        .await
        .expect("a place is free");
}

#[tokio::test]
async fn threats_54_a_head_that_is_too_large_is_refused() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    tokio::spawn(serve(listener, app()).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    let status = async |bytes: usize| {
        let mut io = dialer.dial(port, "http/1.1").await.unwrap();
        let large = "a".repeat(bytes);
        let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-large: {large}\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        read_until(&mut io, "\r\n\r\n").await.unwrap()
    };
    let fits = status(8 * 1024).await;
    assert!(fits.starts_with("HTTP/1.1 200"), "control: {fits}");
    let too_large = status(17 * 1024).await;
    assert!(too_large.starts_with("HTTP/1.1 431"), "{too_large}");

    let io = dialer.dial(port, "h2").await.unwrap();
    let (mut requests, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut status = async |bytes: usize| {
        let mut request = http::Request::get("https://localhost/");
        for part in 0..bytes / 1024 {
            request = request.header(format!("x-large-{part}"), "a".repeat(1024));
        }
        let (response, _) = requests
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        response.await.map(|response| response.status().as_u16())
    };
    assert_eq!(status(8 * 1024).await.unwrap(), 200, "control");
    assert!(!matches!(status(20 * 1024).await, Ok(status) if status != 431));
}

#[tokio::test]
async fn admission_holds_for_new_and_for_resumed_sessions() {
    let agent = agent().start().await.unwrap();
    let admits = Arc::new(AtomicBool::new(true));
    let admitted = admits.clone();
    let (hook, mut handshakes) = hook();
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .admit(Admission::decided_by(move |chain| {
            match chain.spiffe_id().path() {
                "/service/reporting" => Err("reports are for later".to_owned()),
                _ if admitted.load(Ordering::SeqCst) => Ok(()),
                _ => Err("the doors are closed".to_owned()),
            }
        }))
        .on_handshake(hook)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, app()).into_future());
    let comes = async |dialer: &Dialer| -> io::Result<String> {
        let mut io = dialer.dial(port, "http/1.1").await?;
        ask(&mut io, "/").await?;
        read_until(&mut io, "spiffe://").await
    };
    let (allowed, other) = (
        Dialer::new(&agent, "allowed").await,
        Dialer::new(&agent, "other").await,
    );
    comes(&other).await.unwrap_err();
    let refused = told(&mut handshakes).await;
    assert_eq!(refused.reason, "not_admitted");
    let why = refused.outcome.unwrap_err();
    assert!(
        why.contains(OTHER) || why.contains("reports are for later"),
        "{why}"
    );

    comes(&allowed).await.unwrap();
    assert_eq!(told(&mut handshakes).await.reason, "full");
    comes(&allowed).await.unwrap();
    assert_eq!(told(&mut handshakes).await.reason, "resumed", "control");
    admits.store(false, Ordering::SeqCst);
    comes(&allowed).await.unwrap_err();
    assert_eq!(told(&mut handshakes).await.reason, "not_admitted");
}

#[tokio::test]
async fn where_anonymous_clients_are_taken_they_are_nobody() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["web.test".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let web = WebCertificate::from_pem(
        certificate.pem().as_bytes(),
        key.serialize_pem().as_bytes(),
        own.provider(),
    )
    .unwrap();
    let (hook, mut handshakes) = hook();
    let listener = Acceptor::builder(own.clone())
        .anonymous_clients()
        .web_certificate(web)
        .on_handshake(hook)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, app()).into_future());

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(own.provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut io = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect("web.test".try_into().unwrap(), tcp)
        .await
        .expect("the certificate is that of the web");
    ask(&mut io, "/").await.unwrap();
    read_until(&mut io, "nobody").await.unwrap();
    assert_eq!(told(&mut handshakes).await.outcome, Ok(None));

    // A certificate that is shown has to be good.
    let stranger = AnyNames::new();
    let (chain, key) = stranger.leaf(vec![hostile::uri(ALLOWED)]);
    hostile::shows(port, chain, &key).await.unwrap_err();
    assert!(told(&mut handshakes).await.outcome.is_err());
}

#[tokio::test]
async fn every_handshake_and_every_connection_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let agent = agent().start().await.unwrap();
    let (hook, mut handshakes) = hook();
    let mut listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .on_handshake(hook)
        .max_pending_handshakes(1)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = Dialer::new(&agent, "allowed").await;
    let (client, accepted) = tokio::join!(dialer.dial(port, "http/1.1"), listener.accept());
    drop(client.unwrap());
    told(&mut handshakes).await;
    let _evicted = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut garbage = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let refusals = async {
        let evicted = told(&mut handshakes).await;
        let garbage = told(&mut handshakes).await;
        (evicted.reason, garbage.reason)
    };
    let reasons = tokio::select! {
        _ = listener.accept() => panic!("nobody is accepted"),
        reasons = refusals => reasons,
    };
    assert_eq!(reasons, ("evicted", "tls"));
    let open = figures(&snapshotter);
    assert_eq!(open["spiffe_connections_open"], 1.0);
    let (mut stream, _) = accepted;
    let _ = stream.read(&mut [0; 1]).await;
    drop(stream);
    // One more that is given up.
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    drop(listener);
    assert_eq!(told(&mut handshakes).await.reason, "abandoned");

    let closed = figures(&snapshotter);
    let total = |figures: &Figures, name: &str| -> f64 {
        let of = |(figure, _): &(&String, &f64)| figure.starts_with(name);
        figures.iter().filter(of).map(|(_, value)| value).sum()
    };
    let both = |name: &str| total(&open, name) + total(&closed, name);
    // A snapshot takes away what it shows, so that the second shows what has changed.
    assert_eq!(both("spiffe_handshakes_total"), 4.0, "{open:?} {closed:?}");
    assert_eq!(both("spiffe_handshake_duration_seconds"), 4.0);
    assert_eq!(closed["spiffe_connections_open"], -1.0);
    assert_eq!(both("spiffe_connections_closed_total"), 1.0);
}
