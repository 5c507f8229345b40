use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use spiffe_peer::Connection;
use spiffe_source::{Snapshot, Source, Svid};
use spiffe_verify::{Purpose, VerifiedChain, X509Error};

use crate::error::{TlsError, refusal};
use crate::expected::ExpectedServer;
use crate::live::{Live, Revision};
use crate::peers::{Peers, system_time};
use crate::server::identify;
use crate::trust::TrustWatch;

/// The client side of TLS, live: presents the own SVID, and takes no server but the expected one.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = spiffe_tls::ClientTls::new(source, "spiffe://example.org/service/orders".parse()?)?;
/// assert!(tls.current().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<Live<ClientRevision>>);

impl ClientTls {
    /// Builds the configuration of the current snapshot, and from then on one for each new revision.
    /// Runs on the current tokio runtime until the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn new(source: Source, expected: ExpectedServer) -> Result<Self, TlsError> {
        let build = move |source: &Source, snapshot: &Arc<Snapshot>| {
            ClientRevision::build(source, snapshot, &expected)
        };
        Ok(Self(Arc::new(Live::follow(source, build)?)))
    }

    /// The revision for a handshake that begins now; none while there is no identity. Take it once
    /// for a handshake and keep it until its end.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ClientRevision>> {
        self.0.current()
    }

    /// Watches over the trust in the peer of a finished handshake; see [`TrustWatch`].
    pub fn watch(&self, chain: Arc<VerifiedChain>, connection: Connection) -> TrustWatch {
        TrustWatch::start(self.0.clone(), chain, connection)
    }
}

/// The client side of one revision.
///
/// ```
/// # use std::sync::Arc;
/// fn calling(revision: &spiffe_tls::ClientRevision) -> (u64, Arc<rustls::ClientConfig>) {
///     (revision.revision(), revision.config().clone())
/// }
/// ```
#[derive(Debug)]
pub struct ClientRevision {
    peers: Arc<Peers>,
    config: Arc<ClientConfig>,
}

impl ClientRevision {
    fn build(
        source: &Source,
        snapshot: &Arc<Snapshot>,
        expected: &ExpectedServer,
    ) -> Result<Option<Self>, TlsError> {
        let Some(svid) = snapshot.svid() else {
            return Ok(None);
        };
        let peers = Arc::new(Peers::new(
            snapshot.clone(),
            source.provider(),
            Purpose::Server,
        ));
        let (chain, key) = own_certificate(svid);
        let verifier = ServerVerifier {
            peers: peers.clone(),
            expected: expected.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(source.provider().clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // rustls never verifies a resumed peer again, so there is nothing to resume.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(Some(Self {
            peers,
            config: Arc::new(config),
        }))
    }

    /// The number of the revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.peers.revision()
    }

    /// The configuration for a handshake under this revision.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Says who the server of a finished handshake is, from the chain that rustls kept of it. The
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

impl Revision for ClientRevision {
    fn still_trusts(&self, chain: &VerifiedChain) -> bool {
        self.peers.still_trusts(chain)
    }
}

pub(crate) fn own_certificate(
    svid: &Svid,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = svid
        .chain()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    (
        chain,
        PrivatePkcs8KeyDer::from(svid.expose_key().to_vec()).into(),
    )
}

/// Refuses a server before this client has said who it is: its own certificate, and every byte of a
/// request, go out after this verdict.
#[derive(Debug)]
struct ServerVerifier {
    peers: Arc<Peers>,
    expected: ExpectedServer,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        // Whom we call is said by its SPIFFE ID; the name that was dialled need not match.
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .peers
            .verify(leaf, issuers, system_time(now))
            .map_err(refusal)?;
        self.expected.check(verified.spiffe_id()).map_err(refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            self.peers.algorithms(),
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            self.peers.algorithms(),
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.peers.algorithms().supported_schemes()
    }
}
