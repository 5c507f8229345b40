use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;

/// The owner's end of what a [`PeerIdentity`](crate::PeerIdentity) knows of its connection.
///
/// The code that serves or pools a connection keeps this handle: it withdraws the identity when
/// trust in it ends, and waits for the wish that the connection be closed. All clones speak of the
/// same connection.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer, parse};
/// let connection = Connection::new();
/// let peer = PeerIdentity::assume_verified(
///     VerifiedPeer {
///         spiffe_id: parse::workload_id("spiffe://example.org/service/orders")?,
///         not_after: SystemTime::now() + Duration::from_secs(60),
///         fingerprint: Fingerprint::from_sha256([0; 32]),
///         method: AuthMethod::MtlsX509Svid,
///     },
///     connection.clone(),
/// );
/// assert!(peer.is_current());
/// connection.withdraw();
/// assert!(!peer.is_current());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Clone, Default)]
pub struct Connection(Arc<State>);

#[derive(Default)]
struct State {
    flags: AtomicU8,
    wake: Notify,
}

const WITHDRAWN: u8 = 1;
const CLOSING: u8 = 1 << 1;
const TIMED: u8 = 1 << 2;

impl Connection {
    /// A connection whose peer is trusted and that nobody has asked to close.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Promises that the owner calls [`withdraw`](Self::withdraw) when the peer's identity ends, so
    /// that [`is_current`](crate::PeerIdentity::is_current) need not look at the clock.
    pub fn keep_time(&self) {
        self.0.flags.fetch_or(TIMED, Ordering::AcqRel);
    }

    /// Takes the promise of [`keep_time`](Self::keep_time) back: from now on whoever asks looks at the
    /// clock. For a connection that is closed while somebody keeps its peer's identity; nobody
    /// withdraws that any more, but its end holds.
    pub fn leave_time(&self) {
        self.0.flags.fetch_and(!TIMED, Ordering::AcqRel);
    }

    /// Ends the trust in the peer: [`is_current`](crate::PeerIdentity::is_current) is false from now
    /// on, and the connection is to be closed. Cannot be undone.
    pub fn withdraw(&self) {
        self.set(WITHDRAWN | CLOSING);
    }

    /// Whether the trust in the peer has been withdrawn.
    #[must_use]
    #[inline]
    pub fn is_withdrawn(&self) -> bool {
        self.has(WITHDRAWN)
    }

    /// Whether an identity that ends then still holds.
    #[inline]
    pub(crate) fn is_current(&self, not_after: SystemTime) -> bool {
        match self.0.flags.load(Ordering::Acquire) {
            flags if flags & WITHDRAWN != 0 => false,
            flags if flags & TIMED != 0 => true,
            _ => SystemTime::now() < not_after,
        }
    }

    /// Asks the owner to close the connection once what is in flight has been answered.
    pub fn request_close(&self) {
        self.set(CLOSING);
    }

    /// Waits until somebody asks that the connection be closed; at once if that has happened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same wish.
    pub async fn close_requested(&self) {
        self.wait_for(CLOSING).await;
    }

    /// Waits until the trust in the peer is withdrawn; at once if that has happened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same end.
    pub async fn withdrawn(&self) {
        self.wait_for(WITHDRAWN).await;
    }

    fn set(&self, flags: u8) {
        self.0.flags.fetch_or(flags, Ordering::AcqRel);
        self.0.wake.notify_waiters();
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.0.flags.load(Ordering::Acquire) & flag != 0
    }

    async fn wait_for(&self, flag: u8) {
        while !self.has(flag) {
            let woken = self.0.wake.notified();
            tokio::pin!(woken);
            // Registers before the flag is read, so that a change between the two is not missed.
            woken.as_mut().enable();
            if !self.has(flag) {
                woken.await;
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("withdrawn", &self.is_withdrawn())
            .field("closing", &self.has(CLOSING))
            .finish()
    }
}
