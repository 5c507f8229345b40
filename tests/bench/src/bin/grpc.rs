//! What a unary call on an open connection costs a tonic server: behind our acceptor, beside tonic's
//! own TLS with certificates that never change, and what rules add to it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};

use bench::clients::{self, Sessions};
use bench::pki::{CLIENT, DIALLED, Root, SERVER, Svid};
use bench::process::Server;
use bench::{Gate, Report, Row, publish, servers, taking_turns};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::CryptoProvider;
use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_authz::axum::{Router, Rpcs};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::policy::Policy;
use spiffe_source::Source;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::server::{Server as Tonic, TcpIncoming};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 41;
const CALLS: usize = 2_400;
const AT_A_TIME: usize = 8;
/// Where a program lies in memory makes it a little faster or slower: so several pairs of servers.
const PAIRS: usize = 3;

const POLICY: &str = "
version: 1
name: bench
trust_domains: { example.org: {} }
rules:
  - { name: call, allow: ['grpc bench.Echo/Once'], from: ['spiffe://example.org/**'] }
";

/// What is called, what it is held against, and the gate.
const ROWS: [(&str, &str, &str, &str, Gate); 3] = [
    (
        "a unary call",
        "ours",
        "tonic",
        "tonic's own TLS, static certificates",
        Gate::AtMostTimes(1.03),
    ),
    (
        "a unary call through `AuthzLayer`",
        "layer",
        "ours",
        "the same server without rules",
        Gate::None,
    ),
    (
        "a unary call with the rules of an annotation",
        "rules",
        "ours",
        "the same server without rules",
        Gate::None,
    ),
];

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind, directory] = &args[..]
        && serve == "serve"
    {
        servers::end_with_standard_input(|_| {});
        servers::runtime()?.block_on(self::serve(kind, Path::new(directory)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = tempfile::tempdir()?;
    let issuer = Root::new()?.intermediate(0)?;
    issuer.issue(SERVER)?.write(directory.path())?;
    let svid = issuer.issue(CLIENT)?;
    let runtime = servers::runtime()?;
    let mut rows = Vec::new();
    for (what, ours, theirs, peer, gate) in ROWS {
        let mut pairs = (0..PAIRS)
            .map(|_| pair(&runtime, [ours, theirs], directory.path(), &svid))
            .collect::<Result<Vec<_>, _>>()?;
        pairs.sort_unstable_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
        let (ours, theirs) = pairs[PAIRS / 2];
        rows.push(Row::new(what, ours, (peer, theirs), "µs of CPU", gate));
    }
    Ok(publish(&Report::new("grpc", ROUNDS * PAIRS, rows))?)
}

/// A new pair of servers, compared.
fn pair(
    runtime: &Runtime,
    kinds: [&str; 2],
    directory: &Path,
    svid: &Svid,
) -> Result<(f64, f64), Failure> {
    let [ours, theirs] =
        kinds.map(|kind| Server::this_program([Path::new("serve"), Path::new(kind), directory]));
    let (ours, theirs) = (ours?, theirs?);
    ours.keep_apart()?;
    theirs.keep_apart()?;
    let open = |server: &Server| runtime.block_on(open(server.address(), svid));
    let (to_ours, to_theirs) = (open(&ours)?, open(&theirs)?);
    let medians = taking_turns(
        ROUNDS,
        &mut [&mut || round(runtime, &ours, &to_ours), &mut || {
            round(runtime, &theirs, &to_theirs)
        }],
    )?;
    Ok((medians[0], medians[1]))
}

fn round(
    runtime: &Runtime,
    server: &Server,
    to: &SendRequest<Full<Bytes>>,
) -> Result<f64, Failure> {
    let before = server.cpu()?;
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..AT_A_TIME {
            callers.spawn(calls(to.clone(), CALLS / AT_A_TIME));
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        Ok::<_, Failure>(())
    })?;
    let spent = server.cpu()? - before;
    Ok(spent.as_secs_f64() * 1e6 / CALLS as f64)
}

async fn open(to: SocketAddr, svid: &Svid) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let provider = spiffe_verify::default_provider()?;
    let mut config = clients::config(svid, &provider, Sessions::None)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(to).await?;
    tcp.set_nodelay(true)?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(DIALLED.try_into()?, tcp)
        .await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn calls(mut to: SendRequest<Full<Bytes>>, count: usize) -> Result<(), Failure> {
    // A message with one text, `hello`, and what gRPC puts before a message.
    const MESSAGE: &[u8] = b"\0\0\0\0\x07\x0a\x05hello";
    for _ in 0..count {
        to.ready().await?;
        let request = Request::post(format!("https://{DIALLED}/bench.Echo/Once"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(MESSAGE)))?;
        let answer = to
            .send_request(request)
            .await?
            .into_body()
            .collect()
            .await?;
        let status = answer
            .trailers()
            .and_then(|trailers| trailers.get("grpc-status"));
        if status.is_none_or(|status| status != "0") || answer.to_bytes() != MESSAGE {
            return Err("the call was not answered".into());
        }
    }
    Ok(())
}

async fn serve(kind: &str, directory: &Path) -> Result<(), Failure> {
    if kind == "tonic" {
        // It takes what the process has.
        let provider = spiffe_verify::default_provider()?;
        let _ = CryptoProvider::clone(&provider).install_default();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        servers::announce(tcp.local_addr()?)?;
        let read = |name: &str| std::fs::read(directory.join(name));
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(read("chain.pem")?, read("key.pem")?))
            .client_ca_root(Certificate::from_pem(read("root.pem")?));
        let incoming = TcpIncoming::from(tcp).with_nodelay(Some(true));
        let server = Tonic::builder().tls_config(tls)?.add_service(Echo);
        return Ok(server.serve_with_incoming(incoming).await?);
    }
    let source = Source::fixed(Svid::read(directory)?.material())
        .connect()
        .await?;
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
    servers::announce(listener.local_addr()?)?;
    let incoming = listener.into_incoming();
    let server = Tonic::builder().layer(PeerIdentityLayer::new());
    let policy = Policy::from_yaml(POLICY)?;
    match kind {
        "ours" => {
            server
                .clone()
                .add_service(Echo)
                .serve_with_incoming(incoming)
                .await?
        }
        "layer" => {
            let mut server = server.layer(AuthzLayer::new(policy)?);
            server
                .add_service(Echo)
                .serve_with_incoming(incoming)
                .await?;
        }
        "rules" => {
            let rules = Rpcs::new().allow("Once", "spiffe://example.org/**");
            let routes = Routes::from(Router::<()>::new().grpc(Echo, rules).build()?);
            server
                .clone()
                .add_routes(routes)
                .serve_with_incoming(incoming)
                .await?;
        }
        other => return Err(format!("there is no server `{other}`").into()),
    }
    Ok(())
}

/// A service by hand that answers with what it was asked.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<String> for Echo {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

impl<B> Service<Request<B>> for Echo
where
    B: http_body::Body<Data: Send, Error: Into<Failure> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            Ok(match request.uri().path() {
                "/bench.Echo/Once" => grpc.unary(Self, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
