//! The text form of a deny-list.
//!
//! A list that is cut off denies less than was meant. So the last line says that it is the last, and
//! nothing may follow it: a file that ends too early, or goes on after its end, is no list. What a
//! plain `end` does not show is a mixture, the beginning of one list and the rest of another, as a
//! write in place leaves it for a moment, or for ever where the writer dies: only the digest in the
//! last line shows that.

use sha2::{Digest as _, Sha256};
use spiffe_peer::Fingerprint;

use super::entry;
use super::error::{InvalidDenyList, Why};
use super::list::DenyList;

const END: &str = "end";
const DIGEST: &str = "sha256:";

/// Reads the text of a list.
///
/// # Errors
///
/// The first line that is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<DenyList, InvalidDenyList> {
    let mut list = DenyList::new();
    let mut has_ended = false;
    let mut last = 0;
    let mut before: usize = 0;
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let at = |why| InvalidDenyList::at(number, why);
        let text = str::from_utf8(line).map_err(|_| at(Why::NotText))?;
        // No entry can hold a `#`.
        let entry = text.split('#').next().unwrap_or_default();
        let entry = entry.trim_matches([' ', '\t', '\r', '\n']);
        match (entry, end(entry)) {
            ("", _) => {}
            _ if has_ended => return Err(at(Why::AfterEnd)),
            (_, Some(digest)) => {
                check(digest, bytes.get(..before).unwrap_or_default()).map_err(at)?;
                has_ended = true;
            }
            (entry, None) => entry::parse(entry)
                .and_then(|entry| list.insert(entry))
                .map_err(at)?,
        }
        before = before.saturating_add(line.len());
        last = number;
    }
    if has_ended {
        Ok(list)
    } else {
        Err(InvalidDenyList::at(last.max(1), Why::NoEnd))
    }
}

/// What follows the word in the last line; none where this is another line.
fn end(entry: &str) -> Option<&str> {
    let rest = entry.strip_prefix(END)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| rest.trim_start_matches([' ', '\t']))
}

fn check(digest: &str, before: &[u8]) -> Result<(), Why> {
    if digest.is_empty() {
        return Ok(());
    }
    let digits = digest.strip_prefix(DIGEST).ok_or(Why::BadEnd)?;
    let digest = entry::key(digits)?;
    let found = Fingerprint::from_sha256(Sha256::digest(before).into());
    (digest == found).then_some(()).ok_or(Why::OtherDigest)
}
