use std::path::PathBuf;
use std::time::Duration;

use spiffe_peer::SpiffeId;
use spiffe_peer::parse::{self, InvalidId};

use crate::caller::Caller;

pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(3600);
pub(crate) const MIN_TTL: Duration = Duration::from_secs(1);
pub(crate) const MAX_TTL: Duration = Duration::from_secs(24 * 3600);

/// Gives an ID to those callers who fit: who come to one of its listeners and for whom every
/// selector holds.
///
/// An entry that names no listener holds on every Unix listener; one without selectors holds for
/// whoever reaches a listener. TCP has no peer credentials, so an entry holds there only where it
/// says [`over_tcp`](Self::over_tcp), and a selector never does.
///
/// ```
/// use std::time::Duration;
/// use spiffe_devkit::Entry;
///
/// let entry = Entry::new("spiffe://example.org/service/orders")?
///     .on("orders")
///     .uid(1000)
///     .executable("/usr/local/bin/orders")
///     .ttl(Duration::from_secs(300))
///     .dns("localhost")
///     .hint("internal");
/// assert!(Entry::new("example.org/service/orders").is_err());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) spiffe_id: SpiffeId,
    pub(crate) listeners: Vec<String>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) executable: Option<PathBuf>,
    pub(crate) ttl: Duration,
    pub(crate) dns_names: Vec<String>,
    pub(crate) hint: String,
    pub(crate) over_tcp: bool,
}

impl Entry {
    /// An entry for this ID, without selectors, whose SVIDs live for an hour.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is not the ID of a workload.
    pub fn new(spiffe_id: &str) -> Result<Self, InvalidId> {
        Ok(Self {
            spiffe_id: parse::workload_id(spiffe_id)?,
            listeners: Vec::new(),
            uid: None,
            gid: None,
            executable: None,
            ttl: DEFAULT_TTL,
            dns_names: Vec::new(),
            hint: String::new(),
            over_tcp: false,
        })
    }

    /// Holds on this listener; may be said for several.
    #[must_use]
    pub fn on(mut self, listener: impl Into<String>) -> Self {
        self.listeners.push(listener.into());
        self
    }

    /// Holds for processes of this user.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Holds for processes whose group is this one; their further groups do not count.
    #[must_use]
    pub fn gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// Holds for processes that run this file.
    #[must_use]
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executable = Some(path.into());
        self
    }

    /// How long its SVIDs live, from one second to 24 hours. They are renewed at half of it.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Adds a DNS name to its X.509-SVIDs; may be said for several.
    #[must_use]
    pub fn dns(mut self, name: impl Into<String>) -> Self {
        self.dns_names.push(name.into());
        self
    }

    /// Tells its SVIDs from others that the same caller gets.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Holds on TCP listeners too, for whoever reaches them.
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        self.over_tcp = true;
        self
    }

    pub(crate) fn has_selectors(&self) -> bool {
        self.uid.is_some() || self.gid.is_some() || self.executable.is_some()
    }

    pub(crate) fn matches(&self, caller: &Caller) -> bool {
        self.holds_on(caller.listener(), caller.is_tcp())
            && holds(self.uid, caller.uid())
            && holds(self.gid, caller.gid())
            && holds(self.executable.as_deref(), caller.executable())
    }

    /// Whether somebody can get its ID on this listener.
    pub(crate) fn holds_on(&self, listener: &str, is_tcp: bool) -> bool {
        let here = self.listeners.is_empty() || self.listeners.iter().any(|name| name == listener);
        here && (!is_tcp || (self.over_tcp && !self.has_selectors()))
    }

    /// Whether a caller can be the one that both describe.
    pub(crate) fn describes_one_with(&self, other: &Self) -> bool {
        agree(self.uid, other.uid)
            && agree(self.gid, other.gid)
            && agree(self.executable.as_ref(), other.executable.as_ref())
    }
}

/// A selector holds where none is given, or where the caller is known to be the one it names.
fn holds<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
    wanted.is_none() || wanted == found
}

fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}
