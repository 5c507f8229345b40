use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use spiffe_peer::SpiffeId;
use tokio::sync::Notify;

use crate::authority::{IssueError, IssueSpec, Snapshot};
use crate::caller::Caller;
use crate::entry::Entry;

const SHORTEST_HALF_LIFE: Duration = Duration::from_millis(250);

/// An entry with the SVID that all its callers share; none until somebody asks.
pub(super) struct Issued {
    pub(super) entry: Arc<Entry>,
    pub(super) withdrawn: bool,
    current: Option<(Arc<Svid>, Rotation)>,
}

struct Rotation {
    generation: u64,
    not_before: SystemTime,
    at: SystemTime,
}

/// An X.509-SVID in the form that the Workload API carries.
pub(crate) struct Svid {
    pub(crate) spiffe_id: SpiffeId,
    pub(crate) chain: Bytes,
    pub(crate) key: Bytes,
    pub(crate) serial: String,
    pub(crate) not_after: SystemTime,
}

impl Issued {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry: Arc::new(entry),
            withdrawn: false,
            current: None,
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Svid>> {
        self.current.as_ref().map(|(svid, _)| Arc::clone(svid))
    }

    /// When the SVID is to be renewed, if there is one.
    pub(super) fn rotates_at(&self) -> Option<SystemTime> {
        self.current.as_ref().map(|(_, rotation)| rotation.at)
    }

    /// Forgets the SVID: whoever asks next gets a new one.
    pub(super) fn forget(&mut self) {
        self.current = None;
    }

    /// Forgets the SVID if its time has come.
    pub(super) fn forget_if_due(&mut self, now: SystemTime) -> bool {
        self.current
            .take_if(|(_, rotation)| rotation.is_due(now))
            .is_some()
    }

    pub(super) fn holds_for(&self, caller: &Caller) -> bool {
        !self.withdrawn && self.entry.matches(caller)
    }

    /// The SVID; a new one where there is none, or none that will do.
    pub(super) fn svid(
        &mut self,
        snapshot: &Snapshot,
        now: SystemTime,
        issued: &Notify,
    ) -> Result<Arc<Svid>, IssueError> {
        match &self.current {
            Some((svid, rotation))
                if !rotation.is_due(now) && snapshot.trusts(rotation.generation) =>
            {
                Ok(Arc::clone(svid))
            }
            _ => {
                let (svid, rotation) = issue(&self.entry, snapshot, now)?;
                self.current = Some((Arc::clone(&svid), rotation));
                issued.notify_one();
                Ok(svid)
            }
        }
    }
}

fn issue(
    entry: &Entry,
    snapshot: &Snapshot,
    now: SystemTime,
) -> Result<(Arc<Svid>, Rotation), IssueError> {
    let spec = IssueSpec::for_id(entry.spiffe_id.clone()).ttl(entry.ttl);
    let spec = entry
        .dns_names
        .iter()
        .fold(spec, |spec, name| spec.dns(name));
    let issued = snapshot.issue(&spec, now)?;
    let left = issued
        .not_after()
        .duration_since(now)
        .unwrap_or_default()
        .min(entry.ttl);
    let rotation = Rotation {
        generation: snapshot.active(),
        not_before: issued.not_before(),
        // Close to the end of its authority an SVID has next to no life to halve.
        at: now
            .checked_add((left / 2).max(SHORTEST_HALF_LIFE))
            .unwrap_or(now),
    };
    let svid = Svid {
        spiffe_id: entry.spiffe_id.clone(),
        chain: issued.chain_der().into(),
        key: issued.key_der().to_vec().into(),
        serial: issued.serial(),
        not_after: issued.not_after(),
    };
    Ok((Arc::new(svid), rotation))
}

impl Rotation {
    fn is_due(&self, now: SystemTime) -> bool {
        // A clock that was set back makes an SVID one of the future.
        now >= self.at || now < self.not_before
    }
}
