//! Handshakes in memory, of which only the server's part is measured.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use spiffe_peer::{Connection, PeerIdentity};
use spiffe_tls::{ServerRevision, ServerTls};

use crate::pki::DIALLED;
use crate::thread_cpu;

type Failure = Box<dyn Error + Send + Sync>;

/// The server side of a handshake.
pub enum Side {
    /// Ours: the revision that holds is taken when the handshake begins; at its end the latest one
    /// says who the peer is, as the acceptor does.
    Ours(ServerTls),
    /// A rustls configuration. What it verifies, it verifies during the handshake.
    Config(Arc<ServerConfig>),
}

/// A handshake on its way, and the revision that it has begun with.
struct Begun {
    tls: ServerConnection,
    _pinned: Option<Arc<ServerRevision>>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// What the server computed for each handshake.
    pub each: Duration,
    /// How many were resumed.
    pub resumed: usize,
    /// Of how many.
    pub all: usize,
}

impl Side {
    fn begin(&self) -> Result<Begun, Failure> {
        Ok(match self {
            Self::Ours(tls) => {
                let revision = tls.current().ok_or("no identity")?;
                Begun {
                    tls: ServerConnection::new(revision.config().clone())?,
                    _pinned: Some(revision),
                }
            }
            Self::Config(config) => Begun {
                tls: ServerConnection::new(config.clone())?,
                _pinned: None,
            },
        })
    }

    fn peer(&self, tls: &ServerConnection) -> Result<Option<PeerIdentity>, Failure> {
        let Self::Ours(live) = self else {
            return Ok(None);
        };
        let latest = live.current().ok_or("no identity")?;
        let chain = latest.identify(tls.peer_certificates(), SystemTime::now())?;
        let chain = chain.ok_or("a client without a certificate")?;
        let peer = PeerIdentity::assume_verified(chain.peer().clone(), Connection::new());
        Ok(Some(peer))
    }
}

/// Answers a ClientHello. By this name and the next callgrind knows what to count.
#[inline(never)]
fn server_answers_hello(side: &Side, sent: &[u8], answer: &mut Vec<u8>) -> Result<Begun, Failure> {
    let mut begun = side.begin()?;
    turn(&mut begun.tls, sent, answer)?;
    Ok(begun)
}

#[inline(never)]
fn server_concludes_handshake(
    side: &Side,
    begun: &mut Begun,
    sent: &[u8],
    answer: &mut Vec<u8>,
) -> Result<Option<PeerIdentity>, Failure> {
    turn(&mut begun.tls, sent, answer)?;
    side.peer(&begun.tls)
}

fn turn(tls: &mut ServerConnection, mut sent: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
    while !sent.is_empty() {
        tls.read_tls(&mut sent)?;
        tls.process_new_packets()?;
    }
    while tls.wants_write() {
        tls.write_tls(answer)?;
    }
    Ok(())
}

/// Shakes hands once with each client, all in step, so that the clock is read twice for a batch.
///
/// # Errors
///
/// Where a handshake fails.
pub fn shake(side: &Side, configs: &[Arc<ClientConfig>]) -> Result<Batch, Failure> {
    let mut clients = Vec::with_capacity(configs.len());
    for config in configs {
        let tls = ClientConnection::new(config.clone(), DIALLED.try_into()?)?;
        clients.push((tls, Vec::with_capacity(4096), Vec::with_capacity(8192)));
    }
    for (tls, sent, _) in &mut clients {
        tls.write_tls(sent)?;
    }

    let mut servers = Vec::with_capacity(clients.len());
    let computed = thread_cpu();
    for (_, sent, answer) in &mut clients {
        servers.push(server_answers_hello(side, sent, answer)?);
    }
    let mut spent = thread_cpu() - computed;

    for (tls, sent, answer) in &mut clients {
        client_turn(tls, answer, sent)?;
        answer.clear();
    }

    let mut peers = Vec::with_capacity(clients.len());
    let computed = thread_cpu();
    for ((_, sent, answer), server) in clients.iter_mut().zip(&mut servers) {
        peers.push(server_concludes_handshake(side, server, sent, answer)?);
    }
    spent += thread_cpu() - computed;

    for (tls, sent, answer) in &mut clients {
        client_turn(tls, answer, sent)?;
        if tls.is_handshaking() {
            return Err("a client has not finished".into());
        }
    }
    if servers.iter().any(|server| server.tls.is_handshaking()) {
        return Err("a server has not finished".into());
    }
    let resumed = servers
        .iter()
        .filter(|server| server.tls.handshake_kind() == Some(HandshakeKind::Resumed))
        .count();
    let all = servers.len();
    Ok(Batch {
        each: spent / u32::try_from(all)?,
        resumed,
        all,
    })
}

fn client_turn(
    tls: &mut ClientConnection,
    mut received: &[u8],
    sent: &mut Vec<u8>,
) -> Result<(), Failure> {
    sent.clear();
    while !received.is_empty() {
        tls.read_tls(&mut received)?;
        tls.process_new_packets()?;
    }
    while tls.wants_write() {
        tls.write_tls(sent)?;
    }
    Ok(())
}
