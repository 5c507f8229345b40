use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use spiffe_source::Source;
use spiffe_tls::rustls::server::ResolvesServerCert;
use spiffe_tls::{Admission, ServerTls, ServerTlsBuilder, WebCertificate};
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::attempt::{Handshake, Hook};
use crate::error::{AcceptorError, AcceptorFailure};
use crate::handshake::Acceptor;
use crate::incoming::Incoming;
use crate::listener::Listener;
use crate::observe;
use crate::pending::Pending;

/// What the stock acceptors of this field allow, and long enough for a bad mobile line.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A pending handshake costs some 20 KiB, so this bounds them to about 20 MiB.
const MAX_PENDING: usize = 1024;

/// An eighth of all: more than a fleet behind one address needs at a time, and too few for one
/// address to fill the rest.
const MAX_PENDING_PER_ADDRESS: usize = 128;

/// As long as `serve` gives connections to finish what is in flight.
const GRACE: Duration = Duration::from_secs(10);

/// The settings of an [`Acceptor`].
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_acceptor::{Acceptor, Admission};
///
/// let listener = Acceptor::builder(source)
///     .admit(Admission::ids(["spiffe://example.org/ns/shop/**"])?)
///     .handshake_timeout(Duration::from_secs(5))
///     .on_handshake(|handshake| println!("{:?}: {}", handshake.address(), handshake.reason()))
///     .bind("127.0.0.1:8443")
///     .await?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `bind`, `listen` or `build`"]
pub struct AcceptorBuilder {
    tls: ServerTlsBuilder,
    timeout: Duration,
    grace: Duration,
    max_pending: usize,
    max_pending_per_address: usize,
    hook: Option<Hook>,
}

impl AcceptorBuilder {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            tls: ServerTls::builder(source),
            timeout: HANDSHAKE_TIMEOUT,
            grace: GRACE,
            max_pending: MAX_PENDING,
            max_pending_per_address: MAX_PENDING_PER_ADDRESS,
            hook: None,
        }
    }

    /// Lets only some of the trusted peers in; all of them by default. Asked in every handshake, also
    /// when a session is resumed.
    pub fn admit(mut self, admission: Admission) -> Self {
        self.tls = self.tls.admit(admission);
        self
    }

    /// Takes clients without a certificate too, for mixed traffic: they have no identity, so
    /// [`Stream::peer`](crate::Stream::peer) is `None` and handlers take an `Option<PeerIdentity>`. A
    /// certificate that is shown has to be good all the same. By default one is demanded.
    pub fn anonymous_clients(mut self) -> Self {
        self.tls = self.tls.anonymous_clients();
        self
    }

    /// Presents a certificate of a web authority instead of the own SVID, where clients from outside
    /// come in. Clients still show SVIDs.
    pub fn web_certificate(self, certificate: WebCertificate) -> Self {
        self.certificate(Arc::new(certificate))
    }

    /// Presents another certificate than the own SVID, chosen in each handshake.
    pub fn certificate(mut self, certificate: Arc<dyn ResolvesServerCert>) -> Self {
        self.tls = self.tls.certificate(certificate);
        self
    }

    /// Whether clients may resume sessions; on by default. A resumed session is accepted only where a
    /// full handshake would be.
    pub fn resumption(mut self, on: bool) -> Self {
        self.tls = self.tls.resumption(on);
        self
    }

    /// Accepts TLS 1.2 beside TLS 1.3, for clients that know no better. The certificates of both
    /// ends then pass in the clear.
    #[cfg(feature = "tls12")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls12")))]
    pub fn tls12(mut self) -> Self {
        self.tls = self.tls.tls12();
        self
    }

    /// How long a whole handshake may take; 10 s by default.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a stream lives on once its peer is no longer trusted, for what is in flight; 10 s by
    /// default. Then its reads and writes fail, whatever serves it.
    /// [`Serve::drain_within`](crate::Serve::drain_within) takes the place of this.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many handshakes may be pending on a listener; 1024 by default. One more makes the oldest
    /// give way, since a client that stays silent is always among the oldest.
    pub fn max_pending_handshakes(mut self, max: usize) -> Self {
        self.max_pending = max.max(1);
        self
    }

    /// How many of them may come from one IPv4 address or one IPv6 network (`/64`); 128 by default.
    /// One more makes the oldest of that address give way, and nobody else. Behind a proxy or a load
    /// balancer that hides addresses this is to be as large as
    /// [`max_pending_handshakes`](Self::max_pending_handshakes). Unix sockets have no such quota.
    pub fn max_pending_handshakes_per_address(mut self, max: usize) -> Self {
        self.max_pending_per_address = max.max(1);
        self
    }

    /// Calls `hook` once for each handshake, whatever becomes of it: for audit. It runs where the
    /// handshake runs and must not block.
    pub fn on_handshake(mut self, hook: impl Fn(&Handshake<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// The acceptor alone, for streams of bytes that come from elsewhere. Needs a tokio runtime.
    /// The limits of pending handshakes are those of a listener: with an acceptor alone, the deadline
    /// of each is what bounds them.
    ///
    /// # Errors
    ///
    /// [`AcceptorError`] where the crypto provider cannot do what is needed.
    pub fn build(self) -> Result<Acceptor, AcceptorError> {
        let tls = self.tls.build().map_err(AcceptorFailure::Tls)?;
        observe::begin();
        Ok(Acceptor {
            tls,
            timeout: self.timeout,
            grace: self.grace,
            hook: self.hook,
            flushes: true,
        })
    }

    /// Listens on a TCP address.
    ///
    /// # Errors
    ///
    /// [`AcceptorError`] where the address cannot be bound, or as [`build`](Self::build).
    pub async fn bind(
        self,
        address: impl ToSocketAddrs + fmt::Debug,
    ) -> Result<Listener, AcceptorError> {
        let shown = format!("{address:?}");
        let tcp = TcpListener::bind(address)
            .await
            .map_err(|error| AcceptorFailure::Bind {
                address: shown,
                error,
            })?;
        self.listen(tcp)
    }

    /// Takes connections from a listener that is bound already: TCP, Unix, or whatever wraps one.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn listen<I: Incoming>(self, incoming: I) -> Result<Listener<I>, AcceptorError> {
        let pending = Pending::new(self.max_pending, self.max_pending_per_address);
        Ok(Listener::new(incoming, self.build()?, pending))
    }
}

impl fmt::Debug for AcceptorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptorBuilder")
            .field("tls", &self.tls)
            .field("timeout", &self.timeout)
            .field("grace", &self.grace)
            .field("max_pending", &self.max_pending)
            .field("max_pending_per_address", &self.max_pending_per_address)
            .finish_non_exhaustive()
    }
}
