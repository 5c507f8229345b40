use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use spiffe_verify::X509Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::error::HandshakeError;
use crate::handshake::Acceptor;
use crate::stream::Stream;

/// How long to wait when the system has no file descriptor left: others have to close some first.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts TCP connections and shakes hands on them, many at a time.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_acceptor::Acceptor;
///
/// let mut listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
/// println!("listening on {}", listener.local_addr()?);
/// let (stream, address) = listener.accept().await;
/// println!("{} from {address}", stream.peer());
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    tcp: TcpListener,
    acceptor: Acceptor,
    max_pending: usize,
    handshakes: JoinSet<Option<(Stream<TcpStream>, SocketAddr)>>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Listener {
    pub(crate) fn new(tcp: TcpListener, acceptor: Acceptor, max_pending: usize) -> Self {
        Self {
            tcp,
            acceptor,
            max_pending,
            handshakes: JoinSet::new(),
            oldest_first: VecDeque::new(),
        }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Waits for the next peer that has proved its identity. Handshakes that fail are logged and
    /// passed over.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: handshakes go on, and the next call gives what
    /// they lead to.
    pub async fn accept(&mut self) -> (Stream<TcpStream>, SocketAddr) {
        loop {
            tokio::select! {
                accepted = self.tcp.accept() => match accepted {
                    Ok((tcp, address)) => self.begin(tcp, address),
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(target: "spiffe_acceptor", %error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
                Some(finished) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = finished {
                        return accepted;
                    }
                }
            }
        }
    }

    /// A peer whose handshake is done and who has not been handed out; does not wait for any.
    pub(crate) fn finished(&mut self) -> Option<(Stream<TcpStream>, SocketAddr)> {
        while let Some(finished) = self.handshakes.try_join_next() {
            if let Ok(Some(accepted)) = finished {
                return Some(accepted);
            }
        }
        None
    }

    fn begin(&mut self, tcp: TcpStream, address: SocketAddr) {
        self.make_room();
        let acceptor = self.acceptor.clone();
        let handshake = self.handshakes.spawn(async move {
            // Answers are small and complete: waiting to fill a segment only delays them.
            let _ = tcp.set_nodelay(true);
            match acceptor.accept(tcp).await {
                Ok(stream) => Some((stream, address)),
                Err(error) => {
                    log(address, &error);
                    None
                }
            }
        });
        self.oldest_first.push_back(handshake);
    }

    fn make_room(&mut self) {
        self.oldest_first
            .retain(|handshake| !handshake.is_finished());
        while self.oldest_first.len() >= self.max_pending {
            if let Some(oldest) = self.oldest_first.pop_front() {
                tracing::debug!(target: "spiffe_acceptor", reason = "evicted", "too many pending handshakes: the oldest gives way");
                oldest.abort();
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("tcp", &self.tcp)
            .field("pending", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

fn log(address: SocketAddr, error: &HandshakeError) {
    let claimed = error.chain().and_then(X509Error::claimed_id);
    tracing::debug!(
        target: "spiffe_acceptor",
        { peer.address = %address, peer.claimed_id = claimed.map(tracing::field::display), reason = error.reason(), %error },
        "handshake failed"
    );
}
