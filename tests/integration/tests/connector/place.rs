//! A server that speaks one protocol over the TLS of the project, and counts.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integration::{SERVER, source};
use spiffe_connector::{CallError, Connector, HttpClient, ResponseBody};
use spiffe_devkit::Agent;
use spiffe_source::Source;
use spiffe_tls::ServerTls;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a loaded machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const BOTH: [&str; 2] = ["h2", "http/1.1"];

pub(crate) type Answer = BoxFuture<'static, Response<Body>>;

/// A server, by what it has seen.
#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) port: u16,
    /// TCP connections.
    pub(crate) dialled: Arc<AtomicUsize>,
    /// Handshakes that were finished.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Requests that have arrived.
    pub(crate) requests: Arc<AtomicUsize>,
    open: Arc<Mutex<BTreeSet<usize>>>,
    most_open: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

impl Place {
    /// `GET /` answers the number of the connection, `/slow` as well once it may [go on](Self::go_on),
    /// and `/stream` for ever. Everything else is answered with the body of the request.
    pub(crate) async fn open(source: Source, alpn: &'static str) -> Self {
        Self::serving(source, alpn, |place, number, request| {
            Box::pin(async move {
                let number = number.to_string();
                match request.uri().path() {
                    "/" => Response::new(Body::from(number)),
                    "/slow" => {
                        place.go_on.notified().await;
                        Response::new(Body::from(number))
                    }
                    "/stream" => Response::new(endless(number)),
                    "/away" => Response::builder()
                        .status(StatusCode::FOUND)
                        .header("location", "/")
                        .body(Body::empty())
                        .unwrap(),
                    _ => Response::new(Body::new(request.into_body())),
                }
            })
        })
        .await
    }

    pub(crate) async fn serving(
        source: Source,
        alpn: &'static str,
        answer: impl Fn(Self, usize, Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let tls = ServerTls::new(source).unwrap();
        Self::over(tls, alpn, answer).await
    }

    pub(crate) async fn over(
        tls: ServerTls,
        alpn: &'static str,
        answer: impl Fn(Self, usize, Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = Self {
            port: listener.local_addr().unwrap().port(),
            ..Self::default()
        };
        let served = place.clone();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                served.dialled.fetch_add(1, Ordering::SeqCst);
                let (place, tls, answer) = (served.clone(), tls.clone(), answer.clone());
                tokio::spawn(async move {
                    if let Some(stream) = accept(&tls, tcp, alpn).await {
                        place.serve(stream, alpn, answer).await;
                    }
                });
            }
        });
        place
    }

    async fn serve(
        self,
        stream: TlsStream<TcpStream>,
        alpn: &str,
        answer: impl Fn(Self, usize, Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
    ) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let open = {
            let mut open = self.open.lock().unwrap();
            open.insert(number);
            open.len()
        };
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let place = self.clone();
        let service = service_fn(move |request| {
            let (place, answer) = (place.clone(), answer.clone());
            place.requests.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, Infallible>(answer(place, number, request).await) }
        });
        let io = TokioIo::new(stream);
        if alpn == "h2" {
            let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = http2.serve_connection(io, service).await;
        } else {
            let http1 = hyper::server::conn::http1::Builder::new();
            let _ = http1.serve_connection(io, service).await;
        }
        self.open.lock().unwrap().remove(&number);
    }

    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn is_open(&self, connection: usize) -> bool {
        self.open.lock().unwrap().contains(&connection)
    }

    /// How many connections were open at once at most.
    pub(crate) fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// Waits until every connection that is open now has been closed.
    pub(crate) async fn is_renewed(&self) {
        let next = self.connections();
        eventually("old connections are closed", || {
            let open = self.open.lock().unwrap();
            open.first().is_none_or(|first| *first >= next)
        })
        .await;
    }

    pub(crate) fn uri(&self, path: &str) -> Uri {
        format!("https://127.0.0.1:{}{path}", self.port)
            .parse()
            .unwrap()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn has_seen(&self, requests: usize) {
        eventually("the request arrives", || self.requests() >= requests).await;
    }
}

async fn accept(tls: &ServerTls, tcp: TcpStream, alpn: &str) -> Option<TlsStream<TcpStream>> {
    let mut config = tls.current()?.config().as_ref().clone();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsAcceptor::from(Arc::new(config)).accept(tcp).await.ok()
}

fn endless(text: String) -> Body {
    Body::from_stream(futures_util::stream::unfold(text, |text| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, Infallible>(format!("{text}\n")), text))
    }))
}

/// Waits for what has no event of its own.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

/// A server with the agent's identity for it.
pub(crate) async fn server(agent: &Agent, alpn: &'static str) -> Place {
    Place::open(source(agent, "server", &[]).await, alpn).await
}

/// A connector of the allowed caller to the server.
pub(crate) async fn connector(agent: &Agent) -> Connector {
    Connector::new(source(agent, "allowed", &[]).await, SERVER).unwrap()
}

pub(crate) type Client = HttpClient<Full<Bytes>>;

/// The body of a response as text.
pub(crate) async fn text(
    response: impl Future<Output = Result<Response<ResponseBody>, CallError>>,
) -> Result<String, CallError> {
    let body = response.await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}
