use std::fmt;
use std::sync::Arc;

use spiffe_source::{Snapshot, Source};
use spiffe_verify::VerifiedChain;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::TlsError;
use crate::watches::Watches;

/// Something that is built from each snapshot and swapped in whole. A handshake that has taken the
/// old one finishes with it; while the new one is being built the old one serves.
pub(crate) struct Live<T> {
    current: watch::Receiver<Option<Arc<T>>>,
    watches: Arc<Watches>,
    follower: AbortHandle,
}

/// What is built from a snapshot, and judges peers by it.
pub(crate) trait Revision: Send + Sync + 'static {
    /// Whether a chain of an earlier revision is an identity under this one too.
    fn still_trusts(&self, chain: &VerifiedChain) -> bool;
}

impl<T: Revision> Live<T> {
    /// `build` answers `None` for a snapshot without identity. It has to succeed for the snapshot
    /// that holds now.
    ///
    /// # Errors
    ///
    /// What `build` fails of.
    pub(crate) fn follow(
        mut source: Source,
        build: impl Fn(&Source, &Arc<Snapshot>) -> Result<Option<T>, TlsError> + Send + 'static,
    ) -> Result<Arc<Self>, TlsError> {
        let first = source.snapshot();
        let (swap, current) = watch::channel(build(&source, &first)?.map(Arc::new));
        let mut revision = first.revision();
        let watches = Arc::<Watches>::default();
        // Dropped after `swap`, which the loop below owns too: whoever comes in between finds that
        // nobody follows any more.
        let judging = Judging(watches.clone());
        let follow = async move {
            let (judging, swap) = (judging, swap);
            while let Ok(snapshot) = source.changed().await {
                if snapshot.revision() <= revision {
                    continue;
                }
                revision = snapshot.revision();
                let next = build(&source, &snapshot).unwrap_or_else(|error| {
                    // The old configuration may trust what the snapshot has removed.
                    tracing::error!(target: "spiffe_tls", revision, %error, "no configuration for this revision: handshakes fail until the next");
                    None
                }).map(Arc::new);
                swap.send_replace(next.clone());
                judging.judge(next.as_deref());
            }
        };
        let timed = watches.clone();
        let follower = tokio::spawn(async move {
            tokio::select! {
                () = follow => {}
                () = timed.keep_time() => {}
            }
        });
        Ok(Arc::new(Self {
            current,
            watches,
            follower: follower.abort_handle(),
        }))
    }

    pub(crate) fn current(&self) -> Option<Arc<T>> {
        // Where nothing can follow the source any more, nobody knows what is still trusted.
        let follows = self.current.has_changed().is_ok();
        self.current.borrow().clone().filter(|_| follows)
    }

    /// Waits until there is a revision of which this is true, or none.
    pub(crate) async fn until(&self, is_so: impl Fn(&T) -> bool) {
        let mut current = self.current.clone();
        // Where nothing can follow the source any more, there is no revision either.
        let _ = current
            .wait_for(|now| now.as_deref().is_none_or(&is_so))
            .await;
    }

    pub(crate) fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }
}

/// Whether a revision lets a connection live on whose peer has this chain, or none.
pub(crate) fn vouches<T: Revision>(revision: &T, chain: Option<&VerifiedChain>) -> bool {
    chain.is_none_or(|chain| revision.still_trusts(chain))
}

/// Judges open connections by each revision; when nobody follows the source any more, none is
/// trusted.
struct Judging(Arc<Watches>);

impl Judging {
    fn judge<T: Revision>(&self, revision: Option<&T>) {
        self.0
            .judge(|chain| revision.is_some_and(|revision| vouches(revision, chain)));
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        self.0.judge(|_| false);
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
