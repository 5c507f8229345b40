use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The crypto provider of the features that are on, built once and shared.
///
/// With the feature `aws-lc-rs` it is aws-lc-rs, the hybrid post-quantum key exchange
/// X25519MLKEM768 first; with `ring` alone it is ring. Both may be on. TLS 1.3's
/// AES-128-GCM comes first among the cipher suites. The default of the process is neither read nor
/// installed.
///
/// ```
/// use rustls::CipherSuite;
///
/// let provider = spiffe_verify::default_provider()?;
/// assert_eq!(provider.cipher_suites[0].suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
/// # Ok::<(), spiffe_verify::NoProvider>(())
/// ```
///
/// # Errors
///
/// [`NoProvider`] where neither feature is on.
pub fn default_provider() -> Result<Arc<CryptoProvider>, NoProvider> {
    built()
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn built() -> Result<Arc<CryptoProvider>, NoProvider> {
    use std::sync::LazyLock;

    use rustls::{CipherSuite, NamedGroup};

    #[cfg(feature = "aws-lc-rs")]
    use rustls::crypto::aws_lc_rs as backend;
    #[cfg(not(feature = "aws-lc-rs"))]
    use rustls::crypto::ring as backend;

    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = backend::default_provider();
        // SHA-384 has no hardware path in TLS's key schedule: AES-256 first would cost every
        // handshake a tenth. The sorts are stable and keep the order of the rest.
        let is_first = |suite| suite == CipherSuite::TLS13_AES_128_GCM_SHA256;
        provider
            .cipher_suites
            .sort_by_key(|suite| !is_first(suite.suite()));
        provider
            .kx_groups
            .sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
        Arc::new(provider)
    });
    Ok(PROVIDER.clone())
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn built() -> Result<Arc<CryptoProvider>, NoProvider> {
    Err(NoProvider(()))
}

/// There is no crypto provider, because neither of the features that bring one is on.
///
/// ```
/// // With the default features there is one.
/// assert!(spiffe_verify::default_provider().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProvider(());

impl fmt::Display for NoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no crypto provider is built in: enable the feature `aws-lc-rs` or `ring`, or pass a provider")
    }
}

impl std::error::Error for NoProvider {}

#[cfg(all(test, any(feature = "aws-lc-rs", feature = "ring")))]
mod tests {
    use rustls::{CipherSuite, NamedGroup};

    use super::*;

    #[test]
    fn it_is_built_once_and_leaves_the_process_alone() {
        let (first, second) = (default_provider().unwrap(), default_provider().unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(CryptoProvider::get_default().is_none());
    }

    #[test]
    fn the_preferred_algorithms_come_first_and_none_is_lost() {
        let provider = default_provider().unwrap();
        assert_eq!(
            provider.cipher_suites[0].suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
        );
        assert!(provider.cipher_suites.len() >= 3);

        let first = provider.kx_groups[0].name();
        if cfg!(feature = "aws-lc-rs") {
            assert_eq!(first, NamedGroup::X25519MLKEM768);
        } else {
            assert_eq!(first, NamedGroup::X25519);
        }
        assert!(
            provider
                .kx_groups
                .iter()
                .any(|group| group.name() == NamedGroup::secp256r1)
        );
    }
}
