use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::ClientTls;
use super::revision::ClientRevision;
use crate::config::{ALPN, versions};
use crate::error::TlsError;
use crate::expected::ExpectedServer;

type ByHost = dyn Fn(&str) -> Option<ExpectedServer> + Send + Sync;

/// Presents and trusts what holds at the moment of each handshake.
pub(super) struct Following {
    tls: ClientTls,
    by_host: Option<Arc<ByHost>>,
}

impl Following {
    pub(super) fn config(
        tls: ClientTls,
        by_host: Option<Arc<ByHost>>,
    ) -> Result<ClientConfig, TlsError> {
        let provider = tls.1.clone();
        let following = Arc::new(Self { tls, by_host });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(false))?
            .dangerous()
            .with_custom_certificate_verifier(following.clone())
            .with_client_cert_resolver(following);
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        config.enable_early_data = false;
        // Whose session is resumed, rustls does not verify, and nobody else would.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn revision(&self, name: &ServerName<'_>) -> Result<Arc<ClientRevision>, rustls::Error> {
        let revision = self
            .tls
            .current()
            .ok_or_else(|| rustls::Error::General("no identity at the moment".to_owned()))?;
        let Some(by_host) = &self.by_host else {
            return Ok(revision);
        };
        let host = name.to_str();
        let expected = by_host(&host)
            .ok_or_else(|| rustls::Error::General(format!("nobody is expected at {host}")))?;
        Ok(revision.narrowed_to(&expected))
    }
}

impl ResolvesClientCert for Following {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.tls.current()?.own().clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Following {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = self.revision(name)?.verifier();
        verifier.verify_server_cert(leaf, issuers, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // It speaks TLS 1.3 alone.
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.tls.1.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.tls.1.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("tls", &self.tls)
            .field("by_host", &self.by_host.is_some())
            .finish()
    }
}
