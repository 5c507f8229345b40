//! The corpus in the role of the server, against the clients that people use: hyper's over HTTP/1.1,
//! tonic's over HTTP/2, and reqwest's. No bad server is accepted, and none reads a byte of a request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use corpus::case::{Bundles, Case, Presented, Role, Verdict};
use corpus::{cases, present, world};
use http::{Request, Uri};
use http_body_util::Empty;
use spiffe_connector::{Connector, ExpectedServer, Failure, HttpClient, reqwest};
use spiffe_peer::parse;
use spiffe_source::{Material, Source, SvidMaterial};
use spiffe_tls::refused_with;
use spiffe_verify::X509Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// What TLS itself refuses before any verifier sees it: a message of more than 64 KiB.
const TOO_LARGE_FOR_TLS: &str = "chain::leaf-of-64-kib";
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// An empty SETTINGS frame: what a server of HTTP/2 says first.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Hyper,
    Tonic,
    Reqwest,
}

const CLIENTS: [By; 3] = [By::Hyper, By::Tonic, By::Reqwest];

/// The clients of one expectation.
#[derive(Clone)]
struct Clients {
    connector: Connector,
    http: HttpClient<Empty<Bytes>>,
    reqwest: reqwest::Client,
}

impl Clients {
    fn new(source: Source, domain: &str) -> Self {
        let expected = ExpectedServer::member_of(domain).unwrap();
        let connector = Connector::new(source, expected).unwrap();
        Self {
            http: connector.http_client(),
            reqwest: connector.reqwest().unwrap().build().unwrap(),
            connector,
        }
    }

    /// Calls what listens at a port. The server never answers, so that this always fails.
    async fn call(&self, by: By, port: u16) -> Box<dyn Error + Send + Sync> {
        let origin = format!("https://127.0.0.1:{port}");
        match by {
            By::Hyper => {
                let uri: Uri = format!("{origin}/").parse().unwrap();
                self.http.get(uri).await.unwrap_err().into()
            }
            By::Tonic => {
                let channel = self.connector.grpc_channel(origin).unwrap();
                let request = Request::post("/test.Service/Method");
                let request = request.body(tonic::body::Body::empty()).unwrap();
                channel.oneshot(request).await.unwrap_err().into()
            }
            By::Reqwest => self.reqwest.get(origin).send().await.unwrap_err().into(),
        }
    }
}

/// Our end, with the bundles of a case.
struct Ours {
    bundles: Bundles,
    source: Source,
    clients: tokio::sync::Mutex<HashMap<String, Clients>>,
}

impl Ours {
    /// Its own domain is one that no case is about.
    async fn new(bundles: &Bundles, bystander: &Presented) -> Arc<Self> {
        let mut material = Material::new(SvidMaterial::from_der(
            bystander.chain.concat(),
            bystander.key.pkcs8(),
            bystander.bundles["verifier.test"].concat(),
        ));
        for (domain, roots) in bundles {
            let domain = parse::trust_domain(domain).unwrap();
            material = material.foreign_bundle(&domain, roots.concat());
        }
        let mut builder = Source::fixed(material);
        for domain in bundles.keys() {
            builder = builder.trust(domain.clone());
        }
        Arc::new(Self {
            bundles: bundles.clone(),
            source: builder.connect().await.unwrap(),
            clients: tokio::sync::Mutex::default(),
        })
    }

    async fn clients(&self, case: &Case) -> Clients {
        let domain = match &case.verdict {
            Verdict::Accepted(id) => parse::workload_id(id).unwrap().trust_domain().to_string(),
            Verdict::Refused(_) | Verdict::HandshakeFails => "example.org".to_owned(),
        };
        let mut clients = self.clients.lock().await;
        let known = clients
            .entry(domain)
            .or_insert_with_key(|domain| Clients::new(self.source.clone(), domain));
        known.clone()
    }

    /// How many bytes of a request the server of a case has read, and what its client says.
    async fn meets(&self, case: &Case, by: By) -> (usize, Box<dyn Error + Send + Sync>) {
        let clients = self.clients(case).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = present::server(&case.presented).as_ref().clone();
        let http2 = by == By::Tonic;
        let alpn: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![alpn.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = async move {
            let (tcp, _) = listener.accept().await.unwrap();
            // Nobody else comes: a client that tries again is not kept waiting.
            drop(listener);
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                return 0;
            };
            if http2 {
                let _ = tls.write_all(&SETTINGS).await;
                let _ = tls.flush().await;
            }
            // What a client sends that has refused the server is an alert: an end, and no byte.
            tls.read(&mut [0; 1024]).await.unwrap_or(0)
        };
        let both = async { tokio::join!(server, clients.call(by, port)) };
        let (read, error) = timeout(PATIENCE, both)
            .await
            .unwrap_or_else(|_| panic!("{}: {by:?} hangs", case.id()));
        (read, error)
    }
}

/// What is wrong with what came of a meeting, if anything is.
fn mistake(case: &Case, read: usize, error: &(dyn Error + 'static)) -> Option<String> {
    match &case.verdict {
        Verdict::Accepted(_) if read == 0 => Some(format!("a good server is refused: {error:?}")),
        Verdict::Accepted(_) => None,
        _ if read > 0 => Some(format!("a bad server has read {read} bytes")),
        Verdict::Refused(fault) if case.class != TOO_LARGE_FOR_TLS => {
            let said = refused_with::<X509Error>(error).map(X509Error::fault);
            if said != Some(*fault) {
                Some(format!("refused for {said:?}, right is {fault:?}"))
            } else if !Failure::of(error).is_refused_by_client() {
                Some("nobody is told who has refused whom".to_owned())
            } else {
                None
            }
        }
        Verdict::Refused(_) | Verdict::HandshakeFails => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_server_is_accepted_by_any_client_or_reads_a_byte_of_a_request() {
    let now = SystemTime::now();
    let bystander = world::bystander(now);
    let mut ends: Vec<Arc<Ours>> = Vec::new();
    let mut running = JoinSet::new();
    let mut met = BTreeMap::<(By, bool), usize>::new();
    let mut wrong = Vec::new();
    let of_servers = cases::all(now)
        .into_iter()
        .filter(|case| case.role == Role::Server);
    for case in of_servers {
        let bundles = &case.presented.bundles;
        let known = ends.iter().rev().find(|ours| ours.bundles == *bundles);
        let ours = match known {
            Some(ours) => ours.clone(),
            None => {
                let ours = Ours::new(bundles, &bystander).await;
                ends.push(ours.clone());
                ours
            }
        };
        for by in CLIENTS {
            if running.len() >= AT_ONCE {
                let mistake: Option<String> = running.join_next().await.unwrap().unwrap();
                wrong.extend(mistake);
            }
            *met.entry((by, case.verdict.is_bad())).or_default() += 1;
            let (ours, case) = (ours.clone(), case.clone());
            running.spawn(async move {
                let (read, error) = ours.meets(&case, by).await;
                let mistake = mistake(&case, read, error.as_ref())?;
                Some(format!("{} by {by:?}: {mistake}", case.id()))
            });
        }
    }
    while let Some(mistake) = running.join_next().await {
        wrong.extend(mistake.unwrap());
    }
    for ((by, bad), count) in &met {
        let kind = if *bad { "bad" } else { "good" };
        println!("{by:?}: {count} {kind} servers");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for by in CLIENTS {
        assert!(met[&(by, true)] >= 150 && met[&(by, false)] >= 30);
    }
}
