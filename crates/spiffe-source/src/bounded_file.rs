use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a file holds, and who may read it.
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
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
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode() & 0o7777;
    let mut bytes = Vec::new();
    // One byte more than is allowed, since a file can grow while it is read.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(format!("{} has more than {limit} bytes", path.display()));
    }
    Ok(Contents { bytes, mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_nothing_else_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().bytes, b"12345");
        let too_long = read(&path, 4).err().unwrap();
        assert!(too_long.contains("more than 4 bytes"), "{too_long}");
        let no_file = read(directory.path(), 5).err().unwrap();
        assert!(no_file.contains("not a regular file"), "{no_file}");
        let absent = read(&directory.path().join("none"), 5).err().unwrap();
        assert!(absent.contains("none cannot be read"), "{absent}");
    }
}
