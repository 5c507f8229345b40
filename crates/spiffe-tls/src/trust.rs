use std::fmt;
use std::sync::Arc;

use spiffe_peer::Connection;
use spiffe_verify::VerifiedChain;

use crate::live::{Live, Revision, vouches};
use crate::watches::{Key, Watches};

/// Watches over the trust in the peer of one connection, until it is dropped with that connection.
///
/// The peer's identity is withdrawn ([`Connection::withdraw`]) at the end of its chain, and as soon as
/// a revision no longer trusts what anchored the chain, denies the peer, or takes the own identity
/// away. An ordinary rotation changes nothing.
///
/// ```no_run
/// # fn example(tls: &spiffe_tls::ServerTls, chain: std::sync::Arc<spiffe_verify::VerifiedChain>) {
/// let connection = spiffe_peer::Connection::new();
/// let watch = tls.watch(chain, connection.clone());
/// // Keep the watch as long as the connection is open.
/// # drop(watch);
/// # }
/// ```
#[must_use = "the watch ends when it is dropped"]
pub struct TrustWatch {
    key: Key,
    connection: Connection,
    watches: Arc<Watches>,
    /// Keeps the revisions coming, whatever else has been dropped.
    _live: Arc<dyn Send + Sync>,
}

impl TrustWatch {
    pub(crate) fn start<R: Revision>(
        live: &Arc<Live<R>>,
        chain: Option<Arc<VerifiedChain>>,
        connection: Connection,
    ) -> Self {
        connection.keep_time();
        let watches = live.watches().clone();
        let key = watches.add(chain.clone(), connection.clone());
        // A revision that came since the peer was identified may not have met it among the others.
        if !live
            .current()
            .is_some_and(|revision| vouches(&*revision, chain.as_deref()))
        {
            connection.withdraw();
        }
        Self {
            key,
            connection,
            watches,
            _live: live.clone(),
        }
    }
}

impl Drop for TrustWatch {
    fn drop(&mut self) {
        self.connection.leave_time();
        self.watches.remove(&self.key);
    }
}

impl fmt::Debug for TrustWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustWatch").finish_non_exhaustive()
    }
}
