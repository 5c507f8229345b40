use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use spiffe_peer::Connection;
use spiffe_verify::VerifiedChain;
use tokio::sync::Notify;

/// A clock that is set, or a host that was suspended, is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Timers are late by some milliseconds: rather this much before an end than after it.
const LEAD: Duration = Duration::from_millis(20);

/// The open connections of one end, by the end of their peers' chains.
#[derive(Default)]
pub(crate) struct Watches {
    open: Mutex<Open>,
    earlier_end: Notify,
}

#[derive(Default)]
struct Open {
    by_end: BTreeMap<Key, Watched>,
    next: u64,
}

pub(crate) type Key = (SystemTime, u64);

#[derive(Clone)]
struct Watched {
    /// None of a client without a certificate: its connection lives as long as the own identity.
    chain: Option<Arc<VerifiedChain>>,
    connection: Connection,
}

impl Watched {
    fn withdraw(&self, why: &'static str) {
        let id = self
            .chain
            .as_ref()
            .map(|chain| tracing::field::display(chain.spiffe_id()));
        tracing::info!(target: "spiffe_tls", { peer.spiffe_id = id }, "{why}");
        self.connection.withdraw();
    }
}

impl Watches {
    pub(crate) fn add(&self, chain: Option<Arc<VerifiedChain>>, connection: Connection) -> Key {
        let mut open = self.open();
        let end = chain.as_ref().map_or_else(never, |chain| chain.not_after());
        let key = (end, open.next);
        open.next += 1;
        let is_first = open
            .by_end
            .first_key_value()
            .is_none_or(|(first, _)| key < *first);
        open.by_end.insert(key, Watched { chain, connection });
        drop(open);
        if is_first {
            self.earlier_end.notify_one();
        }
        key
    }

    pub(crate) fn remove(&self, key: &Key) {
        self.open().by_end.remove(key);
    }

    /// Withdraws every connection whose peer is no longer trusted.
    pub(crate) fn judge(&self, trusts: impl Fn(Option<&VerifiedChain>) -> bool) {
        // Judged outside the lock: handshakes go on.
        let open: Vec<Watched> = self.open().by_end.values().cloned().collect();
        for watched in open
            .iter()
            .filter(|watched| !trusts(watched.chain.as_deref()))
        {
            watched.withdraw("nobody vouches for an open connection any more");
        }
    }

    /// Withdraws each connection at the end of its peer's chain. Never returns.
    pub(crate) async fn keep_time(&self) {
        loop {
            let now = SystemTime::now() + LEAD;
            for watched in self.ended(now) {
                watched.withdraw("the peer of an open connection has reached the end of its chain");
            }
            let first = self
                .open()
                .by_end
                .first_key_value()
                .map(|((end, _), _)| *end);
            let added = self.earlier_end.notified();
            match first {
                None => added.await,
                Some(end) => {
                    let left = end.duration_since(now).unwrap_or_default();
                    let _ = tokio::time::timeout(left.min(LONGEST_SLEEP), added).await;
                }
            }
        }
    }

    fn ended(&self, now: SystemTime) -> impl Iterator<Item = Watched> + use<> {
        let mut open = self.open();
        // The keys of what ends later: the number only tells connections with the same end apart.
        let later = open.by_end.split_off(&(now, u64::MAX));
        std::mem::replace(&mut open.by_end, later).into_values()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // What is in there is whole between any two statements.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn never() -> SystemTime {
    SystemTime::now() + Duration::from_secs(100 * 365 * 24 * 3600)
}
