//! The server side.

mod revision;
mod verifier;
mod web;

use std::fmt;
use std::sync::Arc;

use rustls::server::ResolvesServerCert;
use spiffe_peer::Connection;
use spiffe_source::Source;
use spiffe_verify::VerifiedChain;

use crate::admission::Admission;
use crate::error::TlsError;
use crate::live::Live;
use crate::trust::TrustWatch;
pub use revision::ServerRevision;
pub use web::WebCertificate;

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
    /// With every setting at its default; see [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`ServerTlsBuilder::build`].
    pub fn new(source: Source) -> Result<Self, TlsError> {
        Self::builder(source).build()
    }

    /// The settings of a server with the identity and the trust of `source`.
    pub fn builder(source: Source) -> ServerTlsBuilder {
        ServerTlsBuilder {
            source,
            settings: Settings {
                certificate: None,
                anonymous_clients: false,
                admission: None,
                resumption: true,
                tls12: false,
            },
        }
    }

    /// The revision for a handshake that begins now; none while there is no identity. Take it once
    /// for a handshake and keep it until its end.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ServerRevision>> {
        self.0.current()
    }

    /// Watches over the trust in the peer of a finished handshake; see [`TrustWatch`]. The connection
    /// of a client without a certificate lives as long as the own identity.
    pub fn watch(
        &self,
        chain: impl Into<Option<Arc<VerifiedChain>>>,
        connection: Connection,
    ) -> TrustWatch {
        TrustWatch::start(&self.0, chain.into(), connection)
    }
}

/// The settings of a [`ServerTls`].
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_tls::{Admission, ServerTls};
///
/// let tls = ServerTls::builder(source)
///     .admit(Admission::ids(["spiffe://example.org/ns/shop/**"])?)
///     .build()?;
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ServerTlsBuilder {
    source: Source,
    settings: Settings,
}

pub(crate) struct Settings {
    certificate: Option<Arc<dyn ResolvesServerCert>>,
    anonymous_clients: bool,
    admission: Option<Admission>,
    resumption: bool,
    tls12: bool,
}

impl ServerTlsBuilder {
    /// Presents another certificate than the own SVID, one of a web authority, say, where clients
    /// from outside come in. Clients still show SVIDs, and while there is no own SVID there is no
    /// trust either. [`WebCertificate`] is such a certificate from PEM.
    pub fn certificate(mut self, certificate: Arc<dyn ResolvesServerCert>) -> Self {
        self.settings.certificate = Some(certificate);
        self
    }

    /// Takes clients without a certificate too; they have no identity. One that is shown has to be
    /// good all the same. By default a certificate is demanded.
    pub fn anonymous_clients(mut self) -> Self {
        self.settings.anonymous_clients = true;
        self
    }

    /// Lets only some of the trusted peers in; all of them by default.
    pub fn admit(mut self, admission: Admission) -> Self {
        self.settings.admission = Some(admission);
        self
    }

    /// Whether clients may resume sessions; on by default. A resumed session is held against the
    /// clock, the deny-list and the admission like a new one, and ends with its revision, so that it
    /// is accepted only where a full handshake would be.
    pub fn resumption(mut self, on: bool) -> Self {
        self.settings.resumption = on;
        self
    }

    /// Accepts TLS 1.2 beside TLS 1.3, for clients that know no better. The certificates of both
    /// ends then pass in the clear.
    #[cfg(feature = "tls12")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls12")))]
    pub fn tls12(mut self) -> Self {
        self.settings.tls12 = true;
        self
    }

    /// Builds the configuration of the current snapshot, and from then on one for each new revision.
    /// Runs on the current tokio runtime until the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the provider cannot do what is needed.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let settings = self.settings;
        let build =
            move |source: &_, snapshot: &_| ServerRevision::build(source, snapshot, &settings);
        Ok(ServerTls(Live::follow(self.source, build)?))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("own_svid", &self.certificate.is_none())
            .field("anonymous_clients", &self.anonymous_clients)
            .field("admission", &self.admission)
            .field("resumption", &self.resumption)
            .finish_non_exhaustive()
    }
}
