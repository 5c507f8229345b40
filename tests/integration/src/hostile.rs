//! Clients and certificates that no honest library makes.

use std::sync::Arc;

use corpus::present::Gullible;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Asks for `/anyone` as a client that takes every server and shows whatever chain it is given.
///
/// # Errors
///
/// What the handshake or the answer fails of.
pub async fn shows(port: u16, chain: Vec<Vec<u8>>, key: &[u8]) -> Result<String, std::io::Error> {
    let provider = spiffe_verify::default_provider().unwrap();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
    let config = if chain.is_empty() {
        config.with_no_client_auth()
    } else {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        config
            .with_client_auth_cert(chain, PrivatePkcs8KeyDer::from(key.to_vec()).into())
            .unwrap()
    };
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    tls.write_all(b"GET /anyone HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A client without a certificate that takes every server, for HTTP/1.1.
///
/// # Errors
///
/// What the connection or the handshake fails of.
pub async fn anonymous(port: u16) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let provider = spiffe_verify::default_provider().unwrap();
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// An authority whose leaves carry any names: the devkit rightly makes none such.
pub struct AnyNames {
    /// Its certificate, for a bundle.
    pub root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl AnyNames {
    /// A fresh authority.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes keys")]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self {
            root: root.self_signed(&key).unwrap().der().to_vec(),
            issuer: Issuer::new(root, key),
        }
    }

    /// A leaf with these names, and its key.
    #[must_use]
    pub fn leaf(&self, names: Vec<SanType>) -> (Vec<Vec<u8>>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names = names;
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        (
            vec![leaf.signed_by(&key, &self.issuer).unwrap().der().to_vec()],
            key.serialize_der(),
        )
    }
}

/// A name of the kind that carries IDs.
#[must_use]
pub fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// A name of the kind that is never identity.
#[must_use]
pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}
