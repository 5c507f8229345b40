use std::fmt;

use quick_cache::sync::Cache;
use rustls::server::StoresServerSessions;
use zeroize::Zeroizing;

/// The most sessions of one revision that can be resumed. One takes about 2 KiB.
const REMEMBERED_SESSIONS: usize = 8 * 1024;

/// The sessions of one revision. They end with it, so that none outlives the trust it was begun
/// under; what time alone changes is checked after each resumption.
pub(crate) struct Sessions(Cache<Vec<u8>, Session>);

/// Whoever has it can resume the session.
#[derive(Clone)]
struct Session(Zeroizing<Vec<u8>>);

impl Sessions {
    pub(crate) fn new() -> Self {
        Self(Cache::new(REMEMBERED_SESSIONS))
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.insert(key, Session(Zeroizing::new(value)));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).map(|session| session.0.to_vec())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        // Moved, not copied: rustls owns it now.
        let (_, mut session) = self.0.remove(key)?;
        Some(std::mem::take(&mut *session.0))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
