use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::error::StartError;
use crate::random;

/// The address of a Unix socket has 108 bytes, the last of which is zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Belongs to the effective user of this process.
const OWN_PROCESS: &str = "/proc/self";

/// The directory of the agent's sockets, which only its own user enters.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    is_temporary: bool,
}

impl Directory {
    /// A directory of a name that nobody guesses; it goes with the agent.
    pub(crate) fn temporary() -> Result<Self, StartError> {
        let name = random::hex(&random::bytes::<8>()?);
        let path = std::env::temp_dir().join(format!("spiffe-devkit-{name}"));
        make(&path, false).map_err(|error| StartError::directory(&path, error))?;
        Ok(Self {
            path,
            is_temporary: true,
        })
    }

    pub(crate) fn at(path: PathBuf) -> Result<Self, StartError> {
        make_private(&path)?;
        Ok(Self {
            path,
            is_temporary: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_temporary {
            // Whatever else somebody has put there stays.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Makes the directory, or sees to it that the one that is there is closed to others.
pub(crate) fn make_private(path: &Path) -> Result<(), StartError> {
    make(path, true).map_err(|error| StartError::directory(path, error))?;
    let seen = |path: &Path| {
        fs::symlink_metadata(path).map_err(|error| StartError::directory(path, error))
    };
    let directory = seen(path)?;
    let mode = directory.permissions().mode();
    if !directory.is_dir() || mode & 0o077 != 0 {
        return Err(StartError::open_directory(path, mode & 0o7777));
    }
    // Its owner could put another socket into the place of the agent's.
    if directory.uid() != seen(Path::new(OWN_PROCESS))?.uid() {
        let error = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it belongs to another user",
        );
        return Err(StartError::directory(path, error));
    }
    Ok(())
}

fn make(path: &Path, recursive: bool) -> io::Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(recursive)
        .create(path)
}

/// The file of a socket, which goes with its listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens at the path; the socket of an agent that is no more is replaced.
pub(crate) fn listen(path: &Path) -> Result<(UnixListener, SocketFile), StartError> {
    if path.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        return Err(StartError::long_path(path));
    }
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(StartError::no_socket(path));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(StartError::in_use(path));
        }
        fs::remove_file(path).map_err(|error| StartError::listen(path.display(), error))?;
    }
    let listener =
        UnixListener::bind(path).map_err(|error| StartError::listen(path.display(), error))?;
    Ok((listener, SocketFile(path.to_owned())))
}

/// An endpoint is a URI without query, fragment and percent-encoding.
pub(crate) fn fits_into_a_uri(path: &Path) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%');
    path.to_str()
        .is_some_and(|text| !text.is_empty() && text.bytes().all(is_plain))
}

pub(crate) fn odd_path(path: &Path) -> String {
    let path = path.display();
    format!(
        "the path {path} cannot be written as a `unix://` address; leave out spaces, `?`, `#` and `%`"
    )
}
