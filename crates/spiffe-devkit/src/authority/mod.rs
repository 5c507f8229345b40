mod certificate;
mod error;
mod jwt;
mod snapshot;
mod svid;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use spiffe_peer::parse::{self, InvalidId};
use spiffe_peer::{SpiffeId, TrustDomain};
use tokio::sync::watch;

pub use error::IssueError;
use snapshot::Generation;
pub(crate) use snapshot::Snapshot;
pub use svid::{IssueSpec, IssuedSvid};

pub(crate) const DEFAULT_AUTHORITY_TTL: Duration = Duration::from_secs(365 * 86_400);

/// The authority of one trust domain: roots, an intermediate that issues X.509-SVIDs, and a key that
/// signs JWT-SVIDs, all P-256 and all made afresh.
///
/// It is rotated in steps, so that every peer can trust the new root before it meets an SVID of it:
///
/// 1. [`prepare`](Self::prepare): the new root and JWT key enter the bundle.
/// 2. [`activate`](Self::activate): what is issued from now on comes from them.
/// 3. [`Agent::rotate_svids`](crate::Agent::rotate_svids): all workloads switch over.
/// 4. [`retire`](Self::retire): the old roots and JWT keys leave the bundle.
///
/// Clones are handles to one authority. Where it belongs to an [`Agent`](crate::Agent), each step
/// reaches the agent's workloads at once.
///
/// ```
/// use spiffe_devkit::{Authority, IssueSpec};
///
/// let authority = Authority::new("example.org")?;
/// let old = authority.bundle_der();
///
/// authority.prepare()?;
/// assert!(authority.bundle_der().starts_with(&old), "both roots are trusted");
/// authority.activate()?;
/// authority.retire()?;
/// assert!(!authority.bundle_der().starts_with(&old), "only the new one is");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Authority(Arc<Shared>);

struct Shared {
    trust_domain: TrustDomain,
    ttl: Duration,
    snapshot: Mutex<Arc<Snapshot>>,
    revision: watch::Sender<u64>,
}

impl Authority {
    /// An authority for the trust domain of this name, whose own certificates live for a year.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] inside [`IssueError`] where the text names no trust domain; [`IssueError`] where
    /// the system gives no keys.
    pub fn new(trust_domain: &str) -> Result<Self, IssueError> {
        let trust_domain = parse::trust_domain(trust_domain)
            .map_err(|error: InvalidId| IssueError::invalid(error.to_string()))?;
        Self::with_revision(trust_domain, DEFAULT_AUTHORITY_TTL, watch::Sender::new(0))
    }

    /// An authority that counts `revision` up with each change.
    pub(crate) fn with_revision(
        trust_domain: TrustDomain,
        ttl: Duration,
        revision: watch::Sender<u64>,
    ) -> Result<Self, IssueError> {
        let snapshot = Snapshot::new(trust_domain.clone(), Generation::new(&trust_domain, ttl)?);
        Ok(Self(Arc::new(Shared {
            trust_domain,
            ttl,
            snapshot: Mutex::new(Arc::new(snapshot)),
            revision,
        })))
    }

    /// The trust domain that the authority speaks for.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// Issues an X.509-SVID with a fresh key.
    ///
    /// # Errors
    ///
    /// [`IssueError`] where the ID is of another trust domain, where a DNS name or a time does not
    /// fit into a certificate, and where the authority itself has expired.
    pub fn issue(&self, spec: &IssueSpec) -> Result<IssuedSvid, IssueError> {
        self.snapshot().issue(spec, SystemTime::now())
    }

    /// Signs a JWT-SVID.
    ///
    /// # Errors
    ///
    /// [`IssueError`] where the ID is of another trust domain or the key does not sign.
    pub fn issue_jwt(
        &self,
        spiffe_id: &SpiffeId,
        audience: &[String],
        ttl: Duration,
    ) -> Result<String, IssueError> {
        self.snapshot()
            .issue_jwt(spiffe_id, audience, SystemTime::now(), ttl)
    }

    /// The roots, concatenated DER, as the Workload API carries them.
    #[must_use]
    pub fn bundle_der(&self) -> Vec<u8> {
        self.roots().concat()
    }

    /// The roots, DER, oldest first.
    #[must_use]
    pub fn roots(&self) -> Vec<Vec<u8>> {
        self.snapshot().roots().map(<[u8]>::to_vec).collect()
    }

    /// The public keys of JWT-SVIDs, a JWK set.
    #[must_use]
    pub fn jwt_bundle(&self) -> Vec<u8> {
        self.snapshot().jwt_bundle().to_vec()
    }

    /// Adds a new root and JWT key to the bundles; nothing is issued from them yet.
    ///
    /// # Errors
    ///
    /// [`IssueError::is_out_of_order`] where one is prepared already, or where so many old ones are
    /// kept that some must be retired first.
    pub fn prepare(&self) -> Result<(), IssueError> {
        let new = Arc::new(Generation::new(&self.0.trust_domain, self.0.ttl)?);
        self.change(|snapshot| snapshot.prepare(new))
    }

    /// Issues from the prepared root and JWT key from now on.
    ///
    /// # Errors
    ///
    /// [`IssueError::is_out_of_order`] where none is prepared.
    pub fn activate(&self) -> Result<(), IssueError> {
        self.change(Snapshot::activate)
    }

    /// Removes the roots and JWT keys from before the active one. An agent gives those who still
    /// hold an SVID of them a new one in the same update.
    ///
    /// # Errors
    ///
    /// [`IssueError::is_out_of_order`] where there are no old ones.
    pub fn retire(&self) -> Result<(), IssueError> {
        self.change(Snapshot::retire)
    }

    /// [`prepare`](Self::prepare) and [`activate`](Self::activate) in one; the old root stays in the bundle.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Self::prepare).
    pub fn rotate(&self) -> Result<(), IssueError> {
        let new = Arc::new(Generation::new(&self.0.trust_domain, self.0.ttl)?);
        self.change(|snapshot| snapshot.prepare(new).and_then(|()| snapshot.activate()))
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0
            .snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(
        &self,
        step: impl FnOnce(&mut Snapshot) -> Result<(), IssueError>,
    ) -> Result<(), IssueError> {
        {
            let mut current = self
                .0
                .snapshot
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let mut next = Snapshot::clone(&current);
            step(&mut next)?;
            *current = Arc::new(next);
        }
        self.0
            .revision
            .send_modify(|revision| *revision = revision.wrapping_add(1));
        Ok(())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.snapshot().roots().count();
        f.debug_struct("Authority")
            .field("trust_domain", &self.0.trust_domain.as_str())
            .field("roots", &roots)
            .finish_non_exhaustive()
    }
}
