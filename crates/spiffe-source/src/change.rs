use std::fmt;
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::error::Closed;
use crate::snapshot::Svid;

/// How many changes are kept for a reader that is slow.
pub(crate) const KEPT_CHANGES: usize = 64;

/// A new revision: what was, what is, and why.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let source = spiffe_source::Source::workload_api()
///     .on_change(|change| if change.is_rotation() { println!("{change}") })
///     .connect()
///     .await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Change {
    pub(crate) revision: u64,
    pub(crate) cause: Cause,
    pub(crate) before: Option<SvidSummary>,
    pub(crate) after: Option<SvidSummary>,
    pub(crate) missed: u64,
}

/// Why there is a new revision.
///
/// ```
/// assert_eq!(spiffe_source::Cause::Expiry.to_string(), "expiry");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Cause {
    /// New material has come.
    Update,
    /// Whoever issues the material says that this process has no identity.
    Withdrawal,
    /// The own SVID has reached its end, by the clock of this process.
    Expiry,
    /// The clock has gone back to where the own SVID is valid.
    ClockChange,
    /// The deny-list has changed.
    DenyList,
    /// The source has been closed.
    Closed,
}

impl Cause {
    /// The cause as it is written in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Withdrawal => "withdrawal",
            Self::Expiry => "expiry",
            Self::ClockChange => "clock_change",
            Self::DenyList => "deny_list",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Change {
    /// The revision that the change has made.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Why it came.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The own SVID in use before, if there was one.
    #[must_use]
    pub fn before(&self) -> Option<&SvidSummary> {
        self.before.as_ref()
    }

    /// The own SVID in use now, if there is one.
    #[must_use]
    pub fn after(&self) -> Option<&SvidSummary> {
        self.after.as_ref()
    }

    /// Whether the own SVID in use has changed, rather than only a bundle or the deny-list.
    #[must_use]
    pub fn is_rotation(&self) -> bool {
        self.before != self.after
    }

    /// How many changes before this one were dropped, since they were not read in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revision {} ({}): ", self.revision, self.cause)?;
        match (&self.before, &self.after) {
            (None, None) => f.write_str("no identity"),
            (None, Some(new)) => write!(f, "{new}"),
            (Some(old), None) => write!(f, "no identity any more, was {old}"),
            (Some(old), Some(new)) if old == new => write!(f, "still {new}"),
            (Some(old), Some(new)) => write!(f, "{new}, was serial {}", old.serial()),
        }
    }
}

/// What there is to say of an SVID without its key.
///
/// ```
/// fn log_line(svid: &spiffe_source::SvidSummary) -> String {
///     format!("{} serial {}", svid.spiffe_id(), svid.serial())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SvidSummary {
    spiffe_id: String,
    serial: String,
    hint: Option<String>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::date::write"))]
    not_before: SystemTime,
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::date::write"))]
    not_after: SystemTime,
}

impl SvidSummary {
    pub(crate) fn of(svid: &Svid) -> Self {
        let verified = svid.verified();
        Self {
            spiffe_id: svid.spiffe_id().to_string(),
            serial: verified.serial().to_owned(),
            hint: svid.hint().map(str::to_owned),
            not_before: verified.not_before(),
            not_after: verified.not_after(),
        }
    }

    /// The ID that the SVID proves.
    #[must_use]
    pub fn spiffe_id(&self) -> &str {
        &self.spiffe_id
    }

    /// The leaf's serial number, in lower-case hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// What the operator called the SVID.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// From when on the whole chain is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The earliest end of the chain, root included.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl fmt::Display for SvidSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} serial {}", self.spiffe_id, self.serial)?;
        match &self.hint {
            Some(hint) => write!(f, " hint `{}`", hint.escape_debug()),
            None => Ok(()),
        }
    }
}

/// The changes of a source, one after the other, from [`Source::changes`](crate::Source::changes).
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), spiffe_source::Closed> {
/// let mut changes = source.changes();
/// loop {
///     println!("{}", changes.next().await?);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Changes(pub(crate) broadcast::Receiver<Change>);

impl Changes {
    /// Waits for the next change. A reader that falls behind by more than 64 misses the oldest, and
    /// is told how many.
    ///
    /// # Errors
    ///
    /// [`Closed`] when nothing can change any more.
    ///
    /// # Cancel safety
    ///
    /// No change is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Change, Closed> {
        let mut missed = 0;
        loop {
            match self.0.recv().await {
                Ok(change) => return Ok(Change { missed, ..change }),
                Err(broadcast::error::RecvError::Lagged(dropped)) => missed += dropped,
                Err(broadcast::error::RecvError::Closed) => return Err(Closed),
            }
        }
    }
}
