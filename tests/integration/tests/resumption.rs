//! Invariant 6: resumption changes cost, never outcome. A session is begun, then something happens that
//! makes the peer nobody to talk to, then the session is offered again: on either side, with TLS 1.3
//! and 1.2, with the session stores of this project and with one that a user shares between
//! revisions by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use integration::handed::{handed, issue, material};
use integration::{ALLOWED, OTHER, SERVER};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_source::{DenyList, Material, Source};
use spiffe_tls::{Admission, ClientTls, ExpectedServer, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls13,
    Tls12,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    RootsSwapped,
    PeerExpired,
    ClockAhead,
    DenyListed,
    /// The server admits others; the client expects another.
    OpinionChanged,
}

const VERSIONS: [Version; 2] = [Version::Tls13, Version::Tls12];
const SIDES: [Side; 2] = [Side::Server, Side::Client];
const EVENTS: [Event; 5] = [
    Event::RootsSwapped,
    Event::PeerExpired,
    Event::ClockAhead,
    Event::DenyListed,
    Event::OpinionChanged,
];

/// Whose word is asked after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stores {
    /// As the project configures them.
    Own,
    /// One store for all revisions, and a client that still uses the configuration of an old one.
    Shared,
}

struct Ends {
    server: ServerTls,
    server_source: Source,
    server_material: watch::Sender<Material>,
    client: ClientTls,
    client_source: Source,
    client_material: watch::Sender<Material>,
    /// Whether the server admits the client.
    admits: Arc<AtomicBool>,
    server_store: Arc<ServerSessionMemoryCache>,
    old_client_config: Arc<ClientConfig>,
    old_server_config: Arc<ServerConfig>,
    stores: Stores,
    peer_end: SystemTime,
}

async fn source(material: Material, version: Version) -> (Source, watch::Sender<Material>) {
    let (builder, sender) = handed(material);
    let mut provider = spiffe_verify::default_provider().unwrap().as_ref().clone();
    if version == Version::Tls12 {
        let suites = &mut provider.cipher_suites;
        suites.retain(|suite| suite.tls13().is_none());
    }
    let builder = builder.provider(Arc::new(provider));
    (builder.connect().await.unwrap(), sender)
}

impl Ends {
    async fn new(version: Version, side: Side, event: Event, stores: Stores) -> Self {
        let authority = Authority::new("example.org").unwrap();
        let brief = |id: &str| {
            let spec = IssueSpec::new(id).unwrap().ttl(Duration::from_secs(2));
            authority.issue(&spec).unwrap()
        };
        let svid = |id: &str, of: Side| match event {
            Event::PeerExpired if of != side => brief(id),
            _ => issue(&authority, id),
        };
        let (server_svid, client_svid) = (svid(SERVER, Side::Server), svid(ALLOWED, Side::Client));
        let peer_end = match side {
            Side::Server => client_svid.not_after(),
            Side::Client => server_svid.not_after(),
        };
        let (server_source, server_material) =
            source(material(&authority, &server_svid), version).await;
        let (client_source, client_material) =
            source(material(&authority, &client_svid), version).await;
        let admits = Arc::new(AtomicBool::new(true));
        let asked = admits.clone();
        let admission = Admission::decided_by(move |_| {
            if asked.load(Ordering::SeqCst) {
                Ok(())
            } else {
                Err("no more".to_owned())
            }
        });
        let server = ServerTls::builder(server_source.clone()).admit(admission);
        let client = ClientTls::builder(client_source.clone(), SERVER.parse().unwrap());
        let (server, client) = match version {
            Version::Tls13 => (server, client),
            Version::Tls12 => (server.tls12(), client.tls12()),
        };
        let (server, client) = (server.build().unwrap(), client.build().unwrap());
        let mut old_client = client.current().unwrap().config().clone();
        if stores == Stores::Shared {
            let mut config = old_client.as_ref().clone();
            let sessions = Arc::new(ClientSessionMemoryCache::new(32));
            config.resumption = Resumption::store(sessions);
            old_client = Arc::new(config);
        }
        Self {
            old_server_config: server.current().unwrap().config().clone(),
            server,
            server_source,
            server_material,
            client,
            client_source,
            client_material,
            admits,
            server_store: ServerSessionMemoryCache::new(32),
            old_client_config: old_client,
            stores,
            peer_end,
        }
    }

    /// The configuration of the server for its next handshake.
    fn server_config(&self, side: Side) -> Arc<ServerConfig> {
        let current = match (self.stores, side) {
            // A client is only shown its server's old session by a server that remembers it.
            (_, Side::Client) => self.old_server_config.clone(),
            (_, Side::Server) => self.server.current().map_or_else(
                || self.old_server_config.clone(),
                |now| now.config().clone(),
            ),
        };
        match self.stores {
            Stores::Own => current,
            Stores::Shared => {
                let mut config = current.as_ref().clone();
                config.session_storage = self.server_store.clone();
                Arc::new(config)
            }
        }
    }

    async fn attempt(&self, side: Side, now: SystemTime) -> Attempt {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(self.old_client_config.clone());
        let acceptor = TlsAcceptor::from(self.server_config(side));
        let client = async {
            let mut client = connector.connect(name, near).await?;
            client.write_u8(1).await?;
            // A client that reads has met the ticket, or the refusal.
            client.read_u8().await?;
            Ok::<_, std::io::Error>(client)
        };
        let server = async {
            let mut server = acceptor.accept(far).await?;
            server.read_u8().await?;
            server.write_u8(0).await?;
            Ok::<_, std::io::Error>(server)
        };
        let (client, server) = tokio::join!(client, server);
        let (Ok(client), Ok(server)) = (client, server) else {
            return Attempt::RefusedInHandshake;
        };
        let (client, server) = (client.get_ref().1, server.get_ref().1);
        let resumed = match side {
            Side::Server => server.handshake_kind() == Some(HandshakeKind::Resumed),
            Side::Client => client.handshake_kind() == Some(HandshakeKind::Resumed),
        };
        let accepted = match side {
            Side::Server => self.server_takes(server.peer_certificates(), now),
            Side::Client => self.client_takes(client.peer_certificates(), now),
        };
        Attempt::Finished { resumed, accepted }
    }

    fn server_takes(&self, chain: Option<&[CertificateDer<'_>]>, now: SystemTime) -> bool {
        self.server
            .current()
            .is_some_and(|revision| matches!(revision.identify(chain, now), Ok(Some(_))))
    }

    fn client_takes(&self, chain: Option<&[CertificateDer<'_>]>, now: SystemTime) -> bool {
        self.client
            .current()
            .is_some_and(|revision| revision.identify(chain, now).is_ok())
    }

    /// Makes it happen on one side; answers the time at which the peer comes back.
    async fn happen(&mut self, event: Event, side: Side) -> SystemTime {
        let before = self.revision(side);
        match (event, side) {
            (Event::RootsSwapped, _) => {
                let new = Authority::new("example.org").unwrap();
                let (sender, id) = match side {
                    Side::Server => (&self.server_material, SERVER),
                    Side::Client => (&self.client_material, ALLOWED),
                };
                sender.send(material(&new, &issue(&new, id))).unwrap();
                self.newer_than(before, side).await;
            }
            (Event::PeerExpired, _) => {
                while let Ok(left) = self.peer_end.duration_since(SystemTime::now()) {
                    tokio::time::sleep(left.max(Duration::from_millis(1))).await;
                }
            }
            (Event::ClockAhead, _) => {
                return SystemTime::now() + Duration::from_secs(400 * 24 * 3600);
            }
            (Event::DenyListed, _) => {
                let (source, id) = match side {
                    Side::Server => (&self.server_source, ALLOWED),
                    Side::Client => (&self.client_source, SERVER),
                };
                source.deny(DenyList::new().id(id).unwrap());
                self.newer_than(before, side).await;
            }
            (Event::OpinionChanged, Side::Server) => self.admits.store(false, Ordering::SeqCst),
            (Event::OpinionChanged, Side::Client) => {
                let other: ExpectedServer = OTHER.parse().unwrap();
                self.client = ClientTls::builder(self.client_source.clone(), other)
                    .tls12()
                    .build()
                    .unwrap();
            }
        }
        SystemTime::now()
    }

    fn revision(&self, side: Side) -> Option<u64> {
        match side {
            Side::Server => self.server.current().map(|now| now.revision()),
            Side::Client => self.client.current().map(|now| now.revision()),
        }
    }

    async fn newer_than(&self, before: Option<u64>, side: Side) {
        while self.revision(side) <= before {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    RefusedInHandshake,
    Finished { resumed: bool, accepted: bool },
}

#[tokio::test]
async fn a_session_is_accepted_only_where_a_full_handshake_would_be() {
    let (mut stale, mut resumed_first, mut stock) = (0, 0, 0);
    let mut cases = tokio::task::JoinSet::new();
    for version in VERSIONS {
        for side in SIDES {
            for event in EVENTS {
                for stores in [Stores::Own, Stores::Shared] {
                    cases.spawn(case(version, side, event, stores));
                }
            }
        }
    }
    while let Some(case) = cases.join_next().await {
        let case = case.unwrap();
        println!("{case:?}");
        resumed_first += usize::from(case.resumed_before);
        stale += usize::from(case.accepted_after);
        stock += usize::from(case.stock_would_accept);
    }
    let cases = VERSIONS.len() * SIDES.len() * EVENTS.len() * 2;
    println!("{cases} cases, {stale} stale sessions accepted; {stock} by the word of rustls alone");
    assert_eq!(
        resumed_first, cases,
        "control: sessions are resumed until then"
    );
    assert_eq!(stale, 0);
    assert!(
        stock >= cases / 2,
        "control: nobody else refuses them, {stock}"
    );
}

#[derive(Debug)]
struct Case {
    #[expect(dead_code, reason = "shown")]
    what: (Version, Side, Event, Stores),
    resumed_before: bool,
    accepted_after: bool,
    /// rustls has finished the handshake, and its peer is refused by ours alone.
    stock_would_accept: bool,
}

async fn case(version: Version, side: Side, event: Event, stores: Stores) -> Case {
    let mut ends = Ends::new(version, side, event, stores).await;
    let now = SystemTime::now();
    let begun = ends.attempt(side, now).await;
    let good = |resumed| Attempt::Finished {
        resumed,
        accepted: true,
    };
    assert_eq!(
        begun,
        good(false),
        "{version:?} {side:?} {event:?} {stores:?}"
    );
    let resumed_before = ends.attempt(side, now).await == good(true);
    let then = ends.happen(event, side).await;
    let after = ends.attempt(side, then).await;
    let (accepted_after, stock_would_accept) = match after {
        Attempt::RefusedInHandshake => (false, false),
        Attempt::Finished { resumed, accepted } => (accepted, resumed && !accepted),
    };
    Case {
        what: (version, side, event, stores),
        resumed_before,
        accepted_after,
        stock_would_accept,
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_where_it_was_asked_for() {
    let authority = Authority::new("example.org").unwrap();
    let svid = |id: &str| material(&authority, &issue(&authority, id));
    let (server, _kept) = source(svid(SERVER), Version::Tls13).await;
    let (client, _kept) = source(svid(ALLOWED), Version::Tls12).await;
    let client = ClientTls::builder(client, SERVER.parse().unwrap()).tls12();
    let client = client.build().unwrap().current().unwrap().config().clone();
    let strict = ServerTls::new(server.clone()).unwrap();
    let lenient = ServerTls::builder(server).tls12().build().unwrap();
    for (tls, taken) in [(strict, false), (lenient, true)] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let acceptor = TlsAcceptor::from(tls.current().unwrap().config().clone());
        let connector = TlsConnector::from(client.clone());
        let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        assert_eq!(near.is_ok() && far.is_ok(), taken);
    }
}
