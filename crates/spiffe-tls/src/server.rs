use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use spiffe_peer::Connection;
use spiffe_source::{Snapshot, Source};
use spiffe_verify::{Purpose, VerifiedChain, X509Error, X509Fault};

use crate::client::own_certificate;
use crate::error::{TlsError, refusal};
use crate::live::{Live, Revision};
use crate::peers::{Peers, system_time};
use crate::trust::TrustWatch;

/// The server side of TLS, live: presents the own SVID and demands one of the client.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), spiffe_tls::TlsError> {
/// let tls = spiffe_tls::ServerTls::new(source)?;
/// assert!(tls.current().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<Live<ServerRevision>>);

impl ServerTls {
    /// Builds the configuration of the current snapshot, and from then on one for each new revision.
    /// Runs on the current tokio runtime until the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn new(source: Source) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Live::follow(source, ServerRevision::build)?)))
    }

    /// The revision for a handshake that begins now; none while there is no identity. Take it once
    /// for a handshake and keep it until its end.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ServerRevision>> {
        self.0.current()
    }

    /// Watches over the trust in the peer of a finished handshake; see [`TrustWatch`].
    pub fn watch(&self, chain: Arc<VerifiedChain>, connection: Connection) -> TrustWatch {
        TrustWatch::start(self.0.clone(), chain, connection)
    }
}

/// The server side of one revision.
///
/// ```
/// # use std::sync::Arc;
/// fn serving(revision: &spiffe_tls::ServerRevision) -> (u64, Arc<rustls::ServerConfig>) {
///     (revision.revision(), revision.config().clone())
/// }
/// ```
#[derive(Debug)]
pub struct ServerRevision {
    peers: Arc<Peers>,
    config: Arc<ServerConfig>,
    own_end: SystemTime,
}

impl ServerRevision {
    fn build(source: &Source, snapshot: &Arc<Snapshot>) -> Result<Option<Self>, TlsError> {
        let Some(svid) = snapshot.svid() else {
            return Ok(None);
        };
        let peers = Arc::new(Peers::new(
            snapshot.clone(),
            source.provider(),
            Purpose::Client,
        ));
        let (chain, key) = own_certificate(svid);
        let mut config = ServerConfig::builder_with_provider(source.provider().clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(ClientVerifier(peers.clone())))
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ignore_client_order = true;
        // rustls never verifies a resumed peer again, so there is nothing to resume.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Some(Self {
            peers,
            config: Arc::new(config),
            own_end: svid.verified().not_after(),
        }))
    }

    /// The number of the revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.peers.revision()
    }

    /// When the own SVID ends that peers of this revision are shown: they do not trust their
    /// connections longer.
    #[must_use]
    pub fn own_end(&self) -> SystemTime {
        self.own_end
    }

    /// The configuration for a handshake under this revision.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Says who the peer of a finished handshake is, from the chain that rustls kept of it. The
    /// chain is verified under this revision and held against `now`; after the handshake that
    /// has just verified it, this is a look-up.
    ///
    /// # Errors
    ///
    /// [`X509Error`] where there is no chain, it is not valid, or the deny-list names it.
    pub fn identify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Result<Arc<VerifiedChain>, X509Error> {
        identify(&self.peers, chain, now)
    }
}

impl Revision for ServerRevision {
    fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        self.peers.still_trusts(chain)
    }
}

pub(crate) fn identify(
    peers: &Peers,
    chain: Option<&[CertificateDer<'_>]>,
    now: SystemTime,
) -> Result<Arc<VerifiedChain>, X509Error> {
    let (leaf, issuers) = chain
        .and_then(<[_]>::split_first)
        .ok_or_else(|| X509Error::from(X509Fault::NoCertificate))?;
    peers.verify(leaf, issuers, now)
}

#[derive(Debug)]
struct ClientVerifier(Arc<Peers>);

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0
            .verify(leaf, issuers, system_time(now))
            .map_err(refusal)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, self.0.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, self.0.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms().supported_schemes()
    }
}
