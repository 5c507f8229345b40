use std::fmt;
use std::time::SystemTime;

/// How a source is: what a probe asks and a person reads.
///
/// ```
/// fn probe(source: &spiffe_source::Source) -> Result<(), String> {
///     let status = source.status();
///     if status.is_ready() { Ok(()) } else { Err(status.to_string()) }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub(crate) state: State,
    pub(crate) endpoint: String,
    pub(crate) spiffe_id: Option<String>,
    pub(crate) not_after: Option<SystemTime>,
    pub(crate) last_error: Option<String>,
    pub(crate) reconnects: u64,
}

/// What holds at the moment.
///
/// ```
/// assert_eq!(spiffe_source::State::Denied.to_string(), "denied");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// No update has come yet.
    Starting,
    /// The agent's stream is open and its last update is in force.
    Live,
    /// The stream is broken; what the agent said last is in force until it expires.
    Stale,
    /// The agent says that there is no identity for this process: everything is withdrawn.
    Denied,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Denied => "denied",
        })
    }
}

impl Status {
    /// What holds at the moment.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether a handshake would work: there is an own SVID, and it has not expired.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.not_after.is_some_and(|end| SystemTime::now() < end)
    }

    /// The last thing that went wrong, if that still matters: a broken stream, or a part of an
    /// update that could not be used.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// How often the stream had to be opened again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.state, self.endpoint)?;
        match (&self.spiffe_id, self.is_ready()) {
            (Some(id), true) => write!(f, " as {id}")?,
            (Some(id), false) => write!(f, " as {id}, whose SVID has expired")?,
            (None, _) => f.write_str(" without an identity")?,
        }
        match &self.last_error {
            Some(error) => write!(f, "; last error: {error}"),
            None => Ok(()),
        }
    }
}
