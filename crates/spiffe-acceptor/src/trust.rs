use std::sync::Arc;

use spiffe_peer::Connection;
use spiffe_tls::ServerRevisions;
use spiffe_verify::VerifiedChain;
use tokio::task::AbortHandle;

/// Watches over the trust in the peer of one connection for as long as that is open, whoever serves
/// it.
pub(crate) struct TrustWatch(AbortHandle);

impl TrustWatch {
    /// Withdraws the peer's identity as soon as a revision does not trust it any more, or takes this
    /// server's own identity away. An ordinary rotation changes nothing.
    pub(crate) fn start(
        chain: Arc<VerifiedChain>,
        connection: Connection,
        mut revisions: ServerRevisions,
    ) -> Self {
        let watch = tokio::spawn(async move {
            while let Some(revision) = revisions.changed().await {
                if !revision.still_trusts(&chain) {
                    break;
                }
            }
            tracing::info!(
                target: "spiffe_acceptor",
                { peer.spiffe_id = %chain.spiffe_id() },
                "the peer is no longer trusted: its connection is closed"
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
