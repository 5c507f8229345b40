use std::fmt;
use std::io;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::faults::Faults;
use crate::handshake::Acceptor;
use crate::incoming::Incoming;
use crate::pending::Pending;
use crate::stream::Stream;

/// Accepts connections and shakes hands on them, many at a time.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_acceptor::Acceptor;
///
/// let mut listener = Acceptor::builder(source).bind("127.0.0.1:0").await?;
/// println!("listening on {}", listener.local_addr()?);
/// let (stream, address) = listener.accept().await;
/// println!("{:?} from {address}", stream.peer());
/// # Ok(())
/// # }
/// ```
pub struct Listener<I: Incoming = TcpListener> {
    incoming: I,
    acceptor: Acceptor,
    pending: Pending,
    handshakes: JoinSet<Finished<I>>,
    faults: Faults,
}

type Accepted<I> = (Stream<<I as Incoming>::Io>, <I as Incoming>::Address);

/// The handshakes that were under way when the last connection was taken.
pub(crate) struct Begun<I: Incoming>(JoinSet<Finished<I>>);

impl<I: Incoming> Begun<I> {
    /// The next peer that has proved its identity; none when there is no other.
    pub(crate) async fn next(&mut self) -> Option<Accepted<I>> {
        while let Some(finished) = self.0.join_next().await {
            if let Ok(Finished {
                accepted: Some(accepted),
                ..
            }) = finished
            {
                return Some(accepted);
            }
        }
        None
    }
}

struct Finished<I: Incoming> {
    number: u64,
    accepted: Option<Accepted<I>>,
}

impl<I: Incoming> Listener<I> {
    pub(crate) fn new(incoming: I, acceptor: Acceptor, pending: Pending) -> Self {
        Self {
            incoming,
            acceptor,
            pending,
            handshakes: JoinSet::new(),
            faults: Faults::default(),
        }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<I::Address> {
        self.incoming.local_addr()
    }

    /// Waits for the next peer that has proved its identity. Handshakes that fail are logged and
    /// passed over. Connections are accepted only while somebody waits here; what comes in between is
    /// queued by the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: handshakes go on, and the next call gives what
    /// they lead to.
    pub async fn accept(&mut self) -> (Stream<I::Io>, I::Address) {
        self.next(true).await
    }

    /// From now on the ticket of a handshake is left to whoever serves the connection: it leaves with
    /// the first answer, or the first flush.
    pub(crate) fn leave_unflushed(&mut self) {
        self.acceptor.flushes = false;
    }

    /// As [`accept`](Self::accept); without `more`, only what has been begun is finished.
    pub(crate) async fn next(&mut self, more: bool) -> (Stream<I::Io>, I::Address) {
        loop {
            let faults = &mut self.faults;
            let is_pausing = faults.is_pausing();
            tokio::select! {
                // What has been begun is finished first.
                biased;
                Some(finished) = self.handshakes.join_next() => {
                    if let Some(accepted) = self.ended(finished) {
                        return accepted;
                    }
                }
                () = faults.pause(), if is_pausing => {}
                () = std::future::pending(), if !more => {}
                accepted = self.incoming.accept(), if more && !is_pausing => {
                    if let Some((io, address)) = faults.sort_out(accepted) {
                        self.begin(io, address);
                    }
                }
            }
        }
    }

    /// Takes no further connection, and gives those whose handshakes have begun.
    pub(crate) fn close(self) -> Begun<I> {
        Begun(self.handshakes)
    }

    fn ended(
        &mut self,
        finished: Result<Finished<I>, tokio::task::JoinError>,
    ) -> Option<Accepted<I>> {
        // One that panicked keeps its place until it is the oldest.
        let finished = finished.ok()?;
        self.pending.done(finished.number);
        finished.accepted
    }

    fn begin(&mut self, io: I::Io, address: I::Address) {
        let (number, evicted) = self.pending.admit(I::ip(&address));
        let acceptor = self.acceptor.clone();
        let evicted = async {
            match evicted.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            }
        };
        self.handshakes.spawn(async move {
            let stream = acceptor.shake_hands(io, Some(&address), evicted).await;
            Finished {
                number,
                accepted: stream.ok().map(|stream| (stream, address)),
            }
        });
    }
}

impl<I: Incoming> fmt::Debug for Listener<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.incoming.local_addr().ok())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
