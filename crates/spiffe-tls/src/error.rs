use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, OtherError};

/// A configuration that cannot be built: the provider lacks what TLS 1.3 needs, or cannot use a key
/// or a certificate that is to be presented.
///
/// ```
/// fn explain(error: &spiffe_tls::TlsError) -> String {
///     format!("check the crypto provider: {error}")
/// }
/// ```
#[derive(Debug, Clone)]
pub struct TlsError(rustls::Error);

impl TlsError {
    pub(crate) fn pem(error: rustls::pki_types::pem::Error) -> Self {
        Self(rustls::Error::General(format!(
            "the certificate or its key cannot be read: {error}"
        )))
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no TLS configuration can be built: {}", self.0)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Carries our reason through rustls. The alert for it tells the peer nothing but that its
/// certificate is not accepted.
pub(crate) fn refusal(error: impl Error + Send + Sync + 'static) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// Looks for an error of type `E` in a chain of errors, also where rustls or an `io::Error` wraps it:
/// an `X509Error` or an `UnexpectedServer` with which this end has refused the peer, or an error of
/// rustls itself.
///
/// ```
/// use spiffe_verify::X509Error;
///
/// let io_error = std::io::Error::other("connection reset");
/// assert!(spiffe_tls::refused_with::<X509Error>(&io_error).is_none());
/// ```
#[must_use]
pub fn refused_with<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) =
        error.downcast_ref()
    {
        return refused_with(inner.as_ref());
    }
    if let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        return refused_with(inner);
    }
    error.source().and_then(refused_with)
}
