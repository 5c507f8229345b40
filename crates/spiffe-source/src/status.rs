use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use spiffe_peer::TrustDomain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::change::SvidSummary;
use crate::error::Closed;
use crate::snapshot::Snapshot;

/// How a source is: what a probe asks and a person reads.
///
/// ```
/// fn probe(source: &spiffe_source::Source) -> Result<(), String> {
///     let status = source.status();
///     if status.is_ready() { Ok(()) } else { Err(status.to_string()) }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Status {
    pub(crate) state: State,
    pub(crate) ready: bool,
    pub(crate) origin: String,
    pub(crate) revision: u64,
    pub(crate) svid: Option<SvidSummary>,
    pub(crate) bundles: Vec<BundleStatus>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::date::write_if_any"))]
    pub(crate) last_update: Option<SystemTime>,
    pub(crate) last_error: Option<String>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::date::write_if_any"))]
    pub(crate) stale_since: Option<SystemTime>,
    pub(crate) reconnects: u64,
}

/// What holds at the moment.
///
/// ```
/// assert_eq!(spiffe_source::State::Denied.to_string(), "denied");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum State {
    /// No update has come yet.
    Starting,
    /// The last update is in force, and nothing is known to keep further ones from coming.
    Ready,
    /// No news can be had, or the last cannot be used; what came before is in force until it
    /// expires.
    Stale,
    /// There is no identity for this process, by the word of the agent or by the deny-list:
    /// everything is withdrawn.
    Denied,
    /// The own SVID has reached its end, and no other has come.
    Expired,
    /// The source has been closed.
    Closed,
}

impl State {
    /// All states.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 6] = [
        Self::Starting,
        Self::Ready,
        Self::Stale,
        Self::Denied,
        Self::Expired,
        Self::Closed,
    ];

    /// The state as it is written in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Status {
    pub(crate) fn starting(origin: String) -> Self {
        Self {
            state: State::Starting,
            ready: false,
            origin,
            revision: 0,
            svid: None,
            bundles: Vec::new(),
            last_update: None,
            last_error: None,
            stale_since: None,
            reconnects: 0,
        }
    }

    /// What holds at the moment.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether a handshake would work: there is an own SVID in force, it is valid at this moment,
    /// and its own bundle vouches for it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Where the material comes from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The revision that is in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The own SVID in use, also where it has expired or been denied since; none before the first
    /// update and after a withdrawal.
    #[must_use]
    pub fn svid(&self) -> Option<&SvidSummary> {
        self.svid.as_ref()
    }

    /// The trust domains that are trusted or named, and how long their bundles can vouch. One without
    /// authorities is trusted for nothing: perhaps its name is mistyped, or the feed has no bundle.
    #[must_use]
    pub fn bundles(&self) -> &[BundleStatus] {
        &self.bundles
    }

    /// When material came last, usable or not.
    #[must_use]
    pub fn last_update(&self) -> Option<SystemTime> {
        self.last_update
    }

    /// The last thing that went wrong, if that still matters: no news, or a part of an update that
    /// could not be used.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Since when the state is [`State::Stale`].
    #[must_use]
    pub fn stale_since(&self) -> Option<SystemTime> {
        self.stale_since
    }

    /// How often a new attempt to get news was needed.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if let Some(since) = self.stale_since {
            write!(f, " since {}", format_rfc3339_seconds(since))?;
        }
        write!(f, ", from {}", self.origin)?;
        match &self.svid {
            Some(svid) => {
                let end = format_rfc3339_seconds(svid.not_after());
                write!(f, ", {svid} until {end}")?;
            }
            None => f.write_str(", without an identity")?,
        }
        if self.state == State::Stale && !self.ready {
            f.write_str(", not ready")?;
        }
        match &self.last_error {
            Some(error) => write!(f, "; last error: {error}"),
            None => Ok(()),
        }
    }
}

/// The statuses of a source, one after the other, from
/// [`Source::statuses`](crate::Source::statuses).
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), spiffe_source::Closed> {
/// let mut statuses = source.statuses();
/// loop {
///     println!("{}", statuses.next().await?);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Statuses {
    pub(crate) statuses: watch::Receiver<Status>,
    pub(crate) stop: CancellationToken,
}

impl Statuses {
    /// Waits for a status that this reader has not seen. Several changes in quick succession may be
    /// seen as one.
    ///
    /// # Errors
    ///
    /// [`Closed`] when nothing can change any more.
    ///
    /// # Cancel safety
    ///
    /// No change is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Status, Closed> {
        tokio::select! {
            biased;
            changed = self.statuses.changed() => changed.map_err(|_| Closed)?,
            () = self.stop.cancelled() => return Err(Closed),
        }
        Ok(self.statuses.borrow_and_update().clone())
    }
}

/// A trust domain that is trusted.
///
/// ```
/// fn log_line(bundle: &spiffe_source::BundleStatus) -> String {
///     format!("{} has {} authorities", bundle.trust_domain(), bundle.authorities())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BundleStatus {
    trust_domain: String,
    authorities: usize,
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::date::write_if_any"))]
    not_after: Option<SystemTime>,
    jwt_keys: usize,
}

impl BundleStatus {
    /// One for every trust domain that a snapshot trusts in any way, and one for each that is named:
    /// a name that was mistyped has no authorities.
    pub(crate) fn of<'a>(
        snapshot: &'a Snapshot,
        named: impl Iterator<Item = &'a TrustDomain>,
    ) -> Vec<Self> {
        let domains: BTreeSet<_> = snapshot.trust_domains().chain(named).collect();
        let of = |domain: &TrustDomain| {
            let x509 = snapshot.bundle(domain);
            Self {
                trust_domain: domain.to_string(),
                authorities: x509.map_or(0, |bundle| bundle.authorities().len()),
                not_after: x509.map(spiffe_verify::X509Bundle::not_after),
                jwt_keys: snapshot
                    .jwt_bundle(domain)
                    .map_or(0, |bundle| bundle.key_ids().count()),
            }
        };
        domains.into_iter().map(of).collect()
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// How many X.509 authorities it has.
    #[must_use]
    pub fn authorities(&self) -> usize {
        self.authorities
    }

    /// When the last of its X.509 authorities ends; none where it has none.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
    }

    /// How many keys may sign its JWT-SVIDs.
    #[must_use]
    pub fn jwt_keys(&self) -> usize {
        self.jwt_keys
    }
}
