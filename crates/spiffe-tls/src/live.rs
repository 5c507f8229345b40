use std::fmt;
use std::sync::Arc;

use spiffe_source::{Snapshot, Source};
use spiffe_verify::VerifiedChain;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::TlsError;

/// Something that is built from each snapshot and swapped in whole. A handshake that has taken the
/// old one finishes with it; while the new one is being built the old one serves.
pub(crate) struct Live<T> {
    current: watch::Receiver<Option<Arc<T>>>,
    follower: AbortHandle,
}

/// What is built from a snapshot, and judges peers by it.
pub(crate) trait Revision: Send + Sync + 'static {
    /// Whether a chain of an earlier revision is an identity under this one too.
    fn still_trusts(&self, chain: &VerifiedChain) -> bool;
}

impl<T: Send + Sync + 'static> Live<T> {
    /// `build` answers `None` for a snapshot without identity. It has to succeed for the snapshot
    /// that holds now.
    ///
    /// # Errors
    ///
    /// What `build` fails of.
    pub(crate) fn follow(
        mut source: Source,
        build: impl Fn(&Source, &Arc<Snapshot>) -> Result<Option<T>, TlsError> + Send + 'static,
    ) -> Result<Self, TlsError> {
        let first = source.snapshot();
        let (swap, current) = watch::channel(build(&source, &first)?.map(Arc::new));
        let mut revision = first.revision();
        let follower = tokio::spawn(async move {
            while let Ok(snapshot) = source.changed().await {
                if snapshot.revision() <= revision {
                    continue;
                }
                revision = snapshot.revision();
                let next = build(&source, &snapshot).unwrap_or_else(|error| {
                    // The old configuration may trust what the snapshot has removed.
                    tracing::error!(target: "spiffe_tls", revision, %error, "no configuration for this revision: handshakes fail until the next");
                    None
                });
                swap.send_replace(next.map(Arc::new));
            }
        });
        Ok(Self {
            current,
            follower: follower.abort_handle(),
        })
    }

    pub(crate) fn current(&self) -> Option<Arc<T>> {
        // Where nothing can follow the source any more, nobody knows what is still trusted.
        let follows = self.current.has_changed().is_ok();
        self.current.borrow().clone().filter(|_| follows)
    }
}

impl<T> Live<T> {
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.current.clone()
    }
}

impl<T> Drop for Live<T> {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("identity", &self.current.borrow().is_some())
            .finish_non_exhaustive()
    }
}
