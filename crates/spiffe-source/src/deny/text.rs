//! The text form of a deny-list.
//!
//! A list that is cut off anywhere denies less than was meant. So the last line says that it is the
//! last, and nothing may follow it: neither a file that is still being written nor one that is
//! written over a longer one reads as a list.

use super::entry;
use super::error::{InvalidDenyList, Why};
use super::list::DenyList;

const END: &str = "end";

/// Reads the text of a list.
///
/// # Errors
///
/// The first line that is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<DenyList, InvalidDenyList> {
    let mut list = DenyList::new();
    let mut has_ended = false;
    let mut last = 0;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let at = |why| InvalidDenyList::at(number, why);
        let line = str::from_utf8(line).map_err(|_| at(Why::NotText))?;
        // No entry can hold a `#`.
        let entry = line.split('#').next().unwrap_or_default();
        match entry.trim_matches([' ', '\t', '\r']) {
            "" => {}
            _ if has_ended => return Err(at(Why::AfterEnd)),
            END => has_ended = true,
            entry => entry::parse(entry)
                .and_then(|entry| list.insert(entry))
                .map_err(at)?,
        }
        last = number;
    }
    if has_ended {
        Ok(list)
    } else {
        Err(InvalidDenyList::at(last, Why::NoEnd))
    }
}
