use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiffe_peer::{Connection, PeerIdentity};
use spiffe_source::Source;
use spiffe_tls::rustls::ServerConfig;
use spiffe_tls::{ServerRevision, ServerTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::error::Elapsed;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::attempt::{Address, Attempt, Hook};
use crate::builder::AcceptorBuilder;
use crate::cut::Cut;
use crate::error::{HandshakeError, HandshakeFailure};
use crate::gathering::Gathering;
use crate::pending::Eviction;
use crate::stream::Stream;

/// How long whoever has been refused, or told goodbye, may take to read that.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

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
/// println!("{:?}", stream.peer());
/// # Ok(())
/// # }
/// ```
///
/// A server built by hand on hyper: [`WithPeer`](crate::WithPeer) puts the peer into the requests of
/// a connection.
///
/// ```no_run
/// # async fn example<S>(acceptor: spiffe_acceptor::Acceptor, tcp: tokio::net::TcpListener, app: S) -> std::io::Result<()>
/// # where
/// #     S: tower_service::Service<http::Request<hyper::body::Incoming>, Response = http::Response<String>, Error = std::convert::Infallible> + Clone + Send + 'static,
/// #     S::Future: Send,
/// # {
/// use hyper_util::rt::{TokioExecutor, TokioIo};
/// use hyper_util::server::conn::auto;
/// use hyper_util::service::TowerToHyperService;
/// use spiffe_acceptor::WithPeer;
///
/// loop {
///     let (io, address) = tcp.accept().await?;
///     let (acceptor, app) = (acceptor.clone(), app.clone());
///     tokio::spawn(async move {
///         // A handshake that fails has been logged.
///         if let Ok(stream) = acceptor.accept_from(io, &address).await {
///             let app = TowerToHyperService::new(WithPeer::new(app, stream.peer().cloned()));
///             let _ = auto::Builder::new(TokioExecutor::new())
///                 .serve_connection(TokioIo::new(stream), app)
///                 .await;
///         }
///     });
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Acceptor {
    pub(crate) tls: ServerTls,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) hook: Option<Hook>,
    /// Whether a handshake that is done leaves nothing unsent. Otherwise whoever takes the stream
    /// flushes it.
    pub(crate) flushes: bool,
}

impl Acceptor {
    /// An acceptor with the identity and the trust of `source`.
    pub fn builder(source: Source) -> AcceptorBuilder {
        AcceptorBuilder::new(source)
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
        self.shake_hands(io, None, pending()).await
    }

    /// As [`accept`](Self::accept), and says in logs where the connection comes from.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn accept_from<IO, A>(
        &self,
        io: IO,
        address: &A,
    ) -> Result<Stream<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        A: fmt::Debug + Sync,
    {
        self.shake_hands(io, Some(address), pending()).await
    }

    pub(crate) async fn shake_hands<IO>(
        &self,
        io: IO,
        address: Option<Address<'_>>,
        evicted: impl Future<Output = Eviction>,
    ) -> Result<Stream<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut attempt = Attempt::begin(address, self.hook.as_ref());
        let why = tokio::select! {
            biased;
            outcome = self.negotiate(io, &mut attempt) => return outcome,
            why = evicted => why,
        };
        let error = HandshakeFailure::Evicted(why).into();
        attempt.refused(&error);
        Err(error)
    }

    /// Tells of its outcome itself, before it lingers. What lingers is boxed: a handshake that is
    /// pending takes no more room than TLS does.
    async fn negotiate<IO>(
        &self,
        io: IO,
        attempt: &mut Attempt<'_>,
    ) -> Result<Stream<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let refused = match self.tls.current() {
            Some(revision) => {
                let accept = self.negotiate_tls(revision.config().clone(), io);
                let shaken = tokio::time::timeout(self.timeout, accept).await;
                match self.admit(&revision, shaken) {
                    Ok(stream) => {
                        attempt.accepted(&stream);
                        return Ok(stream);
                    }
                    Err(refused) => refused,
                }
            }
            None => Refused {
                failure: HandshakeFailure::NoIdentity,
                left: Some(Left::Greeting(io)),
            },
        };
        let error = HandshakeError::from(refused.failure);
        attempt.refused(&error);
        if let Some(left) = refused.left {
            let _ = Box::pin(tokio::time::timeout(LINGER, left.linger())).await;
        }
        Err(error)
    }

    fn admit<IO>(
        &self,
        revision: &ServerRevision,
        shaken: Result<Negotiated<IO>, Elapsed>,
    ) -> Result<Stream<IO>, Refused<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let tls = match shaken {
            Ok(Ok(tls)) => tls,
            Ok(Err((error, io))) => {
                return Err(Refused {
                    failure: HandshakeFailure::Tls(error),
                    left: Some(Left::Plain(io)),
                });
            }
            Err(_) => {
                return Err(Refused {
                    failure: HandshakeFailure::Timeout(self.timeout),
                    left: None,
                });
            }
        };
        // Trust that went while the peer took its time is gone: the latest revision has the last word.
        let verdict = match self.tls.current() {
            Some(latest) => latest
                .identify(tls.get_ref().1.peer_certificates(), SystemTime::now())
                .map_err(HandshakeFailure::Peer),
            None => Err(HandshakeFailure::NoIdentity),
        };
        let chain = match verdict {
            Ok(chain) => chain,
            Err(failure) => {
                return Err(Refused {
                    failure,
                    left: Some(Left::Tls(Box::new(tls))),
                });
            }
        };
        let connection = Connection::new();
        if let Some(chain) = chain.as_ref().filter(|chain| revision.is_own(chain)) {
            tracing::warn!(target: "spiffe_acceptor", { peer.spiffe_id = %chain.spiffe_id() }, "a peer has the key of our own SVID");
        }
        let peer = chain
            .as_ref()
            .map(|chain| PeerIdentity::assume_verified(chain.peer().clone(), connection.clone()));
        let watch = self.tls.watch(chain, connection.clone());
        let cut = Cut::new(connection, self.grace);
        Ok(Stream::new(tls, peer, watch, cut, revision.own_end()))
    }

    async fn negotiate_tls<IO>(&self, config: Arc<ServerConfig>, io: IO) -> Negotiated<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let accept = TlsAcceptor::from(config).accept(Gathering::new(io));
        let mut tls = accept.into_fallible().await?;
        tls.get_mut().0.handshake_done();
        if self.flushes
            && let Err(error) = tls.flush().await
        {
            return Err((error, tls.into_inner().0));
        }
        Ok(tls)
    }
}

type Negotiated<IO> = Result<TlsStream<Gathering<IO>>, (io::Error, Gathering<IO>)>;

/// A handshake that has come to nothing, and what is left of its connection.
struct Refused<IO> {
    failure: HandshakeFailure,
    left: Option<Left<IO>>,
}

enum Left<IO> {
    /// Nothing has been said yet.
    Greeting(IO),
    /// An alert is on its way: it may still be held, and leaves with the shutdown.
    Plain(Gathering<IO>),
    /// TLS itself was fine.
    Tls(Box<TlsStream<Gathering<IO>>>),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Left<IO> {
    async fn linger(self) {
        match self {
            Self::Greeting(io) => say_internal_error(io).await,
            Self::Plain(io) => let_alert_arrive(io).await,
            Self::Tls(tls) => let_alert_arrive(tls).await,
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("tls", &self.tls)
            .field("timeout", &self.timeout)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
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
    let mut unread = [0; 256];
    if io.shutdown().await.is_ok() {
        while matches!(io.read(&mut unread).await, Ok(1..)) {}
    }
}
