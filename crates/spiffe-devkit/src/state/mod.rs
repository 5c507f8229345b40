mod bundles;
mod svid;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use spiffe_peer::{SpiffeId, TrustDomain};
use tokio::sync::{Notify, watch};

use crate::authority::{Authority, IssueError, Snapshot};
use crate::caller::Caller;
use crate::entry::Entry;
use bundles::federated;
pub(crate) use bundles::{Federation, Profile};
use svid::Issued;
pub(crate) use svid::Svid;

/// No sleep until a rotation is longer, so that a machine that slept does not wake up to old SVIDs.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Who gets which SVIDs and bundles at this moment. Each change counts the revision up; every open
/// stream then works out its answer anew and sends it where it differs from the last.
pub(crate) struct State {
    authorities: BTreeMap<TrustDomain, Authority>,
    workloads: Mutex<Workloads>,
    revision: watch::Sender<u64>,
    issued: Notify,
}

struct Workloads {
    entries: Vec<Issued>,
    federations: BTreeMap<TrustDomain, Federation>,
}

pub(crate) struct X509View {
    pub(crate) svids: Vec<Granted>,
    pub(crate) federated: BTreeMap<String, Bytes>,
}

pub(crate) struct Granted {
    pub(crate) svid: Arc<Svid>,
    pub(crate) hint: String,
    pub(crate) bundle: Bytes,
}

/// Why a caller gets nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    NoIdentity,
    Issue(IssueError),
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        Self::Issue(error)
    }
}

impl State {
    pub(crate) fn new(
        authorities: BTreeMap<TrustDomain, Authority>,
        federations: BTreeMap<TrustDomain, Federation>,
        entries: Vec<Entry>,
        revision: watch::Sender<u64>,
    ) -> Self {
        let entries = entries.into_iter().map(Issued::new).collect();
        let workloads = Mutex::new(Workloads {
            entries,
            federations,
        });
        Self {
            authorities,
            workloads,
            revision,
            issued: Notify::new(),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn authority(&self, trust_domain: &TrustDomain) -> Option<&Authority> {
        self.authorities.get(trust_domain)
    }

    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.values()
    }

    /// The entries that hold for a caller, in the order in which they were declared.
    pub(crate) fn entries_of(&self, caller: &Caller) -> Result<Vec<Arc<Entry>>, Refusal> {
        let workloads = self.workloads();
        let entries: Vec<_> = workloads
            .of(caller)
            .map(|issued| Arc::clone(&issued.entry))
            .collect();
        if entries.is_empty() {
            Err(Refusal::NoIdentity)
        } else {
            Ok(entries)
        }
    }

    /// The X.509-SVIDs of a caller with the bundles of all its trust domains, out of one moment.
    pub(crate) fn x509_svids(&self, caller: &Caller) -> Result<X509View, Refusal> {
        let now = SystemTime::now();
        let snapshots = self.snapshots();
        let mut workloads = self.workloads();
        let mut svids = Vec::new();
        for issued in workloads
            .entries
            .iter_mut()
            .filter(|issued| issued.holds_for(caller))
        {
            let trust_domain = issued.entry.spiffe_id.trust_domain();
            let snapshot = snapshots.get(trust_domain).ok_or(Refusal::NoIdentity)?;
            let hint = issued.entry.hint.clone();
            let bundle = snapshot.x509_bundle();
            let svid = issued.svid(snapshot, now, &self.issued)?;
            svids.push(Granted { svid, hint, bundle });
        }
        if svids.is_empty() {
            return Err(Refusal::NoIdentity);
        }
        let own = svids
            .iter()
            .map(|granted| granted.svid.spiffe_id.trust_domain().clone())
            .collect();
        let federated = federated(&workloads.federations, &own, &snapshots, Profile::X509);
        Ok(X509View { svids, federated })
    }

    /// The bundles of a caller, its own trust domains included.
    pub(crate) fn bundles(
        &self,
        caller: &Caller,
        profile: Profile,
    ) -> Result<BTreeMap<String, Bytes>, Refusal> {
        let snapshots = self.snapshots();
        let workloads = self.workloads();
        let own: BTreeSet<_> = workloads
            .of(caller)
            .map(|issued| issued.entry.spiffe_id.trust_domain().clone())
            .collect();
        if own.is_empty() {
            return Err(Refusal::NoIdentity);
        }
        let mut bundles = federated(&workloads.federations, &own, &snapshots, profile);
        for trust_domain in &own {
            if let Some(snapshot) = snapshots.get(trust_domain) {
                bundles.insert(trust_domain.id_string(), profile.bundle(snapshot));
            }
        }
        Ok(bundles)
    }

    /// Gives every workload a new SVID.
    pub(crate) fn rotate_svids(&self) {
        for issued in &mut self.workloads().entries {
            issued.forget();
        }
        self.changed();
    }

    /// Withdraws or restores all entries of an ID; false where there are none.
    pub(crate) fn set_withdrawn(&self, id: &SpiffeId, withdrawn: bool) -> bool {
        let mut found = false;
        for issued in self
            .workloads()
            .entries
            .iter_mut()
            .filter(|issued| issued.entry.spiffe_id == *id)
        {
            found = true;
            issued.withdrawn = withdrawn;
            issued.forget();
        }
        if found {
            self.changed();
        }
        found
    }

    /// Changes whose bundles the workloads of a trust domain get; false where the agent has no such
    /// trust domain.
    pub(crate) fn federate(
        &self,
        trust_domain: &TrustDomain,
        change: impl FnOnce(&mut Federation),
    ) -> bool {
        let known = self
            .workloads()
            .federations
            .get_mut(trust_domain)
            .map(change)
            .is_some();
        if known {
            self.changed();
        }
        known
    }

    /// All entries, each with whether it is withdrawn and, where it has one, its SVID.
    pub(crate) fn entries(&self) -> Vec<(Arc<Entry>, bool, Option<Arc<Svid>>)> {
        let of = |issued: &Issued| {
            (
                Arc::clone(&issued.entry),
                issued.withdrawn,
                issued.current(),
            )
        };
        self.workloads().entries.iter().map(of).collect()
    }

    /// Renews each SVID at half of its life, for as long as somebody polls it.
    pub(crate) async fn rotate_at_half_life(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.until_next_rotation()) => self.rotate_due(),
                () = self.issued.notified() => {}
            }
        }
    }

    fn until_next_rotation(&self) -> Duration {
        let now = SystemTime::now();
        let workloads = self.workloads();
        let next = workloads
            .entries
            .iter()
            .filter_map(Issued::rotates_at)
            .min();
        let wait = next.map(|at| at.duration_since(now).unwrap_or_default());
        wait.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    fn rotate_due(&self) {
        let now = SystemTime::now();
        let mut due = false;
        for issued in &mut self.workloads().entries {
            // What nobody asks for again is not issued again.
            due |= issued.forget_if_due(now);
        }
        if due {
            self.changed();
        }
    }

    fn changed(&self) {
        self.revision
            .send_modify(|revision| *revision = revision.wrapping_add(1));
    }

    fn snapshots(&self) -> BTreeMap<TrustDomain, Arc<Snapshot>> {
        self.authorities
            .iter()
            .map(|(name, authority)| (name.clone(), authority.snapshot()))
            .collect()
    }

    fn workloads(&self) -> MutexGuard<'_, Workloads> {
        self.workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

impl Workloads {
    fn of(&self, caller: &Caller) -> impl Iterator<Item = &Issued> {
        self.entries
            .iter()
            .filter(|issued| issued.holds_for(caller))
    }
}
