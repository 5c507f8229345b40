//! Clients for servers in other processes: plain rustls with an SVID. What they compute is not
//! measured.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore,
    StreamOwned,
};

use crate::pki::{DIALLED, Svid};

type Failure = Box<dyn Error + Send + Sync>;

/// Whether a client tries to resume its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// It keeps the tickets it is given and uses them.
    Kept,
    /// Every handshake is a full one.
    None,
}

/// AES-128 and X25519 alone, which every server knows: all do the same work.
pub fn only_the_common(mut provider: CryptoProvider) -> CryptoProvider {
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
        .kx_groups
        .retain(|group| group.name() == NamedGroup::X25519);
    provider
}

/// A client that verifies the server by its name, and shows its SVID.
///
/// # Errors
///
/// Where the provider cannot do what is needed.
pub fn config(
    svid: &Svid,
    provider: &Arc<CryptoProvider>,
    sessions: Sessions,
) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(svid.root.clone())?;
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(svid.chain.clone(), svid.private_key())?;
    config.resumption = match sessions {
        Sessions::Kept => Resumption::in_memory_sessions(64),
        Sessions::None => Resumption::disabled(),
    };
    Ok(config)
}

/// What became of a number of visits.
#[derive(Debug, Default)]
pub struct Tally {
    /// Full handshakes.
    pub full: usize,
    /// Resumed ones.
    pub resumed: usize,
    /// Visits without an answer, and why the last one had none.
    pub failed: Vec<String>,
    /// How long each connect and handshake took.
    pub handshakes: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, mut other: Self) {
        self.full += other.full;
        self.resumed += other.resumed;
        self.failed.append(&mut other.failed);
        self.handshakes.append(&mut other.handshakes);
    }
}

/// Visits a server, each config on a thread of its own: connect, handshake, `GET`, close.
pub fn visit(
    address: SocketAddr,
    configs: &[Arc<ClientConfig>],
    until: impl Fn(usize) -> bool + Sync,
) -> Tally {
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let visitors: Vec<_> = configs
            .iter()
            .map(|config| scope.spawn(|| visits(address, config, &until)))
            .collect();
        for visitor in visitors {
            match visitor.join() {
                Ok(tally) => all.add(tally),
                Err(_) => all.failed.push("a client panicked".to_owned()),
            }
        }
    });
    all
}

fn visits(address: SocketAddr, config: &Arc<ClientConfig>, until: impl Fn(usize) -> bool) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if until(number) {
            break;
        }
        match one_visit(address, config) {
            Ok((kind, took)) => {
                match kind {
                    Some(HandshakeKind::Resumed) => tally.resumed += 1,
                    _ => tally.full += 1,
                }
                tally.handshakes.push(took);
            }
            Err(error) => tally.failed.push(error.to_string()),
        }
    }
    tally
}

fn one_visit(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<(Option<HandshakeKind>, Duration), Failure> {
    let begun = Instant::now();
    let (mut stream, kind) = connect(address, config)?;
    let took = begun.elapsed();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok((kind, took))
    } else {
        Err("no answer, or not the one that was expected".into())
    }
}

/// Connects and shakes hands.
///
/// # Errors
///
/// Where either fails.
pub fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<
    (
        StreamOwned<ClientConnection, TcpStream>,
        Option<HandshakeKind>,
    ),
    Failure,
> {
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut tls = ClientConnection::new(config.clone(), DIALLED.try_into()?)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    let kind = tls.handshake_kind();
    Ok((StreamOwned::new(tls, tcp), kind))
}
