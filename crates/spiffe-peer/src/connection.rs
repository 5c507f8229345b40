use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    withdrawn: AtomicBool,
    closing: AtomicBool,
    wake: Notify,
}

impl Connection {
    /// A connection whose peer is trusted and that nobody has asked to close.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the trust in the peer: [`is_current`](crate::PeerIdentity::is_current) is false from now
    /// on, and the connection is to be closed. Cannot be undone.
    pub fn withdraw(&self) {
        self.0.withdrawn.store(true, Ordering::Release);
        self.request_close();
    }

    /// Whether the trust in the peer has been withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.0.withdrawn.load(Ordering::Acquire)
    }

    /// Asks the owner to close the connection once what is in flight has been answered.
    pub fn request_close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.wake.notify_waiters();
    }

    /// Waits until somebody asks that the connection be closed; at once if that has happened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same wish.
    pub async fn close_requested(&self) {
        while !self.0.closing.load(Ordering::Acquire) {
            self.woken_unless(&self.0.closing).await;
        }
    }

    /// Waits until the trust in the peer is withdrawn; at once if that has happened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same end.
    pub async fn withdrawn(&self) {
        while !self.is_withdrawn() {
            self.woken_unless(&self.0.withdrawn).await;
        }
    }

    /// Waits for the next change of either flag, unless `flag` is set.
    async fn woken_unless(&self, flag: &AtomicBool) {
        let woken = self.0.wake.notified();
        tokio::pin!(woken);
        // Registers before the flag is read, so that a change between the two is not missed.
        woken.as_mut().enable();
        if !flag.load(Ordering::Acquire) {
            woken.await;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("withdrawn", &self.is_withdrawn())
            .field("closing", &self.0.closing.load(Ordering::Acquire))
            .finish()
    }
}
