//! What is told to the outside when something happens: events for `tracing` and, with the feature
//! `metrics`, figures.

use spiffe_verify::X509Error;

use crate::attempt::Handshake;
use crate::ending::Reason;

#[cfg(feature = "metrics")]
mod figures;

/// An acceptor begins.
pub(crate) fn begin() {
    #[cfg(feature = "metrics")]
    figures::begin();
}

pub(crate) fn handshake(handshake: &Handshake<'_>) {
    match handshake.outcome() {
        Ok(peer) => tracing::trace!(
            target: "spiffe_acceptor",
            { peer.address = handshake.shown_address(), peer.spiffe_id = peer.map(tracing::field::display), resumed = handshake.is_resumed() },
            "handshake"
        ),
        Err(error) => {
            let claimed = error.chain().and_then(X509Error::claimed_id);
            tracing::debug!(
                target: "spiffe_acceptor",
                { peer.address = handshake.shown_address(), peer.claimed_id = claimed.map(tracing::field::display), reason = error.reason(), %error },
                "handshake failed"
            );
        }
    }
    #[cfg(feature = "metrics")]
    figures::handshake(handshake);
}

pub(crate) fn opened() {
    #[cfg(feature = "metrics")]
    figures::opened();
}

pub(crate) fn closed(_reason: Reason) {
    #[cfg(feature = "metrics")]
    figures::closed(_reason);
}
