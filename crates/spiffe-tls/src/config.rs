//! What the configurations of both ends share.

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use spiffe_source::Svid;

use crate::error::TlsError;

pub(crate) const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

type Versions = &'static [&'static SupportedProtocolVersion];

static TLS13: Versions = &[&rustls::version::TLS13];
#[cfg(feature = "tls12")]
static TLS13_AND_12: Versions = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Said explicitly, since any crate in the graph can switch TLS 1.2 on in rustls.
pub(crate) fn versions(tls12: bool) -> Versions {
    match tls12 {
        #[cfg(feature = "tls12")]
        true => TLS13_AND_12,
        _ => TLS13,
    }
}

pub(crate) fn own_certificate(
    svid: &Svid,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = svid
        .chain()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let key = PrivatePkcs8KeyDer::from(svid.expose_key().to_vec());
    let key = provider.key_provider.load_private_key(key.into())?;
    // That the key is the leaf's, the source has checked.
    Ok(CertifiedKey::new(chain, key))
}
