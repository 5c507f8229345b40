//! The body to send.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;

use crate::failure::Failure;

/// It is held in memory, so that it can be sent again where the server has left it unprocessed.
const MAX: u64 = 16 * 1024 * 1024;

pub(super) fn read(data: &str) -> Result<Bytes, Failure> {
    match data.strip_prefix('@') {
        None => Ok(Bytes::copy_from_slice(data.as_bytes())),
        Some("-") => bounded(io::stdin().lock(), "stdin"),
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            bounded(file, path)
        }
    }
}

fn bounded(from: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut data = Vec::new();
    let read = from.take(MAX + 1).read_to_end(&mut data);
    let read = read.map_err(|error| unreadable(name, &error))?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX) {
        return Ok(data.into());
    }
    Err(Failure::unusable(format!(
        "--data: {name} is larger than {MAX} bytes"
    )))
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::unusable(format!("--data: {name} cannot be read: {error}"))
}
