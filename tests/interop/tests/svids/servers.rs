use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use corpus::case::{Bundles, Presented};
use corpus::present;
use integration::scripted::{Call, Rpc, ScriptedAgent};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use spiffe_source::workload_api::messages::{X509Svid, X509SvidResponse};
use spiffe_source::{Material, Source, SvidMaterial};
use spiffe_tls::ServerTls;
use tokio::io::AsyncReadExt;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Who accepted a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdicts {
    /// This project.
    pub ours: bool,
    /// spiffe-rustls.
    pub oracle: bool,
    /// rustls alone.
    pub stock: bool,
}

impl Verdicts {
    pub fn agree(self) -> bool {
        self.ours == self.oracle && self.ours == self.stock
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |accepted| if accepted { "accepts" } else { "refuses" };
        let (ours, oracle) = (word(self.ours), word(self.oracle));
        write!(f, "{ours} | {oracle} | {}", word(self.stock))
    }
}

/// Three servers that trust the same bundles.
pub struct Servers {
    pub bundles: Bundles,
    ours: Arc<ServerConfig>,
    oracle: Arc<ServerConfig>,
    stock: Arc<ServerConfig>,
    // What they get their material from.
    _tls: ServerTls,
    _agent: ScriptedAgent,
    _streams: Vec<Call>,
}

impl Servers {
    pub async fn start(bundles: &Bundles, own: &Presented) -> Self {
        let source = ours(bundles, own).await;
        let tls = ServerTls::new(source).expect("the provider can do it");
        let revision = tls.current().expect("there is an identity");
        let agent = ScriptedAgent::start();
        let mut streams = Vec::new();
        Self {
            bundles: bundles.clone(),
            ours: revision.config().clone(),
            oracle: oracle(bundles, own, &agent, &mut streams).await,
            stock: stock(bundles, own),
            _tls: tls,
            _agent: agent,
            _streams: streams,
        }
    }

    pub async fn judge(&self, presented: &Presented) -> Verdicts {
        Verdicts {
            ours: accepts(&self.ours, presented).await,
            oracle: accepts(&self.oracle, presented).await,
            stock: accepts(&self.stock, presented).await,
        }
    }
}

async fn accepts(config: &Arc<ServerConfig>, presented: &Presented) -> bool {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(present::client(presented));
    let acceptor = TlsAcceptor::from(config.clone());
    let name = ServerName::try_from("localhost").expect("it is a name");
    let client = async {
        if let Ok(mut tls) = connector.connect(name, near).await {
            // Until the server has said what it thinks of the certificate.
            let _ = tls.read(&mut [0]).await;
        }
    };
    let server = async { acceptor.accept(far).await.map(drop).is_ok() };
    tokio::join!(client, server).1
}

fn own_bundle(own: &Presented) -> Vec<u8> {
    own.bundles["verifier.test"].concat()
}

async fn ours(bundles: &Bundles, own: &Presented) -> Source {
    let svid = SvidMaterial::from_der(own.chain.concat(), own.key.pkcs8(), own_bundle(own));
    let mut material = Material::new(svid);
    for (domain, roots) in bundles {
        let domain = spiffe_peer::parse::trust_domain(domain).expect("it is one");
        material = material.foreign_bundle(&domain, roots.concat());
    }
    let builder = bundles
        .keys()
        .fold(Source::fixed(material), |builder, domain| {
            builder.trust(domain)
        });
    builder.connect().await.expect("the material is sound")
}

async fn oracle(
    bundles: &Bundles,
    own: &Presented,
    agent: &ScriptedAgent,
    streams: &mut Vec<Call>,
) -> Arc<ServerConfig> {
    let federated = bundles
        .iter()
        .map(|(domain, roots)| (format!("spiffe://{domain}"), roots.concat().into()));
    let response = X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: corpus::world::BYSTANDER.to_owned(),
            x509_svid: own.chain.concat().into(),
            x509_svid_key: own.key.pkcs8().to_vec().into(),
            bundle: own_bundle(own).into(),
            hint: String::new(),
        }],
        federated_bundles: federated.collect::<HashMap<_, _>>(),
        ..X509SvidResponse::default()
    };
    let connect = spiffe::X509Source::builder()
        .endpoint(agent.endpoint())
        .build();
    let answer = async {
        // It asks once to see whether anybody answers, and once more to stay.
        loop {
            let call = agent.next(Rpc::FetchX509Svid).await;
            call.send(&response);
            streams.push(call);
        }
    };
    let source = tokio::select! {
        source = connect => source.expect("the agent answers"),
        () = answer => unreachable!("it answers for ever"),
    };
    let config = spiffe_rustls::mtls_server(source).build();
    Arc::new(config.expect("the source has an identity"))
}

fn stock(bundles: &Bundles, own: &Presented) -> Arc<ServerConfig> {
    let provider = spiffe_verify::default_provider().expect("there is one");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        bundles
            .values()
            .flatten()
            .cloned()
            .map(CertificateDer::from),
    );
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .expect("there are roots");
    let chain = own.chain.iter().cloned().map(CertificateDer::from);
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.key.pkcs8().to_vec());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.collect(), key.into())
        .expect("the key fits");
    Arc::new(config)
}
