use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::authority::IssueError;
use crate::directory::odd_path;

/// Why an [`Agent`](crate::Agent) did not start.
///
/// ```
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use spiffe_devkit::{Agent, Entry};
///
/// let entry = Entry::new("spiffe://example.org/service/orders")?.on("ordres");
/// let error = Agent::builder().unix("orders").entry(entry).start().await.unwrap_err();
/// assert!(error.is_invalid());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StartError {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Invalid(Defect),
    Directory(PathBuf, io::Error),
    OpenDirectory(PathBuf, u32),
    LongPath(PathBuf),
    OddPath(PathBuf),
    NoSocket(PathBuf),
    InUse(PathBuf),
    Listen(String, io::Error),
    Issue(IssueError),
}

impl StartError {
    pub(crate) fn directory(path: &Path, error: io::Error) -> Self {
        Self {
            kind: Kind::Directory(path.to_owned(), error),
        }
    }

    pub(crate) fn open_directory(path: &Path, mode: u32) -> Self {
        Self {
            kind: Kind::OpenDirectory(path.to_owned(), mode),
        }
    }

    pub(crate) fn long_path(path: &Path) -> Self {
        Self {
            kind: Kind::LongPath(path.to_owned()),
        }
    }

    pub(crate) fn odd_path(path: &Path) -> Self {
        Self {
            kind: Kind::OddPath(path.to_owned()),
        }
    }

    pub(crate) fn no_socket(path: &Path) -> Self {
        Self {
            kind: Kind::NoSocket(path.to_owned()),
        }
    }

    pub(crate) fn in_use(path: &Path) -> Self {
        Self {
            kind: Kind::InUse(path.to_owned()),
        }
    }

    pub(crate) fn listen(address: impl fmt::Display, error: io::Error) -> Self {
        Self {
            kind: Kind::Listen(address.to_string(), error),
        }
    }

    /// Whether what was declared makes no sense, as opposed to a start that the system refused.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(
            self.kind,
            Kind::Invalid(_) | Kind::OpenDirectory(..) | Kind::LongPath(_) | Kind::OddPath(_)
        )
    }

    /// Whether another agent is listening at one of the paths.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self.kind, Kind::InUse(_))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Invalid(defect) => f.write_str(&defect.message),
            Kind::Directory(path, error) => write!(
                f,
                "the directory {} cannot be used: {error}",
                path.display()
            ),
            Kind::OpenDirectory(path, mode) => write!(
                f,
                "the directory {path} is open to other users (mode {mode:04o}); name a directory that is the agent's alone, for instance {path}/spiffe-agent, which it makes",
                path = path.display()
            ),
            Kind::LongPath(path) => write!(
                f,
                "the socket path {} has {} bytes, and a Unix socket allows 107; choose a shorter directory",
                path.display(),
                path.as_os_str().len()
            ),
            Kind::OddPath(path) => f.write_str(&odd_path(path)),
            Kind::NoSocket(path) => write!(f, "{} exists and is no socket", path.display()),
            Kind::InUse(path) => write!(f, "another agent is listening at {}", path.display()),
            Kind::Listen(address, error) => write!(f, "cannot listen at {address}: {error}"),
            Kind::Issue(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Directory(_, error) | Kind::Listen(_, error) => Some(error),
            Kind::Issue(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Defect> for StartError {
    fn from(defect: Defect) -> Self {
        Self {
            kind: Kind::Invalid(defect),
        }
    }
}

impl From<IssueError> for StartError {
    fn from(error: IssueError) -> Self {
        Self {
            kind: Kind::Issue(error),
        }
    }
}

/// What makes no sense in a declaration, and where it was declared.
#[derive(Debug)]
pub(crate) struct Defect {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// A part of a declaration, by its position among its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Whole,
    TrustDomain(usize),
    FederatesWith(usize, usize),
    AuthorityTtl(usize),
    Listener(usize),
    ListenerAddress(usize),
    EntryId(usize),
    EntryListener(usize, usize),
    EntryTtl(usize),
    EntryDns(usize, usize),
    EntryHint(usize),
    EntryExecutable(usize),
    Entry(usize),
}

impl Defect {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
        }
    }
}

/// Why the agent did not do what it was told.
///
/// ```
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use spiffe_devkit::Agent;
/// use spiffe_peer::parse;
///
/// let agent = Agent::builder().unix("orders").start().await?;
/// let nobody = parse::workload_id("spiffe://example.org/service/nobody")?;
/// assert!(agent.withdraw(&nobody).unwrap_err().is_unknown());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OperationError {
    kind: OperationKind,
}

#[derive(Debug)]
enum OperationKind {
    Unknown {
        what: &'static str,
        name: String,
        known: String,
    },
    Issue(IssueError),
    File(PathBuf, String),
}

impl OperationError {
    pub(crate) fn unknown(
        what: &'static str,
        name: impl fmt::Display,
        known: impl IntoIterator<Item: fmt::Display>,
    ) -> Self {
        let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        Self {
            kind: OperationKind::Unknown {
                what,
                name: name.to_string(),
                known,
            },
        }
    }

    pub(crate) fn file(path: &Path, why: impl fmt::Display) -> Self {
        Self {
            kind: OperationKind::File(path.to_owned(), why.to_string()),
        }
    }

    /// Whether the agent has no such trust domain, entry or listener.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, OperationKind::Unknown { .. })
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperationKind::Unknown { what, name, known } => {
                write!(f, "the agent has no {what} `{name}`; there is {known}")
            }
            OperationKind::Issue(error) => fmt::Display::fmt(error, f),
            OperationKind::File(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for OperationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            OperationKind::Issue(error) => Some(error),
            _ => None,
        }
    }
}

impl From<IssueError> for OperationError {
    fn from(error: IssueError) -> Self {
        Self {
            kind: OperationKind::Issue(error),
        }
    }
}
