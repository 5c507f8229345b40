//! What a `GET` on an open connection costs the server, beside hyper-util on plain tokio-rustls.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bench::clients::{self, Sessions};
use bench::pki::{CLIENT, DIALLED, Root, SERVER, Svid};
use bench::process::Server;
use bench::{Gate, Report, Row, publish, servers, taking_turns};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 41;
const REQUESTS: usize = 2_400;
/// Requests at a time: over HTTP/1.1 each on a connection of its own, over HTTP/2 all on one.
const AT_A_TIME: usize = 8;
/// Where a program lies in memory makes it a little faster or slower: so several pairs of servers.
const PAIRS: usize = 3;
const PEERS: [(&str, &str, Gate); 2] = [
    (
        "bare-with-timeouts",
        "hyper-util on plain tokio-rustls, with the same timeouts",
        Gate::AtMostTimes(1.03),
    ),
    (
        "bare",
        "hyper-util on plain tokio-rustls, where a silent client stays for ever",
        Gate::None,
    ),
];

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind, directory] = &args[..]
        && serve == "serve"
    {
        servers::serve(kind, Path::new(directory))?;
        return Ok(ExitCode::SUCCESS);
    }

    let directory = tempfile::tempdir()?;
    let issuer = Root::new()?.intermediate(0)?;
    issuer.issue(SERVER)?.write(directory.path())?;
    let svid = issuer.issue(CLIENT)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        for (kind, peer, gate) in PEERS {
            let mut pairs = (0..PAIRS)
                .map(|_| pair(&runtime, version, kind, directory.path(), &svid))
                .collect::<Result<Vec<_>, _>>()?;
            pairs.sort_unstable_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
            let (ours, theirs) = pairs[PAIRS / 2];
            let peer = (peer, theirs);
            rows.push(Row::new(version.what(), ours, peer, "µs of CPU", gate));
        }
    }
    Ok(publish(&Report::new("keepalive", ROUNDS * PAIRS, rows))?)
}

#[derive(Debug, Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

impl Version {
    fn what(self) -> &'static str {
        match self {
            Self::Http1 => "GET over HTTP/1.1, connection kept",
            Self::Http2 => "GET over HTTP/2, connection kept",
        }
    }

    fn alpn(self) -> Vec<u8> {
        match self {
            Self::Http1 => b"http/1.1".to_vec(),
            Self::Http2 => b"h2".to_vec(),
        }
    }
}

/// A new pair of servers, compared.
fn pair(
    runtime: &Runtime,
    version: Version,
    peer: &str,
    directory: &Path,
    svid: &Svid,
) -> Result<(f64, f64), Failure> {
    let child = |kind| Server::this_program([Path::new("serve"), Path::new(kind), directory]);
    let (ours, theirs) = (child("ours")?, child(peer)?);
    ours.keep_apart()?;
    theirs.keep_apart()?;
    let open = |server: &Server| runtime.block_on(Callers::open(server, version, svid));
    let (mut to_ours, mut to_theirs) = (open(&ours)?, open(&theirs)?);
    let medians = taking_turns(
        ROUNDS,
        &mut [&mut || round(runtime, &ours, &mut to_ours), &mut || {
            round(runtime, &theirs, &mut to_theirs)
        }],
    )?;
    Ok((medians[0], medians[1]))
}

fn round(runtime: &Runtime, server: &Server, callers: &mut Callers) -> Result<f64, Failure> {
    let before = server.cpu()?;
    runtime.block_on(callers.call())?;
    let spent = server.cpu()? - before;
    Ok(spent.as_secs_f64() * 1e6 / REQUESTS as f64)
}

/// Open connections to one server, ready for requests.
struct Callers(Vec<Caller>);

enum Caller {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Callers {
    async fn open(server: &Server, version: Version, svid: &Svid) -> Result<Self, Failure> {
        let provider = spiffe_verify::default_provider()?;
        let mut config = clients::config(svid, &provider, Sessions::None)?;
        config.alpn_protocols = vec![version.alpn()];
        let connector = TlsConnector::from(Arc::new(config));
        let connect = async || {
            let tcp = TcpStream::connect(server.address()).await?;
            tcp.set_nodelay(true)?;
            let tls = connector.connect(DIALLED.try_into()?, tcp).await?;
            Ok::<_, Failure>(TokioIo::new(tls))
        };
        let mut callers = Vec::with_capacity(AT_A_TIME);
        match version {
            Version::Http1 => {
                for _ in 0..AT_A_TIME {
                    let (sender, connection) = http1::handshake(connect().await?).await?;
                    tokio::spawn(connection);
                    callers.push(Caller::Http1(sender));
                }
            }
            Version::Http2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) = http2::handshake(executor, connect().await?).await?;
                tokio::spawn(connection);
                let all = std::iter::repeat_with(|| Caller::Http2(sender.clone()));
                callers.extend(all.take(AT_A_TIME));
            }
        }
        Ok(Self(callers))
    }

    async fn call(&mut self) -> Result<(), Failure> {
        let mut calls = JoinSet::new();
        for caller in self.0.drain(..) {
            calls.spawn(caller.calls(REQUESTS / AT_A_TIME));
        }
        while let Some(caller) = calls.join_next().await {
            self.0.push(caller??);
        }
        Ok(())
    }
}

impl Caller {
    async fn calls(mut self, count: usize) -> Result<Self, Failure> {
        for _ in 0..count {
            let response = match &mut self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    let request = Request::get("/").header("host", DIALLED);
                    sender.send_request(request.body(Empty::new())?).await?
                }
                Self::Http2(sender) => {
                    sender.ready().await?;
                    let request = Request::get(format!("https://{DIALLED}/"));
                    sender.send_request(request.body(Empty::new())?).await?
                }
            };
            if !response.status().is_success() {
                return Err(format!("the answer is {}", response.status()).into());
            }
            response.into_body().collect().await?;
        }
        Ok(self)
    }
}
