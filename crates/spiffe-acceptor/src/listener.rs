use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::handshake::Acceptor;
use crate::incoming::Incoming;
use crate::pending::Pending;
use crate::stream::Stream;

/// How long to wait when the system has no file descriptor left: others have to close some first.
/// Doubles with each failure in a row.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
const LONGEST_ACCEPT_RETRY: Duration = Duration::from_secs(1);

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

struct Finished<I: Incoming> {
    number: u64,
    accepted: Option<(Stream<I::Io>, I::Address)>,
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

    /// As [`accept`](Self::accept); without `more`, only what has been begun is finished.
    pub(crate) async fn next(&mut self, more: bool) -> (Stream<I::Io>, I::Address) {
        loop {
            let pause = self.faults.pause();
            tokio::select! {
                // What has been begun is finished first.
                biased;
                Some(finished) = self.handshakes.join_next() => {
                    if let Some(accepted) = self.ended(finished) {
                        return accepted;
                    }
                }
                () = sleep_until(pause), if pause.is_some() => self.faults.try_again(),
                () = std::future::pending(), if !more => {}
                accepted = self.incoming.accept(), if more && pause.is_none() => match accepted {
                    Ok((io, address)) => {
                        self.faults.are_over();
                        self.begin(io, address);
                    }
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => self.faults.add(&error),
                },
            }
        }
    }

    /// A peer whose handshake is done and who has not been handed out; does not wait for any.
    pub(crate) fn finished(&mut self) -> Option<(Stream<I::Io>, I::Address)> {
        while let Some(finished) = self.handshakes.try_join_next() {
            if let Some(accepted) = self.ended(finished) {
                return Some(accepted);
            }
        }
        None
    }

    fn ended(
        &mut self,
        finished: Result<Finished<I>, tokio::task::JoinError>,
    ) -> Option<(Stream<I::Io>, I::Address)> {
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

/// Errors of `accept` that no single connection is to blame for.
#[derive(Default)]
struct Faults {
    in_a_row: u32,
    next_attempt: Option<Instant>,
}

impl Faults {
    /// Until when nothing is accepted.
    fn pause(&self) -> Option<Instant> {
        self.next_attempt
    }

    fn try_again(&mut self) {
        self.next_attempt = None;
    }

    fn add(&mut self, error: &io::Error) {
        if self.in_a_row == 0 {
            tracing::warn!(target: "spiffe_acceptor", %error, "cannot accept connections");
        }
        let wait = ACCEPT_RETRY.saturating_mul(1 << self.in_a_row.min(16));
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.next_attempt = Some(Instant::now() + wait.min(LONGEST_ACCEPT_RETRY));
    }

    fn are_over(&mut self) {
        if self.in_a_row > 0 {
            tracing::info!(target: "spiffe_acceptor", attempts = self.in_a_row, "accepts connections again");
            self.in_a_row = 0;
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
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
