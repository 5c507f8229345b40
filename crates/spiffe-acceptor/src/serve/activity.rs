//! What is in flight on a connection: requests from their arrival to the end of their response's body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a connection is doing. Every request passes here: it looks at no clock, and counts itself
/// with the one atomic operation that sharing takes anyway.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    is_upgraded: AtomicBool,
    in_flight: Arc<()>,
}

/// One request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    _counted: Arc<()>,
}

impl Activity {
    /// How many requests there have been.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether nothing is in flight.
    pub(super) fn is_quiet(&self) -> bool {
        Arc::strong_count(&self.in_flight) == 1 && !self.is_upgraded.load(Ordering::Relaxed)
    }

    /// One more request. Only the task that reads the connection calls this.
    #[inline]
    pub(super) fn begin(&self) -> InFlight {
        self.begun.store(self.begun() + 1, Ordering::Relaxed);
        InFlight {
            _counted: self.in_flight.clone(),
        }
    }

    /// A stream has become something else (a WebSocket over HTTP/2): that is in flight without being a
    /// request, and nobody says when it ends.
    pub(super) fn upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }
}
