//! Ends of a connection that show any chain and take any peer. No honest library makes them.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureAlgorithm, SignatureScheme,
};

use crate::case::Presented;
use crate::key::{Key, KeyKind};

/// A client that shows a chain, whatever it is, and takes any server.
#[must_use]
pub fn client(presented: &Presented) -> Arc<ClientConfig> {
    let provider = spiffe_verify::default_provider().unwrap();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(presented))));
    Arc::new(config)
}

/// A server that shows a chain, whatever it is, and asks its clients for nothing.
#[must_use]
pub fn server(presented: &Presented) -> Arc<ServerConfig> {
    let provider = spiffe_verify::default_provider().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(presented))));
    Arc::new(config)
}

fn certified(presented: &Presented) -> CertifiedKey {
    let chain = presented.chain.iter().cloned().map(CertificateDer::from);
    CertifiedKey::new(chain.collect(), Arc::new(AnyKey(presented.key.clone())))
}

/// Signs with whatever it has, whether or not it fits.
#[derive(Debug)]
struct AnyKey(Key);

impl SigningKey for AnyKey {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.kind() {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Secp256k1 => {
                SignatureAlgorithm::ECDSA
            }
            KeyKind::Ed25519 => SignatureAlgorithm::ED25519,
            KeyKind::Rsa2048 | KeyKind::Rsa1024 => SignatureAlgorithm::RSA,
        }
    }
}

impl Signer for AnyKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign_handshake(message))
    }

    fn scheme(&self) -> SignatureScheme {
        match self.0.kind() {
            KeyKind::P256 | KeyKind::Secp256k1 => SignatureScheme::ECDSA_NISTP256_SHA256,
            KeyKind::P384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            KeyKind::P521 => SignatureScheme::ECDSA_NISTP521_SHA512,
            KeyKind::Ed25519 => SignatureScheme::ED25519,
            KeyKind::Rsa2048 | KeyKind::Rsa1024 => SignatureScheme::RSA_PSS_SHA256,
        }
    }
}

/// Takes every server.
#[derive(Debug)]
pub struct Gullible(pub Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
