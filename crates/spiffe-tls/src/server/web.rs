use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::TlsError;

/// A server certificate that is no SVID, for clients that know web authorities alone. It can be
/// replaced while it is in use; all clones are one.
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_tls::{ServerTls, WebCertificate};
///
/// let (chain, key) = (std::fs::read("fullchain.pem")?, std::fs::read("privkey.pem")?);
/// let web = WebCertificate::from_pem(&chain, &key, source.provider())?;
/// let tls = ServerTls::builder(source).certificate(Arc::new(web.clone())).build()?;
/// // Whenever there is a new one:
/// web.replace(&chain, &key)?;
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WebCertificate {
    current: Arc<ArcSwap<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl WebCertificate {
    /// Reads a certificate with those of its issuers, leaf first, and its key.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where one of the two is no PEM or empty, the provider cannot use the key, or the
    /// key is not the certificate's.
    pub fn from_pem(
        chain: &[u8],
        key: &[u8],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let current = Arc::new(ArcSwap::from_pointee(read(chain, key, provider)?));
        Ok(Self {
            current,
            provider: provider.clone(),
        })
    }

    /// Presents another certificate from the next handshake on.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem); the old one then stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.current
            .store(Arc::new(read(chain, key, &self.provider)?));
        Ok(())
    }
}

fn read(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::pem)?;
    if chain.is_empty() {
        return Err(rustls::Error::NoCertificatesPresented.into());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::pem)?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

impl ResolvesServerCert for WebCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for WebCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebCertificate").finish_non_exhaustive()
    }
}
