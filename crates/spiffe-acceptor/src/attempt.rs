//! What is told of a handshake: one event, one count, one call of the hook, whatever becomes of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spiffe_peer::PeerIdentity;
use tokio::io::AsyncWrite;

use crate::error::{HandshakeError, HandshakeFailure};
use crate::observe;
use crate::stream::Stream;

pub(crate) type Hook = Arc<dyn Fn(&Handshake<'_>) + Send + Sync>;
pub(crate) type Address<'a> = &'a (dyn fmt::Debug + Sync);

/// A handshake that is over; see [`AcceptorBuilder::on_handshake`](crate::AcceptorBuilder::on_handshake).
///
/// ```
/// fn audit(handshake: &spiffe_acceptor::Handshake<'_>) -> String {
///     match handshake.outcome() {
///         Ok(Some(peer)) => format!("accepted {peer}, resumed: {}", handshake.is_resumed()),
///         Ok(None) => "accepted a client without identity".to_owned(),
///         Err(error) => format!("refused: {error}"),
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Handshake<'a> {
    address: Option<Address<'a>>,
    outcome: Result<Option<&'a PeerIdentity>, &'a HandshakeError>,
    resumed: bool,
    took: Duration,
}

impl<'a> Handshake<'a> {
    /// The other end's address as a text, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.address.map(|address| format!("{address:?}"))
    }

    /// The peer that was accepted (none: a client without a certificate, where such are taken), or
    /// why nobody was.
    ///
    /// # Errors
    ///
    /// The error of a handshake that gave no connection.
    pub fn outcome(&self) -> Result<Option<&'a PeerIdentity>, &'a HandshakeError> {
        self.outcome
    }

    /// Whether an earlier session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// `accepted` or `refused`, for metrics.
    #[must_use]
    pub fn result(&self) -> &'static str {
        if self.outcome.is_ok() {
            "accepted"
        } else {
            "refused"
        }
    }

    /// A stable label for metrics: `full` or `resumed`, or the [reason](HandshakeError::reason) of the
    /// refusal.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.outcome {
            Ok(_) if self.resumed => "resumed",
            Ok(_) => "full",
            Err(error) => error.reason(),
        }
    }

    pub(crate) fn shown_address(&self) -> Option<tracing::field::DebugValue<Address<'a>>> {
        self.address.map(tracing::field::debug)
    }
}

impl fmt::Debug for Handshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("address", &self.address())
            .field("outcome", &self.outcome)
            .field("resumed", &self.resumed)
            .field("took", &self.took)
            .finish()
    }
}

/// A handshake that has begun. When it is dropped untold, it was given up.
pub(crate) struct Attempt<'a> {
    address: Option<Address<'a>>,
    hook: Option<&'a Hook>,
    begun: Instant,
    told: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn begin(address: Option<Address<'a>>, hook: Option<&'a Hook>) -> Self {
        Self {
            address,
            hook,
            begun: Instant::now(),
            told: false,
        }
    }

    pub(crate) fn accepted<IO: AsyncWrite + Unpin>(&mut self, stream: &Stream<IO>) {
        self.tell(Ok(stream.peer()), stream.is_resumed());
    }

    pub(crate) fn refused(&mut self, error: &HandshakeError) {
        self.tell(Err(error), false);
    }

    /// Only the first outcome counts: what follows a refusal is its consequence.
    fn tell(&mut self, outcome: Result<Option<&PeerIdentity>, &HandshakeError>, resumed: bool) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let handshake = Handshake {
            address: self.address,
            outcome,
            resumed,
            took: self.begun.elapsed(),
        };
        observe::handshake(&handshake);
        if let Some(hook) = self.hook {
            hook(&handshake);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.refused(&HandshakeFailure::Abandoned.into());
        }
    }
}
