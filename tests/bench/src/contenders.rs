//! Who takes part in the benches of handshakes, and whom they shake hands with.

use std::error::Error;
use std::sync::Arc;

use prost::Message as _;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use spiffe::X509Source;
use spiffe_source::Source;
use spiffe_source::workload_api::messages::{X509Svid, X509SvidResponse};
use spiffe_tls::ServerTls;
use tokio::runtime::Runtime;

use crate::agent::Agent;
use crate::clients::{self, Sessions};
use crate::handshake::Side;
use crate::pki::{CLIENT, Intermediate, Root, SERVER, Svid};
use crate::servers::static_config;

type Failure = Box<dyn Error + Send + Sync>;

/// The cryptography of a run. `spiffe-rustls` knows only the default of the process, so there is one
/// run in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// aws-lc-rs for all, AES-128 and X25519.
    AwsLcRs,
    /// ring for all, AES-128 and X25519.
    Ring,
    /// What each takes where nobody says anything: ours its own default, `spiffe-rustls` its
    /// default feature's, which is ring; their clients the same as they.
    Defaults,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AwsLcRs, Self::Ring, Self::Defaults];

    /// For arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsLcRs => "aws-lc-rs",
            Self::Ring => "ring",
            Self::Defaults => "defaults",
        }
    }

    fn ours(self) -> Result<CryptoProvider, Failure> {
        Ok(match self {
            Self::AwsLcRs => clients::only_the_common(aws_lc_rs::default_provider()),
            Self::Ring => clients::only_the_common(ring::default_provider()),
            Self::Defaults => (*spiffe_verify::default_provider()?).clone(),
        })
    }

    fn theirs(self) -> Result<CryptoProvider, Failure> {
        match self {
            Self::Defaults => Ok(ring::default_provider()),
            _ => self.ours(),
        }
    }
}

/// A contender: its server, and the provider of its clients.
pub struct Contender {
    /// The server.
    pub side: Side,
    provider: Arc<CryptoProvider>,
}

impl Contender {
    /// A client of it.
    ///
    /// # Errors
    ///
    /// Where the provider cannot do what is needed.
    pub fn client(&self, svid: &Svid, sessions: Sessions) -> Result<Arc<ClientConfig>, Failure> {
        Ok(Arc::new(clients::config(svid, &self.provider, sessions)?))
    }
}

/// All contenders, with one server identity and one root.
pub struct Contenders {
    /// This project.
    pub ours: Contender,
    /// `spiffe-rustls`, with its configuration from a real `X509Source`.
    pub spiffe_rustls: Contender,
    /// Plain rustls with a verifier that never changes.
    pub plain: Contender,
    /// What issues the certificates of clients.
    pub root: Root,
    /// The intermediate of those that may come again.
    pub known: Intermediate,
    _agent: Agent,
    _sockets: tempfile::TempDir,
}

impl Contenders {
    /// Starts them. The runtime need not run afterwards.
    ///
    /// # Errors
    ///
    /// Where one cannot be started.
    pub fn new(runtime: &Runtime, provider: Provider) -> Result<Self, Failure> {
        let (ours, theirs) = (Arc::new(provider.ours()?), Arc::new(provider.theirs()?));
        let installed = CryptoProvider::install_default((*theirs).clone());
        installed.map_err(|_| "the process has a provider already")?;

        let root = Root::new()?;
        let known = root.intermediate(0)?;
        let server = known.issue(SERVER)?;
        let sockets = tempfile::tempdir()?;
        let (tls, config, agent) = runtime.block_on(async {
            let source = Source::fixed(server.material())
                .provider(ours.clone())
                .connect()
                .await?;
            let socket = sockets.path().join("agent");
            let agent = Agent::serve(&socket, offer(&server).encode_to_vec().into())?;
            let source_of_theirs = X509Source::builder()
                .endpoint(format!("unix://{}", socket.display()))
                .build()
                .await?;
            let config = spiffe_rustls::mtls_server(source_of_theirs)
                .with_alpn_protocols([&b"h2"[..], b"http/1.1"])
                .build()?;
            Ok::<_, Failure>((ServerTls::new(source)?, config, agent))
        })?;
        let mut plain = static_config(&server, &theirs)?;
        plain.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            ours: Contender {
                side: Side::Ours(tls),
                provider: ours,
            },
            spiffe_rustls: Contender {
                side: Side::Config(Arc::new(config)),
                provider: theirs.clone(),
            },
            plain: Contender {
                side: Side::Config(Arc::new(plain)),
                provider: theirs,
            },
            root,
            known,
            _agent: agent,
            _sockets: sockets,
        })
    }

    /// Clients under the intermediate that is known.
    ///
    /// # Errors
    ///
    /// Where they cannot be made; so below.
    pub fn known(&self, count: usize) -> Result<Vec<Svid>, Failure> {
        (0..count).map(|_| self.known.issue(CLIENT)).collect()
    }

    /// Clients each under an intermediate of its own.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn strangers(&self, count: usize) -> Result<Vec<Svid>, Failure> {
        (0..count)
            .map(|number| self.root.intermediate(number + 1)?.issue(CLIENT))
            .collect()
    }
}

fn offer(server: &Svid) -> X509SvidResponse {
    X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: SERVER.to_owned(),
            x509_svid: server.chain_der().into(),
            x509_svid_key: server.key.clone().into(),
            bundle: server.root.to_vec().into(),
            hint: String::new(),
        }],
        crl: Vec::new(),
        federated_bundles: std::collections::HashMap::new(),
    }
}
