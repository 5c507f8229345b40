//! The acceptor below every server that it plugs into, and above every transport.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use integration::client::{Dialer, ask, read_until};
use integration::grpc::{self, Whoami};
use integration::{ALLOWED, OTHER, SERVER, agent, listen, source};
use spiffe_acceptor::{
    Acceptor, AxumServerAcceptor, Incoming, PeerIdentity, PeerIdentityLayer, ServeWithPeer,
    WithPeer, serve,
};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::policy::Policy;
use spiffe_connector::Connector;
use spiffe_peer::{AuthMethod, Connection, Fingerprint, VerifiedPeer, parse};
use spiffe_source::{DenyList, Source};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(20);

fn app() -> Router {
    Router::new().route("/", get(async |peer: PeerIdentity| peer.to_string()))
}

async fn says_who_asks<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO, who: &str) {
    ask(&mut io, "/").await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, read_until(&mut io, who)).await;
    answer.expect("an answer").unwrap();
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

#[tokio::test]
async fn tonics_own_server_knows_the_peer_and_its_address() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own.clone())
        .grace(Duration::from_secs(3600))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tonic::transport::Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_service(Whoami)
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    let channel = channel(source(&agent, "allowed", &[]).await, port).await;
    let said = grpc::once(channel.clone()).await.unwrap();
    assert_eq!(said, format!("{ALLOWED} from Some(127.0.0.1)"));

    own.deny(format!("{ALLOWED}\nend").parse::<DenyList>().unwrap());
    let refused = async {
        loop {
            match grpc::once(channel.clone()).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
}

#[tokio::test]
async fn a_stream_of_tonics_ends_with_a_status_when_the_trust_in_its_caller_does() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let listener = Acceptor::builder(own.clone())
        .grace(Duration::from_secs(3600))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let policy = Policy::from_yaml(
        "{ version: 1, name: whoami, trust_domains: { example.org: {} }, rules: [{ name: all, \
         allow: ['grpc test.Whoami/*'], from: authenticated, \
         because: all may ask }] }",
    );
    let authz = AuthzLayer::new(policy.unwrap()).unwrap();
    let server = tonic::transport::Server::builder()
        .layer(PeerIdentityLayer::new())
        .layer(authz.streams())
        .layer(authz)
        .add_service(Whoami)
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    let channel = channel(source(&agent, "allowed", &[]).await, port).await;
    let mut stream = grpc::forever(channel).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());

    own.deny(format!("{ALLOWED}\nend").parse::<DenyList>().unwrap());
    let ended = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert_eq!(status.message(), "unauthenticated");
}

#[tokio::test]
async fn tonics_server_refuses_what_did_not_come_through_the_acceptor() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let server = tonic::transport::Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_service(Whoami)
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(tcp));
    tokio::spawn(server);
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let status = grpc::once(channel).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert_eq!(status.message(), "", "refused before the service is asked");
}

#[tokio::test]
async fn rest_and_grpc_share_a_port() {
    let agent = agent().start().await.unwrap();
    let (listener, port) = listen(&agent).await;
    let routes = tonic::service::Routes::new(Whoami).into_axum_router();
    let app = routes.route("/", get(async |peer: PeerIdentity| peer.to_string()));
    tokio::spawn(serve(listener, app).into_future());
    let dialer = Dialer::new(&agent, "allowed").await;
    says_who_asks(dialer.dial(port, "http/1.1").await.unwrap(), ALLOWED).await;
    let channel = channel(dialer.source.clone(), port).await;
    let said = grpc::once(channel).await.unwrap();
    assert!(said.starts_with(ALLOWED), "{said}");
}

/// Whether a handler learns the address of its caller.
async fn says_where_from(dialer: &Dialer, port: u16, app: &str) {
    let mut io = dialer.dial(port, "http/1.1").await.unwrap();
    let from = io.get_ref().0.local_addr().unwrap().to_string();
    ask(&mut io, "/").await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, read_until(&mut io, &from)).await;
    assert!(answer.unwrap().is_ok(), "{app}");
}

#[tokio::test]
async fn the_address_of_the_other_end_is_where_axum_and_tonic_look_for_it() {
    let agent = agent().start().await.unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    let from = async |_: PeerIdentity, ConnectInfo(from): ConnectInfo<SocketAddr>| from.to_string();
    let routes = || tonic::service::Routes::new(Whoami).into_axum_router();
    let app = || routes().route("/", get(from));

    let (listener, port) = listen(&agent).await;
    let server = serve(listener, app())
        .with_connect_info()
        .with_tonic_connect_info();
    tokio::spawn(server.into_future());
    says_where_from(&dialer, port, "serve").await;
    let said = grpc::once(channel(dialer.source.clone(), port).await).await;
    assert_eq!(said.unwrap(), format!("{ALLOWED} from Some(127.0.0.1)"));

    let (listener, port) = listen(&agent).await;
    let make = app().into_make_service_with_peer().with_connect_info();
    tokio::spawn(axum::serve(listener, make).into_future());
    says_where_from(&dialer, port, "axum::serve").await;

    let (listener, port) = listen(&agent).await;
    tokio::spawn(serve(listener, routes()).into_future());
    let said = grpc::once(channel(dialer.source.clone(), port).await).await;
    assert_eq!(said.unwrap(), format!("{ALLOWED} from None"), "control");
}

#[tokio::test]
async fn axum_server_takes_the_acceptor() {
    let agent = agent().start().await.unwrap();
    let (sender, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let acceptor: AxumServerAcceptor = Acceptor::builder(source(&agent, "server", &[]).await)
        .on_handshake(move |handshake| {
            if handshake.outcome().is_err() {
                let _ = sender.send((handshake.address(), handshake.reason()));
            }
        })
        .build()
        .unwrap()
        .into();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let handle = axum_server::Handle::new();
    let server = axum_server::from_tcp(tcp)
        .unwrap()
        .handle(handle.clone())
        .acceptor(acceptor);
    let server = tokio::spawn(server.serve(app().into_make_service()));
    let dialer = Dialer::new(&agent, "allowed").await;
    says_who_asks(dialer.dial(port, "http/1.1").await.unwrap(), ALLOWED).await;
    let mut garbage = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let refused = tokio::time::timeout(PATIENCE, refusals.recv())
        .await
        .unwrap();
    let from = garbage.local_addr().unwrap().to_string();
    assert_eq!(
        refused,
        Some((Some(from), "tls")),
        "what axum-server drops in silence"
    );
    handle.graceful_shutdown(Some(Duration::from_secs(1)));
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_built_by_hand_on_hyper() {
    let agent = agent().start().await.unwrap();
    let acceptor = Acceptor::builder(source(&agent, "server", &[]).await)
        .build()
        .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let stream = acceptor.accept(far).await.unwrap();
        let app = WithPeer::new(app(), stream.peer().cloned());
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
            .await
    });
    let dialer = Dialer::new(&agent, "allowed").await;
    says_who_asks(dialer.over(near, "http/1.1").await.unwrap(), ALLOWED).await;
}

#[tokio::test]
async fn unix_sockets_under_our_serve_and_under_axums() {
    let agent = agent().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listen = async |name: &str| {
        let path = directory.path().join(name);
        let listener = Acceptor::builder(source(&agent, "server", &[]).await)
            .listen(UnixListener::bind(&path).unwrap())
            .unwrap();
        (listener, path)
    };
    let (listener, ours) = listen("ours").await;
    tokio::spawn(serve(listener, app()).into_future());
    let (listener, axums) = listen("axums").await;
    tokio::spawn(axum::serve(listener, app().into_make_service_with_peer()).into_future());
    let dialer = Dialer::new(&agent, "other").await;
    for path in [ours, axums] {
        let unix = UnixStream::connect(path).await.unwrap();
        says_who_asks(dialer.over(unix, "http/1.1").await.unwrap(), OTHER).await;
    }
}

/// A connection that begins with a PROXY-protocol header, version 1. Whoever reads first reads the
/// header: that is the handshake, and its deadline holds.
struct Proxied {
    tcp: TcpStream,
    head: Vec<u8>,
    said: Arc<OnceLock<SocketAddr>>,
}

impl Proxied {
    const LONGEST_HEAD: usize = 107;

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.said.get().is_none() {
            // What follows the header belongs to TLS, so this goes byte by byte.
            let mut byte = [0; 1];
            let mut buf = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf))?;
            let invalid = || io::Error::new(io::ErrorKind::InvalidData, "no PROXY header");
            if buf.filled().is_empty() || self.head.len() == Self::LONGEST_HEAD {
                return Poll::Ready(Err(invalid()));
            }
            self.head.push(byte[0]);
            if self.head.ends_with(b"\r\n") {
                let head = std::str::from_utf8(&self.head).map_err(|_| invalid())?;
                let parts: Vec<&str> = head.trim_end().split(' ').collect();
                let ["PROXY", "TCP4", ip, _, port, _] = parts[..] else {
                    return Poll::Ready(Err(invalid()));
                };
                let address = format!("{ip}:{port}").parse().map_err(|_| invalid())?;
                let _ = self.said.set(address);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Proxied {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_head(cx))?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Proxied {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Behind a proxy all addresses are the proxy's, so there is no quota by address.
struct BehindProxy(TcpListener);

/// Known once the header has been read.
#[derive(Clone)]
struct ProxiedAddress(Arc<OnceLock<SocketAddr>>);

impl std::fmt::Debug for ProxiedAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.get() {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl Incoming for BehindProxy {
    type Io = Proxied;
    type Address = ProxiedAddress;

    async fn accept(&mut self) -> io::Result<(Proxied, ProxiedAddress)> {
        let (tcp, _) = self.0.accept().await?;
        let said = Arc::<OnceLock<SocketAddr>>::default();
        let io = Proxied {
            tcp,
            head: Vec::new(),
            said: said.clone(),
        };
        Ok((io, ProxiedAddress(said)))
    }

    fn local_addr(&self) -> io::Result<ProxiedAddress> {
        let local = self.0.local_addr()?;
        Ok(ProxiedAddress(Arc::new(OnceLock::from(local))))
    }
}

#[tokio::test]
async fn a_proxy_header_is_read_under_the_deadline_of_its_handshake() {
    let agent = agent().start().await.unwrap();
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let deadline = Duration::from_secs(1);
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .handshake_timeout(deadline)
        .on_handshake(move |handshake| {
            let _ = sender.send((handshake.address().unwrap(), handshake.reason()));
        })
        .listen(BehindProxy(tcp))
        .unwrap();
    tokio::spawn(serve(listener, app()).into_future());
    let mut told = async || {
        tokio::time::timeout(PATIENCE, told.recv())
            .await
            .unwrap()
            .unwrap()
    };
    // One that never finishes its header makes nobody wait.
    let mut slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    slow.write_all(b"PROXY TCP4 192.0").await.unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
        .await
        .unwrap();
    let dialer = Dialer::new(&agent, "allowed").await;
    says_who_asks(dialer.over(tcp, "http/1.1").await.unwrap(), ALLOWED).await;
    assert_eq!(told().await, ("192.0.2.7:4711".to_owned(), "full"));
    assert_eq!(told().await, ("unknown".to_owned(), "timeout"));
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or_default(), 0);
    let mut without = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    without.write_all(&[22; 200]).await.unwrap();
    assert_eq!(told().await, ("unknown".to_owned(), "tls"));
}

fn peer() -> PeerIdentity {
    let peer = VerifiedPeer {
        spiffe_id: parse::workload_id(ALLOWED).unwrap(),
        not_after: SystemTime::now() + Duration::from_secs(60),
        fingerprint: Fingerprint::from_sha256([0; 32]),
        method: AuthMethod::MtlsX509Svid,
    };
    PeerIdentity::assume_verified(peer, Connection::new())
}

#[tokio::test]
async fn threats_57_no_spelling_of_an_identity_header_passes() {
    let names = async |headers: HeaderMap| {
        let names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        names.join(" ")
    };
    let app = Router::new().route("/", get(names));
    let request = Request::get("/")
        .header("X-Forwarded-Client-Cert", "URI=spiffe://example.org/admin")
        .header("x_forwarded-client_cert", "URI=spiffe://example.org/admin")
        .header("x_forwarded_client_cert", "URI=spiffe://example.org/admin")
        .header("X-SPIFFE-ID", "spiffe://example.org/admin")
        .header("x-spiffe-id", "spiffe://example.org/admin")
        .header("X-Spiffe_Id", "spiffe://example.org/admin")
        .header("x_spiffe_id", "spiffe://example.org/admin")
        .header("x_kept", "control")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = WithPeer::new(app, peer()).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "x_kept");
}

#[tokio::test]
async fn without_an_identity_nobody_s_is_used() {
    let app = Router::new().route(
        "/",
        get(async |peer: Option<PeerIdentity>| peer.map_or("nobody".into(), |p| p.to_string())),
    );
    let request = || {
        Request::get("/")
            .extension(peer())
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let body = async |response: axum::response::Response| {
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap().to_bytes()
    };
    let plain = app
        .clone()
        .oneshot(request().map(axum::body::Body::new))
        .await
        .unwrap();
    assert_eq!(body(plain).await, ALLOWED, "control");
    let anonymous = WithPeer::new(app, None);
    let anonymous = anonymous
        .oneshot(request().map(axum::body::Body::new))
        .await
        .unwrap();
    assert_eq!(body(anonymous).await, "nobody");
}
