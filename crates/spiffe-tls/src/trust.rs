use std::sync::Arc;

use spiffe_peer::Connection;
use spiffe_verify::VerifiedChain;
use tokio::task::AbortHandle;

use crate::live::{Live, Revision};

/// Watches over the trust in the peer of one connection, until it is dropped with that connection.
///
/// As soon as a revision no longer trusts what anchored the peer's chain, denies the peer, or takes
/// the own identity away, the peer's identity is withdrawn: [`Connection::withdraw`]. An ordinary
/// rotation changes nothing.
///
/// ```no_run
/// # fn example(tls: &spiffe_tls::ServerTls, chain: std::sync::Arc<spiffe_verify::VerifiedChain>) {
/// let connection = spiffe_peer::Connection::new();
/// let watch = tls.watch(chain, connection.clone());
/// // Keep the watch as long as the connection is open.
/// # drop(watch);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the watch ends when it is dropped"]
pub struct TrustWatch(AbortHandle);

impl TrustWatch {
    pub(crate) fn start<R: Revision>(
        live: Arc<Live<R>>,
        chain: Arc<VerifiedChain>,
        connection: Connection,
    ) -> Self {
        let watch = tokio::spawn(async move {
            let mut revisions = live.subscribe();
            // Until it ends it keeps the revisions coming, whatever else has been dropped.
            while revisions
                .borrow_and_update()
                .as_ref()
                .is_some_and(|revision| revision.still_trusts(&chain))
            {
                if revisions.changed().await.is_err() {
                    break;
                }
            }
            tracing::info!(
                target: "spiffe_tls",
                { peer.spiffe_id = %chain.spiffe_id() },
                "the peer of an open connection is no longer trusted"
            );
            connection.withdraw();
        });
        Self(watch.abort_handle())
    }
}

impl Drop for TrustWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
