use std::time::{Duration, SystemTime};

use spiffe_peer::{Connection, PeerIdentity};
use spiffe_source::Source;
use spiffe_tls::{Admission, ServerTls};
use spiffe_verify::X509Fault;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio_rustls::TlsAcceptor;

use crate::error::{AcceptorError, AcceptorFailure, HandshakeError, HandshakeFailure};
use crate::listener::Listener;
use crate::stream::Stream;

/// What the stock acceptors of this field allow, and long enough for a bad mobile line.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// A pending handshake costs some 20 KiB, so this bounds them to about 20 MiB.
const MAX_PENDING: usize = 1024;

/// Shakes hands with clients: presents the own SVID, and takes no client without one.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_acceptor::Acceptor;
///
/// // Any stream of bytes will do.
/// let acceptor = Acceptor::builder(source).build()?;
/// let (client_end, server_end) = tokio::io::duplex(16 * 1024);
/// # let _ = client_end;
/// let stream = acceptor.accept(server_end).await?;
/// println!("{}", stream.peer());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Acceptor {
    tls: ServerTls,
    timeout: Duration,
}

impl Acceptor {
    /// An acceptor with the identity and the trust of `source`.
    pub fn builder(source: Source) -> AcceptorBuilder {
        AcceptorBuilder {
            source,
            admission: None,
            timeout: HANDSHAKE_TIMEOUT,
            max_pending: MAX_PENDING,
        }
    }

    /// Shakes hands on one connection. One revision of the source holds from start to end; a peer
    /// that a later one no longer trusts is refused even so.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] where this server has no identity, the peer's is not accepted, or the
    /// deadline has passed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn accept<IO>(&self, io: IO) -> Result<Stream<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(revision) = self.tls.current() else {
            let _ = tokio::time::timeout(LINGER, say_internal_error(io)).await;
            return Err(HandshakeFailure::NoIdentity.into());
        };
        let accept = TlsAcceptor::from(revision.config().clone())
            .accept(io)
            .into_fallible();
        let tls = match tokio::time::timeout(self.timeout, accept).await {
            Ok(Ok(tls)) => tls,
            Ok(Err((error, io))) => {
                let _ = tokio::time::timeout(LINGER, let_alert_arrive(io)).await;
                return Err(HandshakeFailure::Tls(error).into());
            }
            Err(_) => return Err(HandshakeFailure::Timeout(self.timeout).into()),
        };
        // Trust that went while the peer took its time is gone: the latest revision has the last word.
        let verdict = match self.tls.current() {
            Some(latest) => latest
                .identify(tls.get_ref().1.peer_certificates(), SystemTime::now())
                .map_err(HandshakeFailure::Peer),
            None => Err(HandshakeFailure::NoIdentity),
        };
        let chain = match verdict.and_then(|chain| {
            chain.ok_or_else(|| HandshakeFailure::Peer(X509Fault::NoCertificate.into()))
        }) {
            Ok(chain) => chain,
            Err(refusal) => {
                let _ = tokio::time::timeout(LINGER, let_alert_arrive(tls)).await;
                return Err(refusal.into());
            }
        };
        let connection = Connection::new();
        let peer = PeerIdentity::assume_verified(chain.to_peer(), connection.clone());
        let watch = self.tls.watch(chain, connection.clone());
        Ok(Stream::new(
            tls,
            peer,
            connection,
            watch,
            revision.own_end(),
        ))
    }
}

/// A server without identity has no configuration to speak TLS with. So that its clients need not
/// guess, it says the one thing that it can: a fatal alert, `internal_error` (RFC 8446, section 6).
async fn say_internal_error<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];
    if io.write_all(&ALERT).await.is_ok() {
        let_alert_arrive(io).await;
    }
}

/// Closing a socket that holds unread bytes resets the connection, and a reset can overtake the
/// alert that says why. In TLS 1.3 a client has often sent its request by then.
async fn let_alert_arrive<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    let mut unread = [0; 4096];
    if io.shutdown().await.is_ok() {
        while matches!(io.read(&mut unread).await, Ok(1..)) {}
    }
}

/// The settings of an [`Acceptor`].
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = spiffe_acceptor::Acceptor::builder(source)
///     .handshake_timeout(Duration::from_secs(5))
///     .bind("127.0.0.1:8443")
///     .await?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `bind` or `build`"]
pub struct AcceptorBuilder {
    source: Source,
    admission: Option<Admission>,
    timeout: Duration,
    max_pending: usize,
}

impl AcceptorBuilder {
    /// Whom of those that the source trusts to let in; by default all of them.
    pub fn admit(mut self, admission: Admission) -> Self {
        self.admission = Some(admission);
        self
    }

    /// How long a whole handshake may take; 10 s by default.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many handshakes may be pending on a listener; 1024 by default. One more makes the oldest
    /// give way, since a client that stays silent is always among the oldest.
    pub fn max_pending_handshakes(mut self, max: usize) -> Self {
        self.max_pending = max.max(1);
        self
    }

    /// The acceptor alone, for streams of bytes that come from elsewhere. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`AcceptorError`] where the crypto provider cannot do what is needed.
    pub fn build(self) -> Result<Acceptor, AcceptorError> {
        let mut tls = ServerTls::builder(self.source);
        if let Some(admission) = self.admission {
            tls = tls.admit(admission);
        }
        let tls = tls.build().map_err(AcceptorFailure::Tls)?;
        Ok(Acceptor {
            tls,
            timeout: self.timeout,
        })
    }

    /// Listens on a TCP address.
    ///
    /// # Errors
    ///
    /// [`AcceptorError`] where the address cannot be bound, or as [`build`](Self::build).
    pub async fn bind(
        self,
        address: impl ToSocketAddrs + std::fmt::Debug,
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

    /// Takes connections from a TCP listener that is bound already.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn listen(self, tcp: TcpListener) -> Result<Listener, AcceptorError> {
        let max_pending = self.max_pending;
        Ok(Listener::new(tcp, self.build()?, max_pending))
    }
}
