use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::unix::UCred;

/// Who asked: what the kernel says of the process at the other end of a connection, and the
/// listener that it came to.
///
/// The process is looked up once, when it connects. A process can hand its connection on, and the
/// kernel can give a process ID anew, so this is good for development and no attestation.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_devkit::StartError> {
/// let agent = spiffe_devkit::Agent::builder().unix("orders").start().await?;
/// for record in agent.log() {
///     println!("{} asked on {}", record.caller(), record.caller().listener());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    listener: Arc<str>,
    peer: Peer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Peer {
    Unix {
        pid: Option<i32>,
        uid: u32,
        gid: u32,
        executable: Option<PathBuf>,
    },
    Tcp(SocketAddr),
}

impl Caller {
    pub(crate) fn unix(listener: Arc<str>, credentials: UCred) -> Self {
        let pid = credentials.pid();
        // Absent where there is no procfs or the process belongs to somebody else: then no selector
        // for an executable holds.
        let executable = pid.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
        let (uid, gid) = (credentials.uid(), credentials.gid());
        Self {
            listener,
            peer: Peer::Unix {
                pid,
                uid,
                gid,
                executable,
            },
        }
    }

    pub(crate) fn tcp(listener: Arc<str>, address: SocketAddr) -> Self {
        Self {
            listener,
            peer: Peer::Tcp(address),
        }
    }

    /// The name of the listener.
    #[must_use]
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// Whether it came over TCP, which tells nothing of the process.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self.peer, Peer::Tcp(_))
    }

    /// The process ID.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match self.peer {
            Peer::Unix { pid, .. } => pid,
            Peer::Tcp(_) => None,
        }
    }

    /// The user ID.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        match self.peer {
            Peer::Unix { uid, .. } => Some(uid),
            Peer::Tcp(_) => None,
        }
    }

    /// The group ID.
    #[must_use]
    pub fn gid(&self) -> Option<u32> {
        match self.peer {
            Peer::Unix { gid, .. } => Some(gid),
            Peer::Tcp(_) => None,
        }
    }

    /// The file that the process runs.
    #[must_use]
    pub fn executable(&self) -> Option<&Path> {
        match &self.peer {
            Peer::Unix { executable, .. } => executable.as_deref(),
            Peer::Tcp(_) => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Peer::Unix {
                pid,
                uid,
                gid,
                executable,
            } => {
                match pid {
                    Some(pid) => write!(f, "pid {pid}")?,
                    None => f.write_str("pid unknown")?,
                }
                write!(f, " uid {uid} gid {gid}")?;
                match executable {
                    Some(path) => write!(f, " {}", path.display()),
                    None => f.write_str(" (executable unknown)"),
                }
            }
            Peer::Tcp(address) => write!(f, "tcp {address}"),
        }
    }
}
