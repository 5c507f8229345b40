use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Mutex;

use tokio::net::UnixStream;

/// Whose socket is believed. Whoever can put a socket in the agent's place hands out identities and
/// decides whom this process trusts.
#[derive(Debug, Default)]
pub(super) struct SocketCheck {
    /// Users beside root and the own one under which the agent may run.
    pub(super) agent_users: Vec<u32>,
    /// Whether what is doubtful is refused, rather than told.
    pub(super) refuses: bool,
    told: Mutex<Option<String>>,
}

impl SocketCheck {
    pub(super) async fn connect(&self, path: &Path) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(path).await?;
        let Some(doubt) = self.doubt(path, stream.peer_cred()?.uid()) else {
            return Ok(stream);
        };
        if self.refuses {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, doubt));
        }
        // Every connection has the same doubt: it is told once.
        let mut told = self.told.lock().unwrap_or_else(|held| held.into_inner());
        if told.as_ref() != Some(&doubt) {
            tracing::warn!(target: "spiffe_source", path = %path.display(), doubt, "the agent's socket is doubtful");
            *told = Some(doubt);
        }
        Ok(stream)
    }

    /// What speaks against the socket at `path`, behind which a process of `user` listens.
    fn doubt(&self, path: &Path, user: u32) -> Option<String> {
        let own = rustix::process::geteuid().as_raw();
        if user != 0 && user != own && !self.agent_users.contains(&user) {
            return Some(format!(
                "it belongs to user {user}, who is neither root nor this process's; if that is the agent's user, say so with `agent_user`"
            ));
        }
        replaceable(path)
    }
}

/// Says so where everybody can put another file in the place of the one at `path`.
pub(crate) fn replaceable(path: &Path) -> Option<String> {
    let open = path.ancestors().skip(1).find(|directory| {
        fs::metadata(directory).is_ok_and(|metadata| {
            let is_sticky = metadata.mode() & 0o1000 != 0;
            metadata.mode() & 0o002 != 0 && !is_sticky
        })
    })?;
    Some(format!(
        "anybody can put another in its place, since {} is writable for all",
        open.display()
    ))
}

/// A file, whatever its name. The number of a file that was removed may be given to the next, and
/// then only the time tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SocketFile {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl SocketFile {
    pub(super) fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn threats_78_a_doubtful_socket_is_told_or_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("sockets");
        fs::create_dir(&directory).unwrap();
        let path = directory.join("agent.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let refuses = || SocketCheck {
            refuses: true,
            ..SocketCheck::default()
        };
        refuses().connect(&path).await.unwrap();

        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = refuses().connect(&path).await.unwrap_err();
        assert!(
            refused.to_string().contains("writable for all"),
            "{refused}"
        );
        let tells = SocketCheck::default();
        tells.connect(&path).await.unwrap();
        assert!(tells.told.lock().unwrap().is_some());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
        refuses().connect(&path).await.unwrap();
    }

    #[test]
    fn threats_78_another_user_s_socket_is_doubtful_unless_it_is_named() {
        let own = rustix::process::geteuid().as_raw();
        let stranger = own + 4711;
        let path = Path::new("/");
        let doubt = SocketCheck::default().doubt(path, stranger);
        assert!(doubt.is_some_and(|doubt| doubt.contains("agent_user")));
        assert_eq!(SocketCheck::default().doubt(path, own), None);
        assert_eq!(SocketCheck::default().doubt(path, 0), None);
        let named = SocketCheck {
            agent_users: vec![stranger],
            ..SocketCheck::default()
        };
        assert_eq!(named.doubt(path, stranger), None);
    }
}
