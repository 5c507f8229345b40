//! What each handshake settles on, and what a revision remembers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use integration::{ALLOWED, SERVER, agent, settled, source};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};
use spiffe_devkit::{Agent, IssueSpec};
use spiffe_peer::{Connection, PeerIdentity, parse};
use spiffe_source::{DenyList, Source};
use spiffe_tls::{ClientTls, ServerTls};
use spiffe_verify::X509Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

type Ends = (
    client::TlsStream<tokio::io::DuplexStream>,
    server::TlsStream<tokio::io::DuplexStream>,
);

async fn handshake(client: &ClientTls, server: &ServerTls) -> Ends {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(client.current().unwrap().config().clone());
    let acceptor = TlsAcceptor::from(server.current().unwrap().config().clone());
    let name = ServerName::try_from("localhost").unwrap();
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    // A client that reads has met the ticket.
    server.write_u8(0).await.unwrap();
    client.read_u8().await.unwrap();
    (client, server)
}

async fn both_sides() -> (Agent, Source, ClientTls, ServerTls) {
    let agent = agent().start().await.unwrap();
    let server = source(&agent, "server", &[]).await;
    let client = ClientTls::new(
        source(&agent, "allowed", &[]).await,
        SERVER.parse().unwrap(),
    )
    .unwrap();
    let tls = ServerTls::new(server.clone()).unwrap();
    (agent, server, client, tls)
}

#[tokio::test]
async fn tls_1_3_with_post_quantum_key_exchange_and_aes_128() {
    let (_agent, _source, client, server) = both_sides().await;
    let (near, far) = handshake(&client, &server).await;
    let (near, far) = (near.get_ref().1, far.get_ref().1);
    assert_eq!(far.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(
        far.negotiated_cipher_suite().unwrap().suite(),
        CipherSuite::TLS13_AES_128_GCM_SHA256
    );
    assert_eq!(
        far.negotiated_key_exchange_group().unwrap().name(),
        NamedGroup::X25519MLKEM768
    );
    assert_eq!(far.alpn_protocol(), Some(b"h2".as_slice()));
    assert_eq!(
        near.peer_certificates().unwrap().len(),
        2,
        "leaf and intermediate"
    );
}

#[tokio::test]
async fn a_session_is_resumed_within_its_revision_and_nothing_is_sent_early() {
    let (agent, source, client, server) = both_sides().await;
    let (near, _far) = handshake(&client, &server).await;
    assert_eq!(near.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    let (near, far) = handshake(&client, &server).await;
    for kind in [
        near.get_ref().1.handshake_kind(),
        far.get_ref().1.handshake_kind(),
    ] {
        assert_eq!(kind, Some(HandshakeKind::Resumed));
    }
    let begun = server.current().unwrap();
    assert_eq!(begun.config().max_early_data_size, 0);

    agent.rotate_svids();
    settled(&source, |now| now.revision() > begun.revision()).await;
    while server.current().unwrap().revision() == begun.revision() {
        tokio::task::yield_now().await;
    }
    let (near, _far) = handshake(&client, &server).await;
    assert_eq!(
        near.get_ref().1.handshake_kind(),
        Some(HandshakeKind::Full),
        "sessions end with their revision"
    );
}

#[tokio::test]
async fn a_remembered_chain_ends_with_its_dates() {
    let (agent, _source, _client, server) = both_sides().await;
    let authority = agent
        .authority(&parse::trust_domain("example.org").unwrap())
        .unwrap();
    let svid = authority
        .issue(
            &IssueSpec::new(ALLOWED)
                .unwrap()
                .ttl(Duration::from_secs(60)),
        )
        .unwrap();
    let chain: Vec<_> = svid
        .chain()
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let revision = server.current().unwrap();
    let now = SystemTime::now();
    // Twice, so that the second answer comes from memory.
    for _ in 0..2 {
        assert_eq!(
            revision
                .identify(Some(&chain), now)
                .unwrap()
                .unwrap()
                .spiffe_id()
                .to_string(),
            ALLOWED
        );
    }
    let after = svid.not_after() + Duration::from_secs(1);
    assert_eq!(
        revision.identify(Some(&chain), after).unwrap_err().fault(),
        X509Fault::Expired
    );
    let before = svid.not_before() - Duration::from_secs(1);
    assert_eq!(
        revision.identify(Some(&chain), before).unwrap_err().fault(),
        X509Fault::NotYetValid
    );
    let mut changed = chain.clone();
    changed[0] = CertificateDer::from(changed[0].iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
    assert!(revision.identify(Some(&changed), now).is_err());
    assert_eq!(
        revision.identify(None, now).unwrap_err().fault(),
        X509Fault::NoCertificate
    );
}

#[tokio::test]
async fn a_handshake_finishes_with_the_revision_that_it_began_with() {
    let (agent, source, client, server) = both_sides().await;
    let begun = server.current().unwrap();
    let serial = source
        .snapshot()
        .svid()
        .unwrap()
        .verified()
        .serial()
        .to_owned();
    agent.rotate_svids();
    settled(&source, |snapshot| {
        snapshot.svid().unwrap().verified().serial() != serial
    })
    .await;
    while server.current().unwrap().revision() == begun.revision() {
        tokio::task::yield_now().await;
    }
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = TlsConnector::from(client.current().unwrap().config().clone());
    let old = TlsAcceptor::from(begun.config().clone());
    let (near, far) = tokio::join!(
        connector.connect(ServerName::try_from("localhost").unwrap(), near),
        old.accept(far)
    );
    assert!(
        near.is_ok() && far.is_ok(),
        "an ordinary rotation fails no handshake that is under way"
    );
    assert!(
        !Arc::ptr_eq(begun.config(), server.current().unwrap().config()),
        "control: there is a new one"
    );
}

#[tokio::test]
async fn without_identity_there_is_no_configuration() {
    let (agent, source, _client, server) = both_sides().await;
    agent
        .withdraw(&parse::workload_id(SERVER).unwrap())
        .unwrap();
    settled(&source, |snapshot| snapshot.svid().is_none()).await;
    while server.current().is_some() {
        tokio::task::yield_now().await;
    }
}

fn brief_caller(agent: &Agent, ttl: Duration) -> (Vec<CertificateDer<'static>>, SystemTime) {
    let authority = agent
        .authority(&parse::trust_domain("example.org").unwrap())
        .unwrap();
    let spec = IssueSpec::new(ALLOWED).unwrap().ttl(ttl);
    let svid = authority.issue(&spec).unwrap();
    let chain = svid.chain().iter().cloned().map(CertificateDer::from);
    (chain.collect(), svid.not_after())
}

#[tokio::test]
async fn an_open_connection_is_withdrawn_at_the_end_of_its_chain() {
    let (agent, _source, _client, server) = both_sides().await;
    let (chain, end) = brief_caller(&agent, Duration::from_secs(1));
    let revision = server.current().unwrap();
    let chain = revision.identify(Some(&chain), SystemTime::now());
    let chain = chain.unwrap().unwrap();
    let connection = Connection::new();
    let peer = PeerIdentity::assume_verified(chain.peer().clone(), connection.clone());
    let _watch = server.watch(chain, connection.clone());
    assert!(peer.is_current(), "control");
    tokio::time::timeout(Duration::from_secs(10), connection.withdrawn())
        .await
        .expect("it ends with its chain");
    assert!(!peer.is_current());
    let early = end.duration_since(SystemTime::now()).unwrap_or_default();
    assert!(early < Duration::from_millis(100), "not before: {early:?}");
}

#[tokio::test]
async fn a_watch_that_begins_too_late_withdraws_at_once() {
    let (agent, source, _client, server) = both_sides().await;
    let (chain, _) = brief_caller(&agent, Duration::from_secs(600));
    let begun = server.current().unwrap();
    let chain = begun.identify(Some(&chain), SystemTime::now());
    let chain = chain.unwrap().unwrap();
    source.deny(DenyList::new().id(ALLOWED).unwrap());
    while server.current().unwrap().revision() == begun.revision() {
        tokio::task::yield_now().await;
    }
    let connection = Connection::new();
    let _watch = server.watch(chain, connection.clone());
    assert!(connection.is_withdrawn());
}

#[tokio::test]
async fn when_nobody_follows_the_source_any_more_nobody_is_trusted() {
    let (agent, source, _client, server) = both_sides().await;
    let (chain, _) = brief_caller(&agent, Duration::from_secs(600));
    let revision = server.current().unwrap();
    let chain = revision.identify(Some(&chain), SystemTime::now());
    let connection = Connection::new();
    let _watch = server.watch(chain.unwrap().unwrap(), connection.clone());
    assert!(!connection.is_withdrawn(), "control");
    source.close();
    tokio::time::timeout(Duration::from_secs(10), connection.withdrawn())
        .await
        .expect("it ends with the source");
    assert!(server.current().is_none());
}

#[tokio::test]
async fn threats_36_a_peer_with_the_own_key_is_told_from_others() {
    let (agent, source, _client, server) = both_sides().await;
    let revision = server.current().unwrap();
    let snapshot = source.snapshot();
    let own = snapshot.svid().unwrap();
    let chain: Vec<_> = own
        .chain()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let reflected = revision.identify(Some(&chain), SystemTime::now());
    assert!(revision.is_own(&reflected.unwrap().unwrap()));
    let (other, _) = brief_caller(&agent, Duration::from_secs(600));
    let other = revision.identify(Some(&other), SystemTime::now());
    assert!(!revision.is_own(&other.unwrap().unwrap()), "control");
}
