use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// More room than a file needs, so that its end is found without growing the buffer.
const PROBED: u64 = 64;

/// What a file holds, and who may read it.
pub(crate) struct Contents {
    /// It may be a key, or a piece of one.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// The permission bits of the file itself, symbolic links followed.
    pub(crate) mode: u32,
}

/// Reads a regular file of at most `limit` bytes, through symbolic links. Blocks for as long as the
/// disk takes; a FIFO or a device is not opened.
///
/// # Errors
///
/// What is wrong with the file, and its path.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Contents, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let no_file = || format!("{} is not a regular file", path.display());
    let too_long = || format!("{} has more than {limit} bytes", path.display());
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(no_file());
    }
    let file = open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(no_file());
    }
    if metadata.len() > limit {
        return Err(too_long());
    }
    let mode = metadata.mode() & 0o7777;
    let size = metadata.len().saturating_add(PROBED);
    let room = usize::try_from(size).unwrap_or_default();
    // One byte more than is allowed, since a file can grow while it is read.
    let bytes = read_to_end(file.take(limit.saturating_add(1)), room).map_err(cannot)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(too_long());
    }
    Ok(Contents { bytes, mode })
}

/// Reads to the end into a buffer with this room. Where that does not do, a larger one takes its
/// place: one that grew by itself would leave a copy of a secret behind.
fn read_to_end(mut from: impl Read, room: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    loop {
        let free = bytes.capacity().saturating_sub(bytes.len());
        let wanted = u64::try_from(free).unwrap_or(u64::MAX);
        if from.by_ref().take(wanted).read_to_end(&mut bytes)? < free {
            return Ok(bytes);
        }
        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_mul(2).max(64)));
        larger.extend_from_slice(&bytes);
        bytes = larger;
    }
}

/// Opens a file without waiting, should a FIFO have taken its place in this moment.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_nothing_else_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(*read(&path, 5).unwrap().bytes, b"12345");
        let too_long = read(&path, 4).err().unwrap();
        assert!(too_long.contains("more than 4 bytes"), "{too_long}");
        let no_file = read(directory.path(), 5).err().unwrap();
        assert!(no_file.contains("not a regular file"), "{no_file}");
        let absent = read(&directory.path().join("none"), 5).err().unwrap();
        assert!(absent.contains("none cannot be read"), "{absent}");
    }

    #[test]
    fn what_grows_while_it_is_read_is_read_to_its_end() {
        let long: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for room in [0, 1, 64, 500, 999, 1000, 1001] {
            assert_eq!(*read_to_end(long.as_slice(), room).unwrap(), long, "{room}");
        }
    }

    #[test]
    fn a_fifo_that_takes_the_place_of_a_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (opened, wait) = mpsc::channel();
        thread::spawn(move || opened.send(open(&path).map(drop)));
        let opened = wait.recv_timeout(Duration::from_secs(20));
        opened.expect("it is waited for").unwrap();
    }
}
