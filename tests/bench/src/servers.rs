//! The servers that benches run in processes of their own: ours, and hyper-util on plain
//! tokio-rustls with a verifier that never changes.

use std::convert::Infallible;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use spiffe_acceptor::Acceptor;
use spiffe_source::{ConnectError, Feed, Material, Sink, Source};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::service_fn;

use crate::pki::Svid;

type Failure = Box<dyn Error + Send + Sync>;

/// What every server answers to everything.
pub const BODY: &str = "hello, payment processor\n";

/// The runtime of every server: one thread, as nginx with one worker.
///
/// # Errors
///
/// Where the system gives none.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Serves as the arguments say (`serve ours DIRECTORY`) until standard input ends.
///
/// # Errors
///
/// Where the server cannot be started.
pub fn serve(kind: &str, directory: &Path) -> Result<(), Failure> {
    if kind != "rotating" {
        end_with_standard_input(|_| {});
    }
    let svid = Svid::read(directory)?;
    let runtime = runtime()?;
    match kind {
        "ours" => runtime.block_on(ours(&svid)),
        "bare" => runtime.block_on(bare(&svid, auto::Builder::new(TokioExecutor::new()))),
        "bare-with-timeouts" => runtime.block_on(bare(&svid, with_timeouts())),
        "rotating" => runtime.block_on(rotating(directory, svid)),
        other => Err(format!("there is no server `{other}`").into()),
    }
}

/// Whoever started this server keeps its standard input open, and does not outlive it.
pub fn end_with_standard_input(hear: impl Fn(&str) + Send + 'static) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            hear(&line);
        }
        std::process::exit(0);
    });
}

/// Says where this server listens.
///
/// # Errors
///
/// Where nobody listens to that.
pub fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{address}")?;
    stdout.flush()
}

async fn ours(svid: &Svid) -> Result<(), Failure> {
    let source = Source::fixed(svid.material()).connect().await?;
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    Ok(spiffe_acceptor::serve(listener, service_fn(answer)).await?)
}

/// Ours, with two SVIDs: told `rotate MILLISECONDS` it changes from one to the other that often, told
/// `rest` it stops. It answers either with the number of changes so far.
async fn rotating(directory: &Path, first: Svid) -> Result<(), Failure> {
    let second = Svid::read(&directory.join("next"))?;
    let (wish, wishes) = watch::channel(None);
    end_with_standard_input(move |line| {
        let wanted = line.strip_prefix("rotate ");
        let millis = wanted.and_then(|number| number.parse().ok());
        wish.send_replace(millis.map(Duration::from_millis));
    });
    let feed = Turning {
        material: [first.material(), second.material()],
        wishes,
    };
    let source = Source::from_feed(feed).connect().await?;
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    Ok(spiffe_acceptor::serve(listener, service_fn(answer)).await?)
}

struct Turning {
    material: [Material; 2],
    wishes: watch::Receiver<Option<Duration>>,
}

impl Feed for Turning {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("the bench".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        let (mut changes, mut every): (usize, Option<Duration>) = (0, None);
        sink.update(&self.material[0]);
        loop {
            let due = async {
                match every {
                    Some(every) => tokio::time::sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                told = self.wishes.changed() => match told {
                    Ok(()) => {
                        // Whatever has been said is answered, also where a change was on its way.
                        every = *self.wishes.borrow_and_update();
                        println!("{changes}");
                    }
                    Err(_) => return,
                },
                () = due => {
                    changes += 1;
                    sink.update(&self.material[changes % 2]);
                }
            }
        }
    }
}

/// As anybody has to set them who is on an open network: without, one silent client stays for ever.
fn with_timeouts() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let half_a_minute = Duration::from_secs(30);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(half_a_minute);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(half_a_minute)
        .keep_alive_timeout(half_a_minute);
    builder
}

async fn bare(svid: &Svid, http: auto::Builder<TokioExecutor>) -> Result<(), Failure> {
    let mut config = static_config(svid, &spiffe_verify::default_provider()?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let tls = TlsAcceptor::from(Arc::new(config));
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    announce(tcp.local_addr()?)?;
    loop {
        let (connection, _) = tcp.accept().await?;
        let (tls, http) = (tls.clone(), http.clone());
        tokio::spawn(async move {
            connection.set_nodelay(true)?;
            let stream = TokioIo::new(tls.accept(connection).await?);
            let service = TowerToHyperService::new(service_fn(answer));
            http.serve_connection(stream, service).await
        });
    }
}

/// Plain rustls with a verifier that never changes, which knows nothing of SPIFFE.
///
/// # Errors
///
/// Where the provider cannot do what is needed.
pub fn static_config(svid: &Svid, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(svid.root.clone())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(svid.chain.clone(), svid.private_key())?;
    config.ignore_client_order = true;
    Ok(config)
}

/// The application behind every server.
///
/// # Errors
///
/// Never.
pub async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        BODY.as_bytes(),
    ))))
}
