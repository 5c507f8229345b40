//! Real servers for tests of the guards: axum, a guarded router and tonic, each over TCP.
//!
//! The identity comes from a layer in front, so that no TLS is needed. Every service counts its calls.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::ServiceExt;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http_body_util::BodyExt;
use spiffe_authz::audit::{AuditRecord, AuditSink, Lost};
use spiffe_authz::axum::{GuardedService, Router, any_service, guard};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, ServerStreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tower::util::option_layer;
use tower::{Layer, Service, ServiceBuilder};

use crate::common::Probe;

pub const WEB: &str = "spiffe://example.org/ns/shop/sa/web";
pub const BATCH: &str = "spiffe://example.org/ns/shop/sa/batch";
pub const PARTNER: &str = "spiffe://partner.example/ns/shop/sa/web";

/// Longer than anything takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

/// A policy with these rules, each a line of YAML. `WEB`, `BATCH` and `PARTNER` are named principals.
pub fn text(rules: &[&str]) -> String {
    let mut text = format!(
        "version: 1\nname: test\ntrust_domains: {{ example.org: {{}}, partner.example: {{ federated: true }} }}\n\
         principals: {{ web: \"{WEB}\", batch: \"{BATCH}\", partner: \"{PARTNER}\" }}\nrules:\n"
    );
    for rule in rules {
        text.push_str(&format!("  - {{ {rule} }}\n"));
    }
    if rules.is_empty() {
        text.push_str("  []\n");
    }
    text
}

pub fn policy(rules: &[&str]) -> Policy {
    Policy::from_yaml(&text(rules)).unwrap()
}

/// What is wrong with a policy that holds these rules.
pub fn invalid(rules: &[&str]) -> String {
    Policy::from_yaml(&text(rules)).unwrap_err().to_string()
}

pub fn peer(id: &str) -> MockPeer {
    MockPeer::id(id).unwrap()
}

/// Serves with axum, over HTTP/1.1 and HTTP/2.
pub async fn serve<S>(peer: Option<&MockPeer>, service: S) -> SocketAddr
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = option_layer(peer.cloned()).layer(service);
    tokio::spawn(async move {
        axum::serve(listener, ServiceExt::<Request>::into_make_service(service)).await
    });
    address
}

/// One service under test, and how often what is behind it was called.
pub struct Server {
    pub address: SocketAddr,
    pub probe: Probe,
}

impl Server {
    /// axum's own router, which answers everything, behind a layer.
    pub async fn guarded(peer: Option<&MockPeer>, layer: AuthzLayer) -> Self {
        let probe = Probe::default();
        let app = layer.layer(everything(&probe));
        let address = serve(peer, app).await;
        Self { address, probe }
    }

    /// axum's own router behind nothing: the control.
    pub async fn open() -> Self {
        let probe = Probe::default();
        let address = serve(None, everything(&probe)).await;
        Self { address, probe }
    }
}

/// A router of axum's that answers every request.
pub fn everything(probe: &Probe) -> axum::Router {
    axum::Router::new().fallback_service(probe.clone())
}

/// A guarded router that leaves everything to its policy: every path but `/` has a handler.
pub fn everything_bound(probe: &Probe, layer: AuthzLayer) -> GuardedService {
    Router::new()
        .route("/{*rest}", any_service(probe.clone()).policy())
        .bind_with(layer)
        .unwrap()
}

/// The same policy in front of axum's router, of a guarded router and, as a control, of nothing.
pub struct Site {
    pub open: Server,
    pub guarded: Server,
    pub bound: Server,
}

impl Site {
    pub async fn of(peer: Option<&str>, rules: &[&str]) -> Self {
        Self::with(peer.map(self::peer).as_ref(), policy(rules)).await
    }

    pub async fn with(peer: Option<&MockPeer>, policy: Policy) -> Self {
        let probe = Probe::default();
        let guarded = Server {
            address: serve(peer, guard(everything(&probe), policy.clone()).unwrap()).await,
            probe,
        };
        let probe = Probe::default();
        let app = everything_bound(&probe, AuthzLayer::new(policy).unwrap());
        let bound = Server {
            address: serve(peer, app).await,
            probe,
        };
        Self {
            open: Server::open().await,
            guarded,
            bound,
        }
    }

    /// The head of an HTTP/1.1 request is refused with one of these, and no handler is called.
    pub async fn refused(&self, head: &str, statuses: &[u16]) {
        for (name, server) in [("guard", &self.guarded), ("bind", &self.bound)] {
            let before = server.probe.calls();
            let status = status(server.address, head).await;
            assert!(statuses.contains(&status), "{name}: {head:?} got {status}");
            assert_eq!(server.probe.calls(), before, "{name}: {head:?} was served");
        }
    }

    /// The same, of a request that reaches a handler where nobody guards it.
    pub async fn kept_out(&self, head: &str, statuses: &[u16]) {
        let before = self.open.probe.calls();
        status(self.open.address, head).await;
        assert_eq!(self.open.probe.calls(), before + 1, "{head:?} is harmless");
        self.refused(head, statuses).await;
    }

    /// The request is served, once, by both.
    pub async fn passes(&self, head: &str) {
        for (name, server) in [("guard", &self.guarded), ("bind", &self.bound)] {
            let before = server.probe.calls();
            let status = status(server.address, head).await;
            assert_eq!(status, 200, "{name}: {head:?}");
            assert_eq!(server.probe.calls(), before + 1, "{name}: {head:?}");
        }
    }
}

/// `GET PATH` as the head of a request to a host that is good.
pub fn head(request: &str) -> String {
    format!("{request} HTTP/1.1\r\nhost: good.test")
}

/// Sends the head of a request and reads the whole answer.
pub async fn exchange(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let close = if head.to_ascii_lowercase().contains("\r\nconnection:") {
        ""
    } else {
        "\r\nconnection: close"
    };
    stream
        .write_all(format!("{head}{close}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
            }
            // Without `close` the connection stays: no answer of these tests is larger than its head.
            if close.is_empty() && answer.windows(4).any(|end| end == b"\r\n\r\n") {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, read).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The status of the answer, zero where there is none.
pub async fn status(address: SocketAddr, head: &str) -> u16 {
    let answer = exchange(address, head).await;
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

/// The body of the answer to a request that asks for `close`.
pub async fn body(address: SocketAddr, request: &str) -> String {
    let answer = exchange(address, &head(request)).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

/// One request over HTTP/2 on a connection of its own.
pub async fn http2(address: SocketAddr, request: http::Request<()>) -> http::Response<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let (response, _) = client.send_request(request, true).unwrap();
    let (parts, mut body) = response.await.unwrap().into_parts();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    let mut response = http::Response::from_parts(parts, Bytes::from(bytes));
    if let Some(trailers) = body.trailers().await.unwrap() {
        response.extensions_mut().insert(trailers);
    }
    connection.abort();
    response
}

/// The status of a request over HTTP/2.
pub async fn http2_status(address: SocketAddr, method: &str, path: &str) -> u16 {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://good.test{path}"))
        .body(())
        .unwrap();
    http2(address, request).await.status().as_u16()
}

/// One HTTP/2 request written byte by byte, since no client would send such a one. Gives the type of
/// the frame that ends the matter: 1 for headers, 3 for a reset, 7 for the end of the connection.
pub async fn raw_http2(address: SocketAddr, headers: &[(&str, &str)]) -> u8 {
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
    bytes.extend_from_slice(&[0, 0, u8::try_from(block.len()).unwrap()]);
    bytes.extend_from_slice(&[1, 0x5, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let outcome = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return 7;
            }
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.unwrap();
            if matches!(head[3], 1 | 3 | 7) {
                return head[3];
            }
        }
    };
    tokio::time::timeout(LONG, outcome).await.unwrap()
}

/// Messages that are texts.
#[derive(Clone, Default)]
pub struct Texts;

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(String::from_utf8(bytes.to_vec()).unwrap()))
    }
}

/// The tonic service `shop.v1.Orders`, which answers every method; `Watch` says one thing and goes on.
#[derive(Clone, Default)]
pub struct Orders(Arc<AtomicUsize>);

impl Orders {
    pub fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.v1.Orders";
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<http::Request<tonic::body::Body>> for Orders {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        let watches = request.uri().path().ends_with("/Watch");
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Texts);
            Ok(if watches {
                grpc.server_streaming(Watch, request).await
            } else {
                grpc.unary(Answer, request).await
            })
        })
    }
}

struct Answer;

impl UnaryService<String> for Answer {
    type Response = String;
    type Future = std::future::Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(request.into_inner())))
    }
}

struct Watch;

impl ServerStreamingService<String> for Watch {
    type Response = String;
    type ResponseStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<String, Status>> + Send>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let one = tokio_stream::once(Ok(request.into_inner()));
        let stream: Self::ResponseStream = Box::pin(one.chain(tokio_stream::pending()));
        std::future::ready(Ok(tonic::Response::new(stream)))
    }
}

/// tonic's own server with a layer around its routes.
pub async fn serve_tonic(
    peer: Option<&MockPeer>,
    layer: Option<AuthzLayer>,
    orders: &Orders,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layers = ServiceBuilder::new()
        .layer(option_layer(peer.cloned()))
        .layer(option_layer(layer))
        .into_inner();
    let server = tonic::transport::Server::builder()
        .layer(layers)
        .add_service(orders.clone())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

/// A tonic service behind a policy, and one behind nothing.
pub struct RpcSite {
    pub orders: Orders,
    pub address: SocketAddr,
    pub open: SocketAddr,
    pub open_orders: Orders,
}

impl RpcSite {
    pub async fn of(peer: Option<&str>, rules: &[&str]) -> Self {
        let (orders, open_orders) = (Orders::default(), Orders::default());
        let layer = AuthzLayer::new(policy(rules)).unwrap();
        let peer = peer.map(self::peer);
        Self {
            address: serve_tonic(peer.as_ref(), Some(layer), &orders).await,
            open: serve_tonic(None, None, &open_orders).await,
            orders,
            open_orders,
        }
    }

    pub async fn refused(&self, path: &str, code: tonic::Code) {
        let before = self.orders.calls();
        let status = unary(self.address, path).await.unwrap_err();
        assert_eq!(status.code(), code, "{path}");
        assert_eq!(self.orders.calls(), before, "{path} was served");
    }

    /// The same, of a call that reaches the service where nobody guards it.
    pub async fn kept_out(&self, path: &str, code: tonic::Code) {
        let before = self.open_orders.calls();
        unary(self.open, path).await.unwrap();
        assert_eq!(self.open_orders.calls(), before + 1, "{path} is harmless");
        self.refused(path, code).await;
    }

    pub async fn passes(&self, path: &str) {
        let before = self.orders.calls();
        assert_eq!(unary(self.address, path).await.unwrap(), "hello", "{path}");
        assert_eq!(self.orders.calls(), before + 1, "{path}");
    }
}

pub async fn channel(address: SocketAddr) -> tonic::client::Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    client
}

/// Calls an RPC with a tonic client.
pub async fn unary(address: SocketAddr, path: &str) -> Result<String, Status> {
    let path = PathAndQuery::from_str(path).unwrap();
    let request = tonic::Request::new("hello".to_owned());
    let response = channel(address).await.unary(request, path, Texts).await?;
    Ok(response.into_inner())
}

/// Keeps every record as the JSON that a file would get.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Vec<serde_json::Value>>>);

impl Records {
    pub fn take(&self) -> Vec<serde_json::Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl AuditSink for Records {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        let record = serde_json::to_value(record).unwrap();
        self.0.lock().unwrap().push(record);
        Ok(())
    }
}

/// Reads an axum body to its end.
pub async fn bytes(body: Body) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}
